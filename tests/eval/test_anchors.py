"""Reading another codec's quality off at the size of our file."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.anchors import Anchors

TABLE = """\
# a comment
codec\timage\ttarget_bpp\tbytes\tlpips
vvc\tone\t.01\t1000\t0.6
vvc\tone\t.02\t4000\t0.4
vvc\tone\t.03\t4000\t0.4
avif\tone\t.01\t1000\t0.9
vvc\ttwo\t.01\t500\t0.5
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "anchors.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_between_two_files_it_is_linear_in_the_logarithm_of_the_size(table: Path) -> None:
    anchors = Anchors(table, "vvc")
    assert anchors.lpips_at("one", 1000) == pytest.approx(0.6)
    assert anchors.lpips_at("one", 2000) == pytest.approx(0.5)
    assert anchors.lpips_at("one", 4000) == pytest.approx(0.4)


def test_outside_the_measured_sizes_neither_end_flatters_us(table: Path) -> None:
    anchors = Anchors(table, "vvc")
    assert anchors.lpips_at("one", 100) == pytest.approx(0.6)
    assert anchors.lpips_at("one", 8000) == pytest.approx(0.3)
    assert anchors.lpips_at("two", 9999) == pytest.approx(0.5)


def test_an_unknown_image_has_none_and_an_unknown_codec_is_refused(table: Path) -> None:
    assert Anchors(table, "vvc").lpips_at("three", 1000) is None
    with pytest.raises(ValueError, match="jxl"):
        Anchors(table, "jxl")


def test_the_measured_table_gives_its_own_points(shared_data: Path) -> None:
    anchors = Anchors(shared_data / "anchors.tsv", "vvc")
    assert anchors.lpips_at("kodim01", 1301) == pytest.approx(0.6439)

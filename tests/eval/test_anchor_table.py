"""Figures of codecs that are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval import anchor_table

HEAD = "codec\timage\ttarget_bpp\tsetting\tbytes\tbpp\tlpips\tms_ssim\tpsnr\tcan_reach\n"
TABLE = (
    "# how it was made\n"
    + HEAD
    + "vvc\tone\t0.0313\t40\t1500\t0.03\t0.5\t0.8\t25.0\t1\n"
    + "vvc\tone\t0.0117\t60\t600\t0.012\t0.7\t0.7\t22.0\t1\n"
    + "vvc\tone\t0.0156\t60\t900\t0.02\t0.7\t0.7\t22.0\t0\n"
    + "vvc\ttwo\t0.0117\t60\t600\t0.012\t0.7\t0.7\t22.0\t1\n"
    + "vvc/2\tone\t0.0117\t60\t600\t0.012\t0.7\t0.7\t22.0\t1\n"
    + "jxl\tone\t0.0117\t60\t600\t0.012\t0.7\t0.7\t22.0\t1\n"
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.tsv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_rows_of_the_runs_images_by_point(table: Path) -> None:
    rows = anchor_table.rows(table, "vvc", {"one": (512, 768)})
    assert [(row.image, row.point, row.size_bytes) for row in rows] == [
        ("one", 1, 600),
        ("one", 6, 1500),
    ]
    assert rows[0].bpp == pytest.approx(8 * 600 / (512 * 768), abs=1e-6)
    assert rows[1].metrics == {"psnr_db": 25.0, "ms_ssim": 0.8, "lpips_alex": 0.5}
    assert rows[0].file is rows[0].picture is rows[0].sha256 is None


def test_what_did_not_reach_its_rate_is_no_row(table: Path) -> None:
    assert 900 not in {row.size_bytes for row in anchor_table.rows(table, "vvc", {"one": (1, 1)})}


def test_scaled_variants_come_with_their_codec(table: Path) -> None:
    assert anchor_table.codecs(table, {"vvc", "heic"}) == ["vvc", "vvc/2"]


@pytest.mark.parametrize(("old", "new"), [("600", "many"), ("lpips", "LPIPS"), ("\t22.0\t1", "")])
def test_a_table_of_something_else_is_named(table: Path, old: str, new: str) -> None:
    table.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(anchor_table.AnchorTableError, match=r"table\.tsv: entry \d"):
        anchor_table.rows(table, "vvc", {"one": (512, 768)})


def test_the_measured_table_covers_kodak(shared_data: Path) -> None:
    table = shared_data / "anchors.tsv"
    rows = anchor_table.rows(table, "vvc", {"kodim01": (512, 768), "kodim04": (768, 512)})
    assert [row.point for row in rows] == [*range(1, 10)] * 2
    assert all(row.bpp <= 0.0432 for row in rows)

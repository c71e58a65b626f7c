"""The demo, with the pack of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import vqcodec
from eval import demo
from eval.__main__ import main


def test_demo_writes_real_files_and_one_sheet(tmp_path: Path, tiny_pack: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((120, 80)).save(photo)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main, ["demo", "--out", str(out), "--photo", str(photo), "--model", str(tiny_pack)]
    )
    assert done.exit_code == 0, done.output
    assert f"side by side: {out / 'photo.png'}" in done.stdout
    for tier in demo.TIERS:
        data = (out / f"photo-tier{tier}.vqc").read_bytes()
        assert vqcodec.describe(data).tier == tier
        assert f"{len(data):,}" in done.stdout
        with Image.open(out / f"photo-tier{tier}.png") as decoded:
            assert decoded.size == (120, 80)
    with Image.open(out / "photo.png") as sheet:
        assert sheet.width > 4 * 120


@pytest.mark.parametrize("kind", list(demo.SMALLEST))
def test_the_smallest_file_of_a_codec_is_its_lowest_quality(tmp_path: Path, kind: str) -> None:
    if not demo._is_built_in(kind):
        pytest.skip(f"this Pillow has no {kind}")
    gradient = Image.linear_gradient("L").convert("RGB")
    found = demo._smallest(tmp_path / "photo", demo.np.asarray(gradient), kind)
    path = tmp_path / f"photo-smallest.{kind.lower()}"
    assert found.size_bytes == path.stat().st_size
    gradient.save(tmp_path / f"fair.{kind.lower()}", kind, quality=50)
    assert found.size_bytes < (tmp_path / f"fair.{kind.lower()}").stat().st_size

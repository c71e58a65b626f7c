"""The sweep over images and tiers, its table and results file; with the pack of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from eval.__main__ import main
from eval.rd import SCHEMA, Row, summarise, table


def row(tier: int, **figures: float | None) -> Row:
    values = {
        "size_bytes": 1000,
        "overhead_bytes": 16,
        "bpp": 0.02,
        "psnr_db": 20.0,
        "ms_ssim": None,
        "lpips": 0.5,
        "anchor_lpips": None,
        "encode_s": 0.1,
        "decode_s": 0.2,
    } | figures
    return Row("a", 512, 768, tier, "table", **values)


def test_summary_has_means_and_sample_deviations_per_tier() -> None:
    first, second = summarise([row(8, lpips=0.2), row(1), row(8, lpips=0.4)])
    assert (first["tier"], first["images"]) == (1, 1)
    assert first["lpips"] == {"mean": 0.5, "std": None, "n": 1}
    assert second["lpips"]["mean"] == pytest.approx(0.3)
    assert second["lpips"]["std"] == pytest.approx(0.1 * 2**0.5)
    assert second["ms_ssim"] is None


def test_summary_counts_where_we_are_below_the_anchor() -> None:
    rows = [row(8, lpips=value, anchor_lpips=0.5) for value in (0.4, 0.5, 0.6)]
    assert summarise(rows)[0]["better"] == 1
    assert summarise([row(8)])[0]["better"] is None


def test_table_lines_up_and_shows_what_is_absent() -> None:
    text = table(summarise([row(1), row(8, lpips=None)]), "VVC")
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[:4] == ["tier", "bytes", "overhead", "bpp"]
    assert "VVC LPIPS" in lines[0]
    assert lines[2].split()[4] == "-"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for name, shape in {"a": (161, 170, 3), "b": (20, 30, 3)}.items():
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(folder / f"{name}.png")
    return folder


def test_rd_writes_rows_summary_and_origin(photos: Path, tiny_pack: Path, tmp_path: Path) -> None:
    out, keep = tmp_path / "rd.json", tmp_path / "keep"
    arguments = ["--data", str(photos), "--tiers", "1,9", "--model", str(tiny_pack)]
    done = CliRunner(env={"VQCODEC_WEIGHTS": "", "VQCODEC_DATA": ""}).invoke(
        main, ["rd", *arguments, "--json", str(out), "--keep", str(keep)]
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].endswith("2 images, mean ± standard deviation over images")
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["schema"] == SCHEMA
    assert found["provenance"]["model"]["name"] == "tiny"
    assert len(found["provenance"]["model"]["sha256"]) == 64
    assert {"vqcodec", "commit", "torch", "python", "cpu", "threads"} <= found["provenance"].keys()
    assert [(r["image"], r["tier"]) for r in found["rows"]] == [
        ("a", 1), ("a", 9), ("b", 1), ("b", 9),
    ]  # fmt: skip
    for entry in found["rows"]:
        path = keep / f"{entry['image']}-tier{entry['tier']}.vqc"
        assert entry["size_bytes"] == path.stat().st_size
        pixels = entry["height_px"] * entry["width_px"]
        assert entry["bpp"] == pytest.approx(8 * entry["size_bytes"] / pixels)
        assert entry["overhead_bytes"] <= 16
        assert (keep / f"{path.stem}.png").is_file()
    assert [r["ms_ssim"] is None for r in found["rows"]] == [False, False, True, True]
    assert [entry["tier"] for entry in found["summary"]] == [1, 9]


@pytest.mark.parametrize("tiers", ["0", "1,x", "10", ""])
def test_rd_refuses_unknown_tiers(tiers: str, photos: Path) -> None:
    done = CliRunner().invoke(main, ["rd", "--data", str(photos), "--tiers", tiers])
    assert done.exit_code == 2
    assert "numbers from 1 to 9" in done.output


def test_rd_says_how_to_name_the_images() -> None:
    done = CliRunner(env={"VQCODEC_DATA": ""}).invoke(main, ["rd"])
    assert done.exit_code == 2
    assert "give --data, or set VQCODEC_DATA" in done.output

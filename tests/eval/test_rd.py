"""A whole run of `rd`: files, figures, interruptions, bad images; with the random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from eval import sweep
from eval.__main__ import main
from eval.rows import RATES_BPP, SCHEMA

ENVIRONMENT = {"VQCODEC_WEIGHTS": "", "VQCODEC_DATA": ""}
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for name, shape in {"a": (11, 12, 3), "b": (3, 4, 3)}.items():
        small = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
        small.resize((16 * shape[1], 16 * shape[0])).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def run(tiny_pack: Path) -> Run:
    def invoke(photos: Path, out: Path, *more: str) -> Result:
        arguments = {
            "--data": str(photos),
            "--out": str(out),
            "--tiers": "1,9",
            "--anchors": "webp",
            "--metrics": "psnr_db,ms_ssim",
            "--model": str(tiny_pack),
            "--jobs": "1",
        } | dict(zip(more[::2], more[1::2], strict=True))
        flat = [part for pair in arguments.items() for part in pair]
        return CliRunner(env=ENVIRONMENT).invoke(main, ["rd", *flat])

    return invoke


@pytest.fixture(scope="module")
def made(photos: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "results"
    done = run(photos, out)
    assert done.exit_code == 0, done.output
    assert "2 images, mean ± standard deviation over images" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(str(out / "report.html"))
    return out


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def timeless(folder: Path) -> str:
    """The results file without what two runs may differ in."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in ("times", "date")}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return json.dumps(strip(read(folder)))


def test_figures_are_those_of_the_files(made: Path) -> None:
    found = read(made)
    assert found["schema"] == SCHEMA
    assert found["provenance"]["model"]["name"] == "tiny"
    assert found["settings"]["images"] == ["a", "b"]
    ours = [row for row in found["rows"] if row["codec"] == "vqcodec"]
    assert [(row["image"], row["point"], row["setting"]) for row in ours] == [
        (image, tier, f"tier {tier}") for image in "ab" for tier in (1, 9)
    ]
    assert all(0 < row["overhead_bytes"] <= 16 for row in ours)
    for row in found["rows"]:
        assert row["size_bytes"] == (made / row["file"]).stat().st_size
        pixels = row["height_px"] * row["width_px"]
        assert row["bpp"] == pytest.approx(8 * row["size_bytes"] / pixels, abs=1e-6)
        with Image.open(made / row["picture"]) as picture:
            assert picture.size == (row["width_px"], row["height_px"])
    assert [row["metrics"]["ms_ssim"] is None for row in ours] == [False, False, True, True]


def test_psnr_in_the_results_is_that_of_what_the_file_decodes_to(
    made: Path, photos: Path, tiny_pack: Path
) -> None:
    import vqcodec

    row = next(row for row in read(made)["rows"] if row["codec"] == "vqcodec")
    decoded = vqcodec.decode((made / row["file"]).read_bytes(), model=str(tiny_pack))
    original = np.asarray(Image.open(photos / f"{row['image']}.png"), np.float64)
    mse = np.mean((original - decoded) ** 2)
    assert row["metrics"]["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-6)


def test_another_codec_never_takes_more_than_it_was_given(made: Path) -> None:
    rows = [row for row in read(made)["rows"] if row["codec"].startswith("webp")]
    for row in rows:
        assert row["bpp"] <= RATES_BPP[row["point"] - 1]


def test_a_second_run_measures_nothing_and_says_the_same(
    made: Path, photos: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = timeless(made)
    monkeypatch.setattr(sweep, "measure", None)  # to call it would fail
    done = run(photos, made)
    assert done.exit_code == 0, done.output
    assert "4 of 4 measured before" in done.stderr
    assert timeless(made) == before


def test_processes_do_not_change_a_figure(
    made: Path, photos: Path, run: Run, tmp_path: Path
) -> None:
    done = run(photos, tmp_path, "--jobs", "2")
    assert done.exit_code == 0, done.output
    assert timeless(tmp_path) == timeless(made)


def test_an_interrupted_run_goes_on(
    photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, seen = sweep.measure, []

    def stop(plan: Any, name: str, path: Path, codec: str) -> Any:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append((name, codec))
        return measure(plan, name, path, codec)

    monkeypatch.setattr(sweep, "measure", stop)
    done = run(photos, tmp_path)
    assert (done.exit_code, len(seen)) == (130, 2)
    assert "the same command goes on from here" in done.stderr
    monkeypatch.setattr(sweep, "measure", measure)
    done = run(photos, tmp_path)
    assert done.exit_code == 0, done.output
    assert "2 of 4 measured before" in done.stderr
    assert len(read(tmp_path)["rows"]) > 4


def test_other_tiers_are_measured_anew_and_other_codecs_are_not(
    made: Path, photos: Path, run: Run, tmp_path: Path
) -> None:
    out = shutil.copytree(made, tmp_path / "results")
    done = run(photos, out, "--tiers", "2")
    assert done.exit_code == 0, done.output
    assert "2 of 4 measured before" in done.stderr
    assert {row["point"] for row in read(out)["rows"] if row["codec"] == "vqcodec"} == {2}


def test_a_weight_of_bits_makes_a_curve_of_its_own(
    made: Path, photos: Path, run: Run, tiny_context_pack: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(made, tmp_path / "results")
    model = ("--model", str(tiny_context_pack), "--tiers", "all")
    done = run(photos, out, *model, "--rdo", "0")
    assert done.exit_code == 0, done.output
    assert "2 of 4 measured before" in done.stderr  # what was measured of others stays
    assert "vqcodec rdo 0      1       2" in done.stdout
    found = read(out)
    assert (found["settings"]["tiers"], found["settings"]["rdo"]) == ([1, 2, 3, 4, 5, 6], 0)
    assert found["comparison"]["reference"] == "vqcodec rdo 0"
    assert len(found["comparison"]["equal_bpp"]["rates_bpp"]) == 6
    assert "rdo 0" in found["codecs"]["vqcodec rdo 0"]["identity"]
    assert {row["codec"] for row in found["rows"]} > {"vqcodec rdo 0"}
    assert "vqcodec rdo 0" in (out / "report.html").read_text(encoding="utf-8")
    done = CliRunner(env=ENVIRONMENT).invoke(main, ["report", str(out)])
    assert done.exit_code == 0, done.output


def test_a_bad_image_is_named_and_the_others_are_measured(
    photos: Path, run: Run, tmp_path: Path
) -> None:
    folder = shutil.copytree(photos, tmp_path / "photos")
    whole = (folder / "a.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no image")
    Image.new("RGBA", (20, 20)).save(folder / "clear.png")
    done = run(folder, tmp_path / "out", "--tiers", "1", "--anchors", "none")
    assert done.exit_code == 3, done.output
    for name in ("half.png", "text.jpg: no image", "clear.png: mode RGBA"):
        assert f"left out: {name}" in done.stderr
    found = read(tmp_path / "out")
    assert [entry["image"] for entry in found["failed"]] == ["clear.png", "half.png", "text.jpg"]
    assert [row["image"] for row in found["rows"]] == ["a", "b"]
    assert found["summary"][0]["images"] == 2


def test_photos_are_turned_upright(run: Run, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32), "teal").save(tmp_path / "turned.jpg", exif=exif)
    done = run(tmp_path, tmp_path / "out", "--tiers", "1", "--anchors", "none")
    assert done.exit_code == 0, done.output
    (row,) = read(tmp_path / "out")["rows"]
    assert (row["height_px"], row["width_px"]) == (64, 32)


def test_large_images_are_scaled_down_where_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (120, 40), "teal").save(tmp_path / "wide.png")
    Image.new("RGB", (30, 20), "teal").save(tmp_path / "small.png")
    more = ("--tiers", "1", "--anchors", "none", "--max-side", "60")
    done = run(tmp_path, tmp_path / "out", *more)
    assert done.exit_code == 0, done.output
    found = read(tmp_path / "out")
    assert [(row["width_px"], row["height_px"]) for row in found["rows"]] == [(30, 20), (60, 20)]
    assert found["settings"]["max_side"] == 60


def test_images_of_one_name_are_told_apart(run: Run, tmp_path: Path) -> None:
    for name in ("one.png", "one.webp"):
        Image.new("RGB", (32, 32), "teal").save(tmp_path / name)
    done = run(tmp_path, tmp_path / "out", "--tiers", "1", "--anchors", "none")
    assert done.exit_code == 0, done.output
    assert read(tmp_path / "out")["settings"]["images"] == ["one.png", "one.webp"]


def test_a_codec_that_is_not_at_hand_takes_its_figures_from_the_table(
    photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no vvencapp
    head = "codec\timage\ttarget_bpp\tsetting\tbytes\tbpp\tlpips\tms_ssim\tpsnr\tcan_reach\n"
    (tmp_path / "table.tsv").write_text(head + "vvc\ta\t.0117\t60\t40\t0\t.7\t.5\t21.5\t1\n")
    table = str(tmp_path / "table.tsv")
    done = run(photos, tmp_path / "out", "--anchors", "vvc", "--measured", table, "--tiers", "1")
    assert done.exit_code == 0, done.output
    assert "its figures come from table.tsv" in done.stderr
    found = read(tmp_path / "out")
    assert found["codecs"]["vvc"] == {"identity": None, "measured": "table.tsv"}
    assert [entry["codec"] for entry in found["absent"]] == ["vvc"]
    assert found["rows"][-1]["metrics"]["psnr_db"] == 21.5


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--tiers", "0"), 2, "numbers from 1 on"),
        (("--tiers", "1,x"), 2, "numbers from 1 on"),
        (("--tiers", "1,13"), 1, "model tiny has no tier 13; it has 1, 2"),
        (("--rdo", "-1"), 2, "-1.0 is not in the range"),
        (("--anchors", "bpg"), 2, "'bpg' is not known; choose from avif"),
        (("--metrics", "ssim"), 2, "'ssim' is not known; choose from psnr_db"),
        (("--model", "no-such-pack"), 1, "no-such-pack"),
        (("--jobs", "0"), 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_a_line(
    more: tuple[str, str], code: int, message: str, photos: Path, run: Run, tmp_path: Path
) -> None:
    done = run(photos, tmp_path, *more)
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_a_wrong_setting_does_not_wait_for_weights(
    photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.metrics.load", None)  # to call it would fail
    (tmp_path / "mine.toml").write_text("name = 'mine'\n", encoding="utf-8")
    done = run(photos, tmp_path / "out", "--codec", str(tmp_path / "mine.toml"))
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "mine.toml: 'suffix' is missing" in done.stderr


def test_a_report_of_nothing_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner(env=ENVIRONMENT).invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 1
    assert "results.json: No such file or directory; run 'python -m eval rd' first" in done.stderr


def test_a_folder_without_images_is_named(run: Run, tmp_path: Path) -> None:
    done = run(tmp_path, tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: no image in {tmp_path}; give --data")


def test_it_says_how_to_name_the_images(tmp_path: Path) -> None:
    done = CliRunner(env=ENVIRONMENT).invoke(main, ["rd", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "give --data, or set VQCODEC_DATA" in done.output

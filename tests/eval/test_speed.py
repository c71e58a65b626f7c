"""Timing and memory: how runs are told apart, repeated and summed up; no time itself is tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import rounds, scaling, speed, warm
from eval.images import sample_photo

WEBP = rounds.Subject({"name": "webp", "setting": 10}, "webp at 10")
PHOTO = np.arange(24 * 36 * 3, dtype=np.uint32).reshape(24, 36, 3).astype(np.uint8)


def cost(wall_s: float, cpu_s: float = 1.0, peak: float | None = None) -> rounds.Cost:
    memory = {} if peak is None else {"peak_rss_bytes": peak}
    return {"wall_s": wall_s, "cpu_s": cpu_s, **memory}


def test_a_command_is_timed_and_its_memory_seen() -> None:
    lean = rounds.run_measured([sys.executable, "-c", "import time; time.sleep(0.2)"])
    assert 0.2 <= lean["wall_s"] < 10
    assert 0 < lean["cpu_s"] < lean["wall_s"]
    fat = rounds.run_measured([sys.executable, "-c", "b'x' * 200_000_000"])
    assert fat["peak_rss_bytes"] - lean["peak_rss_bytes"] > 150_000_000
    # This process is far larger than a bare Python: it must not show in the child's figure.
    assert lean["peak_rss_bytes"] < 60_000_000


def test_a_failing_command_tells_its_reason() -> None:
    with pytest.raises(RuntimeError, match="no such luck"):
        rounds.run_measured([sys.executable, "-c", "raise SystemExit('no such luck')"])


def test_everything_has_its_turn_in_every_round() -> None:
    order: list[str] = []

    def action(name: str) -> rounds.Cost:
        order.append(name)
        return cost(len(order))

    told: list[str] = []
    found = rounds.take_turns({"a": lambda: action("a"), "b": lambda: action("b")}, 2, told.append)
    assert order == ["a", "b", "a", "b"]
    assert [run["wall_s"] for run in found["b"]] == [2, 4]
    assert told == ["round 1 of 2", "round 2 of 2"]


def test_figures_are_per_megapixel_and_ratios_are_taken_within_rounds() -> None:
    theirs = [cost(6, 2, 300), cost(20, 2, 100), cost(8, 2, 100)]
    ours = [cost(2, 1, 150), cost(4, 1, 100), cost(1, 1, 50)]
    found = rounds.figures(theirs, 500_000)
    assert found["runs"] == 3
    assert found["wall_s_per_megapixel"] == {"median": 16, "low": 12, "high": 40}
    assert found["peak_rss_bytes"] == 300
    assert rounds.ratios(theirs, ours) == {
        "wall": {"ratio": 4, "low": 3, "high": 8},
        "cpu": {"ratio": 2, "low": 2, "high": 2},
        "peak_rss": 2,
    }
    assert "peak_rss" not in rounds.ratios([cost(1)], [cost(2)])


def test_the_exponent_of_a_power_is_found() -> None:
    sizes = [0.25, 1.0, 4.0, 24.0]
    assert rounds.exponent(sizes, [3 * size for size in sizes]) == 1
    assert rounds.exponent(sizes, [3 * size**1.5 for size in sizes]) == 1.5
    assert rounds.exponent([1.0], [3.0]) is None


def test_sides_are_those_of_a_photo() -> None:
    assert scaling.sides(24) == (4000, 6000)
    for size in scaling.SIZES:
        height, width = scaling.sides(size)
        assert height * width / 1e6 == pytest.approx(size, rel=0.001)


def test_a_worker_times_one_job_after_the_other_and_tells_why_it_failed(tmp_path: Path) -> None:
    picture = scaling.write_mosaic([PHOTO], 24, 36, tmp_path)
    encode, decode = (WEBP.task(verb, picture, 24, 36) for verb in warm.VERBS)
    with rounds.Worker(WEBP) as worker:
        for task in (encode, decode, decode):
            assert set(worker.run(task)) == {"wall_s", "cpu_s"}
        wrong = WEBP.task("decode", picture, 25, 36)
        with pytest.raises(RuntimeError, match=r"webp: decode failed: .* instead of 36x25"):
            worker.run(wrong)
        with pytest.raises(RuntimeError, match="webp: decode failed"):  # it has ended
            worker.run(decode)
    assert Path(encode.coded).read_bytes()[8:12] == b"WEBP"


def test_scaling_tells_every_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "ONCE_ABOVE", 0.01)
    told: list[str] = []
    found = scaling.measure(WEBP, [PHOTO], [0.05, 0.01], 2, tmp_path, told.append)
    small, large = found["sizes"]
    assert (small["width_px"], small["height_px"]) == (122, 82)
    assert [size["warm"]["encode"]["runs"] for size in (small, large)] == [2, 1]
    for verb in warm.VERBS:
        assert set(small["cold"][verb]) == set(small["warm"][verb]) | {"peak_rss_bytes"}
        above = large["cold"][verb]["peak_rss_bytes"] - found["start_rss_bytes"][verb]
        pixels = large["width_px"] * large["height_px"]
        assert large["above_start_bytes_per_pixel"][verb] == pytest.approx(above / pixels, abs=0.01)
        assert found["exponent"][verb]["wall"] is not None
    assert told[-1] == "scaling, large pictures: round 1 of 1"
    json.dumps(found, allow_nan=False)


@pytest.fixture(scope="module")
def compared(tiny_pack: Path) -> dict[str, Any]:
    """Ours, ours in onnxruntime and WebP, once each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "COMPARED", (64, 96))
        return speed.run(
            [sample_photo()], tier=1, model=str(tiny_pack), threads=1, repeats=1, sizes=(),
            anchors=("webp",), is_taming=False,
        )  # fmt: skip


def test_ours_and_others_are_compared(compared: dict[str, Any]) -> None:
    found = compared["comparison"]
    assert set(found["codecs"]) == {"vqcodec", "onnx", "webp"}
    assert compared["scaling"] is None
    assert compared["absent"] == []
    ours, onnx, webp = found["codecs"].values()
    assert onnx["coded_bytes"] == ours["coded_bytes"]
    # The smallest file that WebP can make is still larger than ours.
    assert webp["identity"].endswith("quality 0")
    assert 0 < ours["coded_bytes"] < webp["coded_bytes"]
    assert set(found["ratios"]) == {"onnx", "webp"}
    ratio = found["ratios"]["webp"]["cold"]["decode"]["wall"]["ratio"]
    theirs, own = (codec["cold"]["decode"]["wall_s_per_megapixel"] for codec in (webp, ours))
    assert ratio == pytest.approx(theirs["median"] / own["median"], rel=0.01)
    json.dumps(compared, allow_nan=False)


def test_what_is_not_there_is_told(
    tmp_path: Path, tiny_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> Any:
        raise speed.codecs.CodecAbsentError(f"{name}: pip install it")

    monkeypatch.setattr(speed.codecs, "load", load)
    monkeypatch.setattr(speed, "find_spec", lambda name: None)
    monkeypatch.setattr(speed, "compare", lambda *arguments: {"names": len(arguments[0])})

    def run_measured(command: list[str]) -> None:
        Path(command[-1]).write_bytes(b"coded")

    monkeypatch.setattr(speed, "run_measured", run_measured)
    found = speed.run(
        [PHOTO], tier=1, model=str(tiny_pack), threads=1, repeats=1, sizes=(), anchors=("jxl",)
    )
    assert found["comparison"] == {"names": 1}
    assert [entry["codec"] for entry in found["absent"]] == ["onnx", "taming", "jxl"]
    assert found["absent"][2]["remedy"] == "jxl: pip install it"


def test_the_table_shows_all(compared: dict[str, Any]) -> None:
    memory = {"encode": 400 << 20, "decode": 500 << 20}
    run = {
        verb: {"wall_s_per_megapixel": {"median": 1.234}, "peak_rss_bytes": memory[verb]}
        for verb in warm.VERBS
    }
    above = {"encode": 3.0, "decode": 4.0}
    size = {"megapixels": 0.01, "cold": run, "warm": run, "above_start_bytes_per_pixel": above}
    scaled = {
        "sizes": [size],
        "start_rss_bytes": memory,
        "exponent": {verb: {"wall": 1.02, "cpu": 1.01} for verb in warm.VERBS},
        "growth_bytes_per_pixel": {"encode": 12.0, "decode": 15.5},
    }
    absent = [{"codec": "jxl", "remedy": "pip install pillow-jxl-plugin"}]
    lines = speed.table({**compared, "absent": absent, "scaling": scaled}).splitlines()
    size_bytes = compared["comparison"]["codecs"]["vqcodec"]["coded_bytes"]
    assert lines[2].startswith("vqcodec ")
    assert lines[2].endswith(f" {size_bytes}")
    assert "jxl is absent: pip install pillow-jxl-plugin" in lines
    assert any(
        line.split()[0:1] + line.split()[-2:] == ["0.01", "400/500", "3/4"] for line in lines
    )
    assert "power of 1.02 (processor time: 1.01), peak memory grows by 15.5 bytes" in lines[-1]
    assert all(len(line) <= 132 for line in lines)
    bare = {**compared, "comparison": {**compared["comparison"], "ratios": {}}}
    assert "Times ours" not in speed.table(bare)

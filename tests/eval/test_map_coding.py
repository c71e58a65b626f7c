"""Timing the codings of the index map: what is told of whom; no time itself is tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eval import map_coding, speed
from eval.commands.speed import speed as command

PHOTO = np.arange(24 * 36 * 3, dtype=np.uint32).reshape(24, 36, 3).astype(np.uint8)
SMALL, LARGE = (32, 48), (64, 96)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_coding, "SMALL", SMALL)
    monkeypatch.setattr(map_coding, "LARGE", LARGE)


@pytest.fixture
def measured(tiny_context_pack: Path) -> dict[str, Any]:
    told: list[str] = []
    found = map_coding.measure(
        [PHOTO], [LARGE, SMALL], model=str(tiny_context_pack), threads=1, repeats=2,
        report=told.append,
    )  # fmt: skip
    assert told == [
        "coding the index map, 48x32: to get warm",
        "coding the index map, 48x32: round 1 of 2",
        "coding the index map, 48x32: round 2 of 2",
        "coding the index map, 96x64: round 1 of 2",
        "coding the index map, 96x64: round 2 of 2",
    ]
    return found


def test_every_coding_is_timed_each_way(measured: dict[str, Any]) -> None:
    rows = measured["rows"]
    wanted = [(48, 1), (48, 5), (48, 6), (96, 5), (96, 6)]  # the pack's default is 5
    assert [(row["width_px"], row["tier"], row["coding"]) for row in rows] == [
        (width, tier, coding) for width, tier in wanted for coding in ("fixed", "table", "context")
    ]
    for row in rows:
        assert row["indices"] == row["width_px"] * row["height_px"] // 256
        assert row["codebook_size"] == 4 << row["tier"]
        assert row["runs"] == 2
        for verb in ("encode", "decode"):
            wall = row[verb]["whole"]["wall_s"]
            assert 0 < wall["low"] <= wall["median"] <= wall["high"]
            assert (row[verb]["above_fixed"] is None) == (row["coding"] == "fixed")
        assert row["encode"]["alone"] == row["encode"]["above_fixed"]
        assert row["decode"]["alone"] == row["decode"]["whole"]
    assert measured["without_context"] == []
    assert [(fitted["tier"], fitted["coding"]) for fitted in measured["exponent"]] == [
        (tier, coding) for tier in (5, 6) for coding in ("table", "context")
    ]
    json.dumps(measured, allow_nan=False)


def test_the_excess_is_taken_within_a_round(tiny_pack: Path) -> None:
    def series(*walls: float) -> list[dict[str, float]]:
        return [{"wall_s": wall, "cpu_s": 1.0} for wall in walls]

    data = map_coding.vqcodec.encode(PHOTO, tier=1, coding="table", model=tiny_pack)
    costs = {(1, "fixed", "encode"): series(5, 7, 9), (1, "table", "encode"): series(6, 10, 9.5)}
    costs |= {(1, coding, "decode"): series(2, 3, 4) for coding in ("fixed", "table")}
    row = map_coding._row((24, 36), 1, "table", data, costs)
    assert row["encode"]["alone"]["wall_s"] == {"median": 1, "low": 0.5, "high": 3}
    assert row["decode"]["alone"]["wall_s"] == {"median": 3, "low": 2, "high": 4}
    assert row["decode"]["above_fixed"]["wall_s"] == {"median": 0, "low": 0, "high": 0}
    assert row["file_bytes"] == len(data)


def test_encodings_follow_encodings(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    encode, verify = map_coding.vqcodec.encode, map_coding.vqcodec.verify

    def encode_told(*arguments: Any, **options: Any) -> bytes:
        order.append(options["coding"])
        return encode(*arguments, **options)

    def verify_told(data: bytes, **options: Any) -> list[str]:
        order.append("verify")
        return verify(data, **options)

    monkeypatch.setattr(map_coding.vqcodec, "encode", encode_told)
    monkeypatch.setattr(map_coding.vqcodec, "verify", verify_told)
    found = map_coding.measure([PHOTO], [SMALL], model=str(tiny_pack), threads=1, repeats=1)
    each = ["fixed", "fixed", "table", "verify", "verify"]  # the first of them is not counted
    assert order == each * 3 * 2  # of three tiers, once to get warm
    assert {row["runs"] for row in found["rows"]} == {1}


def test_the_table_has_a_line_for_each(measured: dict[str, Any]) -> None:
    title, head, *rest = map_coding.lines(measured)
    assert title.startswith("Coding the index map alone: wall-clock seconds")
    assert head.split() == [
        "picture", "tier", "indices", "coding", "encode", "decode", "above", "fixed", "bytes",
    ]  # fmt: skip
    rows = rest[: len(measured["rows"])]
    assert {len(line) for line in (head, *rows)} == {len(head)}
    assert rows[0].split()[:5] == ["48x32", "1", "6", "fixed", "-"]
    assert rows[-1].split()[:4] == ["96x64", "6", "24", "context"]
    assert [line.partition(":")[0] for line in rest[len(rows) :]] == [
        "tier 5, table", "tier 5, context", "tier 6, table", "tier 6, context",
    ]  # fmt: skip
    assert all(len(line) <= 132 for line in (title, head, *rest))
    measured["exponent"][0]["encode"] = None
    assert map_coding.lines(measured)[2 + len(rows)].partition("of: ")[2].startswith("encode -,")


def test_a_pack_without_a_context_model_is_told(tiny_pack: Path) -> None:
    found = map_coding.measure([PHOTO], [SMALL], model=str(tiny_pack), threads=1, repeats=1)
    assert {row["coding"] for row in found["rows"]} == {"fixed", "table"}
    assert found["without_context"] == [1, 8, 9]
    assert map_coding.lines(found)[-1] == (
        "coding 'context' is left out: the pack has no context model for tiers 1, 8, 9"
    )


def test_what_the_package_refuses_is_told(tiny_pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure: Callable[..., dict[str, Any]] = map_coding.measure
    with pytest.raises(RuntimeError, match="no-such"):
        measure([PHOTO], [SMALL], model="no-such", threads=1, repeats=1)
    monkeypatch.setattr(map_coding.vqcodec, "verify", lambda data, model: ["packet 0: torn"])
    with pytest.raises(RuntimeError, match="damaged: packet 0: torn"):
        measure([PHOTO], [SMALL], model=str(tiny_pack), threads=1, repeats=1)


@pytest.mark.parametrize("option", [[], ["--coding-large"]])
def test_only_coding_runs_that_alone(
    tiny_context_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
) -> None:
    monkeypatch.delenv("VQCODEC_DATA", raising=False)
    out = tmp_path / "speed.json"
    done = CliRunner().invoke(
        command,
        ["--only", "coding", "--repeats", "1", "-m", str(tiny_context_pack), "--json", str(out),
         *option],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["schema"] == speed.SCHEMA
    assert found["settings"]["parts"] == ["coding"]
    assert found["comparison"] is None
    assert found["scaling"] is None
    widths = {row["width_px"] for row in found["map_coding"]["rows"]}
    assert widths == ({48, 96} if option else {48})
    assert done.stdout == speed.table(found) + "\n"
    assert done.stdout.startswith("Coding the index map alone")


def test_results_of_any_part_can_still_be_shown(root: Path) -> None:
    found = sorted((root / "eval" / "results").glob("speed-*.json"))
    heads = {path.name: speed.table(json.loads(path.read_text(encoding="utf-8"))) for path in found}
    assert len(heads) >= 2
    for name, text in heads.items():
        is_part = name.startswith("speed-coding-")
        assert text.startswith("Coding the index map alone" if is_part else "768x512: "), name

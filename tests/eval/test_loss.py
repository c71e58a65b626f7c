"""Damaged files: the same losses for all, counted exactly, decoded once; with random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from eval import loss, loss_bench, loss_plan, loss_plots, loss_rows, metrics
from eval.__main__ import main
from eval.codecs.base import CodecError
from eval.loss_bench import Bench, Setup, missing
from eval.loss_plan import Cell
from eval.loss_rows import COLUMNS, Outcome, figures, summarise
from eval.metrics.classic import Psnr

SIDES = {"a": (192, 256), "b": (256, 192), "c": (130, 381)}
PACKETS = 4


class Distance:
    """Stands for LPIPS, whose weights are not at hand everywhere."""

    name, source, higher_is_better, min_side = "lpips_alex", "a stand-in", False, 1

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
        return float(np.abs(original.astype(float) - decoded).mean() / 255)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metrics, "load", lambda names, weights: ([Psnr(), Distance()], {}))
    loss_bench._meters.cache_clear()
    yield
    loss_bench._meters.cache_clear()


def picture(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = 90 + 60 * np.sin(x / 9) + 40 * np.sin(y / 14 + x * y / 900)
    return np.stack([waves, waves + 40, waves / 2 + width / 8], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, sides in SIDES.items():
        Image.fromarray(picture(*sides)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def setup(tiny_context_pack: Path) -> Setup:
    return Setup(str(tiny_context_pack), PACKETS, None)


def measure(photos: Path, pack: Path, *more: object) -> Result:
    asked = {"--data": photos, "--model": pack, "--jobs": 1, "--packets": PACKETS, "--tiers": 6}
    asked |= {"--seeds": 3, "--few": 1} | dict(zip(more[::2], more[1::2], strict=True))
    flat = [str(part) for pair in asked.items() for part in pair]
    return CliRunner(env={"VQCODEC_DATA": "", "VQCODEC_WEIGHTS": ""}).invoke(main, ["loss", *flat])


# What is measured


def test_the_plan_meets_every_rate_and_compares_equal_bytes() -> None:
    cells = loss_plan.plan([4, 8], range(1, 12), loss_plan.RESTORERS, 10, 2, {4: 2, 8: 6})
    assert len(cells) == len(set(cells)) == 2 * (1 + 2 * 10 + 2 + 1 + 10) + 9 * 3
    iid = [c for c in cells if (c.tier, c.has_parity, c.channel) == (8, False, "iid")]
    assert {(c.loss, c.seeds) for c in iid if c.restorer == "transformer"} == {
        (0.05, 2), (0.1, 10), (0.2, 10), (0.3, 2), (0.5, 10),
    }  # fmt: skip
    assert [(c.loss, c.seeds) for c in iid if c.restorer == "none"] == [(0.2, 1)]
    parity = [c for c in cells if c.has_parity]
    assert {(c.tier, c.file_tier) for c in parity} == {(4, 2), (8, 6)}
    assert {c.restorer for c in parity if c.channel} == {"transformer"}
    assert {(c.loss, c.seeds) for c in parity if c.channel == "iid"} == {
        (0.05, 2), (0.1, 10), (0.2, 10), (0.3, 2), (0.5, 10),
    }  # fmt: skip
    assert [c.seeds for c in cells if c.tier == 11] == [1, 1, 1]


def test_a_seed_hangs_on_image_and_turn() -> None:
    seeds = {loss_plan.seed(n, turn) for n in range(3) for turn in range(1000)}
    assert seeds == set(range(3000))


@pytest.mark.parametrize("name", SIDES)
def test_parity_keeps_to_the_bytes_of_the_tier_above(name: str, setup: Setup) -> None:
    pixels = picture(*SIDES[name])
    for packets in (4, 8):
        for tier, lower in ((6, 2), (6, 5), (3, 2)):
            asked = (*SIDES[name], tier, lower, packets, setup.model)
            parity = loss_plan.n_parity(*asked)
            budget = len(loss_bench.encode(pixels, tier, setup, packets=packets))
            sizes = [
                len(loss_bench.encode(pixels, lower, setup, n, packets))
                for n in (parity, parity + 1)
            ]
            assert sizes[0] <= budget < sizes[1]


def test_the_highest_tier_below_with_room_for_two_is_taken(setup: Setup) -> None:
    tiers, sides = range(1, 7), [(512, 512), (1024, 1024)]
    found = loss_plan.below([1, 6], tiers, sides, PACKETS, setup.model)
    assert list(found) == [6]  # there is none below 1
    rooms = {
        lower: min(loss_plan.n_parity(*s, 6, lower, PACKETS, setup.model) for s in sides)
        for lower in range(1, 6)
    }
    assert found[6] == max(lower for lower, n in rooms.items() if n >= 2)


# What is lost


@pytest.mark.parametrize("parity", [0, 2])
def test_what_is_missing_is_what_the_decoder_misses(setup: Setup, parity: int) -> None:
    data = loss_bench.encode(picture(96, 128), 3, setup, parity)
    seen = set()
    for turn in range(40):
        left = vqcodec.impair(data, loss=0.5, seed=turn)
        gone = missing(data, left)
        seen.add(len(gone))
        if len(gone) < PACKETS:
            assert gone == set(loss_bench.decode(left, setup, "neighbour").losses.missing)
        else:
            with pytest.raises(CodecError):
                loss_bench.decode(left, setup, "neighbour")
    assert {0, 4} < seen


def fake(monkeypatch: pytest.MonkeyPatch, n_wrong: int) -> list[str | None]:
    """Make the decoder fill all gaps right but the first few; return what it was asked for."""
    asked: list[str | None] = []
    real = loss_bench.decode

    def decode(data: bytes, setup: Setup, restorer: str | None = None) -> Any:
        asked.append(restorer)
        found = real(data, setup, restorer and "neighbour")
        if restorer is None:
            decode.whole = found  # type: ignore[attr-defined]
            return found
        whole: Any = decode.whole  # type: ignore[attr-defined]
        indices = whole.indices.copy()
        wrong = tuple(part[:n_wrong] for part in np.nonzero(found.erased))
        indices[wrong] = (indices[wrong] + 1) % 8
        return SimpleNamespace(
            pixels=whole.pixels, indices=indices, erased=found.erased, entropy_bits=1.5
        )

    monkeypatch.setattr(loss_bench, "decode", decode)
    return asked


def test_indices_that_are_right_are_counted_where_they_were_lost(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(monkeypatch, 5)
    pixels = picture(96, 128)  # 48 indices in four packets of 12
    data = loss_bench.encode(pixels, 3, setup)
    bench = Bench(pixels, data, setup)
    packets = vqcodec.describe(data).packets
    found = bench.outcome(data, data[: packets[2].offset], "transformer")
    assert found == Outcome(
        bench.undamaged.lpips, bench.undamaged.psnr, 48, 24, 19, 1.5, is_nothing=False
    )


def test_a_set_of_lost_packets_is_decoded_once(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake(monkeypatch, 0)
    pixels = picture(96, 128)
    data = loss_bench.encode(pixels, 3, setup)
    with_parity = loss_bench.encode(pixels, 3, setup, 2)
    offsets = [packet.offset for packet in vqcodec.describe(with_parity).packets]
    bench = Bench(pixels, data, setup)
    assert asked == [None]

    def left(*kept: int) -> bytes:
        ends = [*offsets, len(with_parity)]
        return with_parity[:4] + b"".join(with_parity[offsets[k] : ends[k + 1]] for k in kept)

    for kept, restorer, decodes in (
        ((0, 1, 2, 3), "transformer", 1),  # nothing is lost
        ((1, 2, 3, 5), "transformer", 1),  # parity gives it back
        ((), "transformer", 1),  # nothing arrived
        ((4, 5), "transformer", 1),  # nothing that could be decoded
        ((1, 2, 3), "transformer", 2),
        ((1, 2, 3), "neighbour", 3),
        ((1, 3, 4), "transformer", 4),
        ((1, 3), "transformer", 4),  # the same data packets, without the parity that does not help
    ):
        bench.outcome(with_parity, left(*kept), restorer)
        assert (len(asked), bench.n_decoded) == (decodes, decodes), kept
    assert bench.outcome(with_parity, left(1, 2, 3, 5), "neighbour") is bench.undamaged
    nothing = bench.outcome(with_parity, left(), "neighbour")
    assert (nothing.n_erased, nothing.n_right, nothing.is_nothing) == (48, 0, True)
    assert nothing.lpips == Distance()(pixels, np.full_like(pixels, 128))


# What is told


def test_figures_bring_seeds_together() -> None:
    found = figures(
        900,
        [
            Outcome(0.2, 20.0, 40, 10, 5, 2.0, False),
            Outcome(0.4, 24.0, 40, 30, 5, 4.0, False),
            Outcome(0.9, 10.0, 40, 40, 0, None, True),
            Outcome(0.1, None, 40, 0, 0, None, False),
        ],
    )
    assert astuple(found) == (
        900, 0.4, round(np.std([0.2, 0.4, 0.9, 0.1], ddof=1), 5), 18.0, 7.2111,
        10 / 80, (10 * 2 + 30 * 4) / 40, 0.5, 0.25,
    )  # fmt: skip
    assert astuple(figures(9, [Outcome(None, None, 4, 0, 0, None, False)])) == (
        9, None, None, None, None, None, None, 0, 0,
    )  # fmt: skip


def row(lpips: float | None, accuracy: float | None = None) -> list[float | None]:
    return [100, lpips, None, 20.0, None, accuracy, None, 0.0, 0.0]


def test_increases_are_over_the_same_images_file_without_parity() -> None:
    cells = [
        Cell(6, 6, False, None, 0.0, None, 1),
        Cell(6, 6, False, "iid", 0.2, "neighbour", 3),
        Cell(6, 4, True, None, 0.0, None, 1),
    ]
    rows = [[row(0.3), row(0.4, 0.5), row(0.35)], [row(None), row(0.6), row(0.65)]]
    found = summarise(cells, rows)
    assert [cell["lpips_increase"] for cell in found] == [0.0, 0.1, 0.05]
    assert [cell["lpips_alex"] for cell in found] == [0.3, 0.5, 0.5]
    assert [cell["accuracy"] for cell in found] == [None, 0.5, None]
    assert found[1]["images"] == 2
    assert loss_plots.lines({"summary": found}, 6, "iid", "lpips_alex") == {
        "neighbour": [(20.0, 0.5)]  # one rate alone is a point
    }
    assert len({len(line) for line in loss_rows.table({"summary": found}).splitlines()}) == 1


# The command


@pytest.fixture(scope="module")
def made(
    photos: Path, tiny_context_pack: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Result, Path]:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "load", lambda names, weights: ([Psnr(), Distance()], {}))
        out, plots = folder / "loss.json", folder / "plots"
        done = measure(photos, tiny_context_pack, "--out", out, "--plots", plots)
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text(encoding="utf-8")), done, plots


def test_results_hold_what_was_measured(made: tuple[dict[str, Any], Result, Path]) -> None:
    found, done, plots = made
    assert found["schema"] == loss.SCHEMA
    assert found["settings"]["images"] == list(SIDES)
    assert (found["settings"]["tiers"], found["failed"]) == ([6], [])
    assert found["columns"] == list(COLUMNS)
    assert "has no restorer" in found["absent"]["transformer"]
    assert "left out: restorer transformer: " in done.stderr
    assert {cell["restorer"] for cell in found["summary"]} == {None, "neighbour", "mean", "none"}
    assert {cell["tier"] for cell in found["summary"]} == set(range(1, 7))
    assert 0 < found["decodes"]["decoded"] < found["decodes"]["losses"]
    below = {entry["tier"]: entry["file_tier"] for entry in found["settings"]["parity"]}
    assert 1 <= below[6] <= 5
    assert min(min(entry["packets"].values()) for entry in found["settings"]["parity"]) >= 2
    whole, *with_parity = (c for c in found["summary"] if c["tier"] == 6 and not c["channel"])
    assert [c["size_bytes"] <= whole["size_bytes"] for c in with_parity] == [True]
    cells = loss_plan.plan([6], range(1, 7), ["neighbour"], 3, 1, below)
    assert summarise(cells, [row["figures"] for row in found["rows"]]) == found["summary"]
    for path in ("loss-lpips_alex.png", "loss-accuracy.png", "loss-strip.jpg"):
        with Image.open(plots / path) as image:
            assert image.width > 1000
    assert done.stdout.splitlines()[0].endswith("3 images, means over images")


def test_a_cell_is_what_the_package_does(
    made: tuple[dict[str, Any], Result, Path], photos: Path, tiny_context_pack: Path
) -> None:
    found, _, _ = made
    cell = {"tier": 6, "channel": "iid", "loss": 0.5, "restorer": "neighbour", "has_parity": False}
    (place,) = (n for n, c in enumerate(found["summary"]) if cell.items() <= c.items())
    pixels = np.asarray(Image.open(photos / "b.png"))
    data = vqcodec.encode(
        pixels, tier=6, n_packets=PACKETS, coding="fixed", model=tiny_context_pack
    )
    whole = vqcodec.decode_with_losses(data, model=tiny_context_pack, device="cpu", threads=1)
    distances, right, erased = [], 0, 0
    for turn in range(3):
        left = vqcodec.impair(data, loss=0.5, seed=1000 + turn)
        if len(left) == 4:
            distances.append(Distance()(pixels, np.full_like(pixels, 128)))
            erased += whole.indices.size
            continue
        got = vqcodec.decode_with_losses(left, restorer="neighbour", model=tiny_context_pack)
        distances.append(Distance()(pixels, got.pixels))
        erased += got.erased.sum()
        right += (got.indices == whole.indices)[got.erased].sum()
    told = dict(zip(COLUMNS, found["rows"][1]["figures"][place], strict=True))
    assert told["size_bytes"] == len(data)
    assert told["lpips_alex"] == pytest.approx(np.mean(distances), abs=1e-5)
    assert told["lpips_std"] == pytest.approx(np.std(distances, ddof=1), abs=1e-5)
    assert told["accuracy"] == round(right / erased, 5)


def test_two_runs_say_the_same(
    made: tuple[dict[str, Any], Result, Path],
    photos: Path,
    tiny_context_pack: Path,
    tmp_path: Path,
) -> None:
    asked = ("--out", tmp_path / "loss.json", "--journal", tmp_path / "known.jsonl")
    for kept in (0, 18, 7):  # afresh, with all of the journal, with a part of it
        done = measure(photos, tiny_context_pack, *asked)
        assert done.exit_code == 0, done.output
        assert (f"known from before: {kept} of 18 files" in done.stderr) == bool(kept)
        assert done.stderr.count(" decoded\n") == 18 - kept
        found = json.loads((tmp_path / "loss.json").read_text(encoding="utf-8"))
        for results in (found, made[0]):
            results["provenance"] = {**results["provenance"], "date": None, "commit": None}
        assert found == made[0]
        lines = (tmp_path / "known.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        assert len(lines) == (19 if kept == 7 else 18)  # and half a line
        if kept == 18:
            (tmp_path / "known.jsonl").write_text("".join(lines[:7]) + lines[7][:50])
    done = measure(photos, tiny_context_pack, *asked, "--few", 2)
    # All but those of the tier in focus, and of the tier with parity in its bytes.
    assert "known from before: 12 of 18 files" in done.stderr


def test_an_image_keeps_its_losses_where_another_cannot_be_read(
    made: tuple[dict[str, Any], Result, Path],
    photos: Path,
    tiny_context_pack: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_text("no image")
    (tmp_path / "b.png").write_bytes((photos / "b.png").read_bytes())
    (tmp_path / "c.png").write_bytes((photos / "c.png").read_bytes())
    out = tmp_path / "loss.json"
    done = measure(tmp_path, tiny_context_pack, "--out", out, "--limit", 2)
    assert done.exit_code == 3, done.output
    assert "left out: a.png: no image" in done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [entry["image"] for entry in found["failed"]] == ["a.png"]
    assert found["settings"]["images"] == ["b"]
    # Without a and c another tier may have room for parity: what is there without it is the same.
    plain = [n for n, cell in enumerate(found["summary"]) if not cell["has_parity"]]
    mine, before = found["rows"][0]["figures"], made[0]["rows"][1]["figures"]
    was = [n for n, cell in enumerate(made[0]["summary"]) if not cell["has_parity"]]
    assert [mine[n] for n in plain] == [before[n] for n in was]


def test_a_restorer_that_is_there_and_fails_ends_the_run(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(data: bytes, setup: Setup, restorer: str | None = None) -> Any:
        if restorer == "transformer":
            raise CodecError("broken")
        return SimpleNamespace(pack=SimpleNamespace(manifest=manifest))

    monkeypatch.setattr(loss, "decode", decode)
    manifest = SimpleNamespace(restorer=None)
    assert loss.restorers(setup, 3, loss_plan.RESTORERS) == (
        ["neighbour"], {"transformer": "broken"}, None,
    )  # fmt: skip
    manifest = SimpleNamespace(restorer=SimpleNamespace(sha256="ab"))
    with pytest.raises(CodecError, match="broken"):
        loss.restorers(setup, 3, loss_plan.RESTORERS)


def test_what_cannot_be_measured_is_said_in_a_line(
    photos: Path, tiny_context_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, pack, more, code, message in (
        (photos, tiny_context_pack, ("--tiers", "7"), 1, "has no tier 7"),
        (photos, tiny_context_pack, ("--packets", "5"), 1, "5 packets: the format has"),
        (photos, tiny_context_pack, ("--packets", "1"), 2, "1 is not in the range"),
        (photos, tiny_context_pack, ("--strip-image", "z"), 2, "there is no image 'z'"),
        (photos, tmp_path / "none", (), 1, "none"),
        (tmp_path, tiny_context_pack, (), 1, f"no image in {tmp_path}"),
    ):
        done = measure(folder, pack, *more)
        assert done.exit_code == code, done.output
        assert message in done.stderr
        assert "Traceback" not in done.output
    monkeypatch.setattr(metrics, "load", lambda names, weights: ([], {"lpips_alex": "get it"}))
    done = measure(photos, tiny_context_pack)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, "Error: no lpips_alex: get it")

"""Seconds that coding the index map alone takes, by coding mode and tier, each way.

Through public names only. Decoding is `vqcodec.verify`: checksums, then payload to index map, no
network. Encoding is what `vqcodec.encode` takes in a coding above what it takes in "fixed", for the
same pixels at the same tier and in the same round: network and pack are in both, packing bits costs
next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vqcodec
from eval import images
from eval.codecs import vqc
from eval.codecs.base import CodecError
from eval.rounds import TIMES, Cost, exponent, spread, take_turns
from eval.warm import VERBS

SMALL = (512, 768)  # of the picture that is always timed, as Kodak's
LARGE = (4000, 6000)
CODINGS: dict[str, dict[str, Any]] = {
    "fixed": {"coding": "fixed"},
    "table": {"coding": "table"},
    "context": {"coding": "context", "rdo": 0},  # with a weight, choosing indices would count
}
Shape = tuple[int, int]
Costs = Mapping[tuple[int, str, str], Sequence[Cost]]  # by tier, coding and verb


class _File:
    """A picture at a tier in a coding; `data` is its file once it was encoded."""

    def __init__(
        self, pixels: NDArray[np.uint8], tier: int, coding: str, model: str | None, threads: int
    ) -> None:
        self.data = b""
        self.model = model
        self._encode: Callable[[], bytes] = partial(
            vqcodec.encode, pixels, tier=tier, model=model, threads=threads, device="cpu",
            **CODINGS[coding],
        )  # fmt: skip

    def run(self, verb: str) -> Cost:
        """Encode, or take the file to its index map.

        Raises:
            RuntimeError: the package refuses, or finds the file damaged.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        wrong: list[str] = []
        try:
            if verb == "encode":
                self.data = self._encode()
            else:
                wrong = vqcodec.verify(self.data, model=self.model)
        except vqcodec.VqcError as error:
            raise RuntimeError(str(error)) from error
        taken = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        if wrong:
            raise RuntimeError(f"a file that was just made is damaged: {wrong[0]}")
        return taken


def measure(
    photos: Sequence[NDArray[np.uint8]],
    shapes: Sequence[Shape],
    *,
    model: str | None,
    threads: int,
    repeats: int,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time the codings of the index map, in turns.

    Args:
        photos: that the pictures are made of; those of up to `SMALL` of the first alone.
        shapes: height and width of the pictures. Up to `SMALL`, the pack's lowest, default and
            largest tier are timed, above it the last two.
        model: a pack's name or folder; None takes the default.
        threads: for the networks.
        repeats: rounds; each encodes and decodes once per tier and coding.
        report: is told of every round.

    Returns:
        "rows", one per picture, tier and coding, see `_row`; "exponent", per "tier" and "coding"
        that two pictures have, of the seconds above fixed over indices, by verb; "without_context":
        the tiers that have no context model and so no such row.

    Raises:
        RuntimeError: the package refuses.
    """
    try:
        told = vqc.show(model)
    except CodecError as error:
        raise RuntimeError(str(error)) from error
    tiers = [entry["tier"] for entry in told["tiers"]]
    rows: list[dict[str, Any]] = []
    without: set[int] = set()
    for height, width in sorted(set(shapes)):
        is_small = height * width <= SMALL[0] * SMALL[1]
        asked = {told["default_tier"], max(tiers), *([min(tiers)] if is_small else [])}
        without |= asked - set(told["context_tiers"])
        pixels = images.mosaic(photos[:1] if is_small else photos, height, width)
        files = {
            (tier, coding): _File(pixels, tier, coding, model, threads)
            for tier in sorted(asked)
            for coding in CODINGS
            if coding != "context" or tier in told["context_tiers"]
        }
        actions: dict[tuple[int, str, str], Callable[[], Cost]] = {}
        for tier in sorted(asked):
            if is_small:  # not to be timed: networks start slower after other work than after these
                actions[tier, "fixed", "before"] = partial(files[tier, "fixed"].run, "encode")
            for verb in VERBS:
                for coding in CODINGS:
                    if (tier, coding) in files:
                        actions[tier, coding, verb] = partial(files[tier, coding].run, verb)

        def tell(line: str, place: str = f"coding the index map, {width}x{height}") -> None:
            report(f"{place}: {line}")

        if is_small or not rows:  # so that all is warm; large pictures mostly follow small ones
            tell("to get warm")
            take_turns(actions, 1)
        costs = take_turns(actions, repeats, tell)
        rows += [
            _row((height, width), tier, coding, file.data, costs)
            for (tier, coding), file in files.items()
        ]
    return {"rows": rows, "exponent": _exponents(rows), "without_context": sorted(without)}


def _row(shape: Shape, tier: int, coding: str, data: bytes, costs: Costs) -> dict[str, Any]:
    """Sum up a picture at a tier in a coding.

    Returns:
        What it is, "file_bytes", "runs" and three times per verb, each with the median, the lowest
        and the highest of the rounds: "whole", what the call took; "above_fixed", its excess over
        the same call in coding fixed, null for that; "alone", which stands for coding the map by
        itself: the whole of decoding, the excess of encoding.
    """
    stream = vqcodec.describe(data)
    verbs: dict[str, Any] = {}
    for verb in VERBS:
        spent, fixed = costs[tier, coding, verb], costs[tier, "fixed", verb]
        whole = {unit: spread([cost[unit] for cost in spent]) for unit in TIMES}
        above = {
            unit: spread([cost[unit] - base[unit] for cost, base in zip(spent, fixed, strict=True)])
            for unit in TIMES
        }
        excess = None if coding == "fixed" else above
        alone = excess if verb == "encode" else whole
        verbs[verb] = {"alone": alone, "above_fixed": excess, "whole": whole}
    return {
        "width_px": shape[1],
        "height_px": shape[0],
        "tier": tier,
        "codebook_size": stream.codebook_size,
        "indices": sum(packet.num_indices for packet in stream.packets),
        "coding": coding,
        "file_bytes": stream.size_bytes,
        "runs": len(costs[tier, coding, "encode"]),
        **verbs,
    }


def _exponents(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each tier and coding of which there are rows of two sizes; null where one is no time."""
    series: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["coding"] != "fixed":
            series.setdefault((row["tier"], row["coding"]), []).append(row)
    return [
        {
            "tier": tier,
            "coding": coding,
            **{
                verb: exponent(
                    [row["indices"] for row in found],
                    [row[verb]["above_fixed"]["wall_s"]["median"] for row in found],
                )
                for verb in VERBS
            },
        }
        for (tier, coding), found in series.items()
        if len(found) > 1
    ]


def lines(found: dict[str, Any]) -> list[str]:
    """Lay out what `measure` returns."""
    out = [
        "Coding the index map alone: wall-clock seconds, median (lowest to highest) of rounds",
        _line("picture", "tier", "indices", "coding", "encode", "decode", "above fixed", "bytes"),
    ]
    for row in found["rows"]:
        times = (row["encode"]["alone"], row["decode"]["alone"], row["decode"]["above_fixed"])
        out.append(
            _line(
                f"{row['width_px']}x{row['height_px']}", row["tier"], row["indices"],
                row["coding"], *map(_seconds, times), row["file_bytes"],
            )
        )  # fmt: skip
    for fitted in found["exponent"]:
        powers = (
            f"{verb} {'-' if fitted[verb] is None else format(fitted[verb], '.2f')}"
            for verb in VERBS
        )
        out.append(
            f"tier {fitted['tier']}, {fitted['coding']}: time above fixed goes with indices to the "
            f"power of: {', '.join(powers)}"
        )
    if found["without_context"]:
        tiers = ", ".join(map(str, found["without_context"]))
        out.append(f"coding 'context' is left out: the pack has no context model for tiers {tiers}")
    return out


def _line(picture: str, tier: object, indices: object, coding: str, *rest: object) -> str:
    *times, size = rest
    cells = "".join(f"{cell:>27}" for cell in times)
    return f"{picture:<11}{tier!s:>5}{indices!s:>9}  {coding:<8}{cells}{size!s:>10}"


def _seconds(times: dict[str, dict[str, float]] | None) -> str:
    if times is None:
        return "-"
    wall = {name: f"{round(value, 3) + 0.0:.3f}" for name, value in times["wall_s"].items()}
    return f"{wall['median']} ({wall['low']} to {wall['high']})"

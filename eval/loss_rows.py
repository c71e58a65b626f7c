"""What was measured of damaged files: a row's figures, means per cell, and the printed table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.loss_plan import Cell

DIGITS = 5  # that figures are rounded to


@dataclass(frozen=True)
class Outcome:
    """One image after one loss.

    Attributes:
        lpips: of the decoded picture; None where the metric is not defined.
        psnr: the same.
        n_indices: of the index map.
        n_erased: of them, lost ones.
        n_right: of the lost ones, those that were filled in right.
        entropy_bits: what the network does not know of a lost index; None where it was not asked.
        is_nothing: whether no index arrived; the picture is then mid-grey.
    """

    lpips: float | None
    psnr: float | None
    n_indices: int
    n_erased: int
    n_right: int
    entropy_bits: float | None
    is_nothing: bool


@dataclass(frozen=True)
class Figures:
    """One image in one cell, over seeds; a row of the results holds the values in this order.

    Attributes:
        size_bytes: of the whole file.
        lpips_alex: mean; like all others None where there is nothing to take it of.
        lpips_std: sample deviation over seeds.
        psnr_db: mean.
        psnr_std: sample deviation.
        accuracy: share of the lost indices of all seeds that were filled in right.
        entropy_bits: mean over the lost indices that the network was asked for.
        erased: mean share of lost indices.
        nothing: share of seeds of which nothing arrived.
    """

    size_bytes: int
    lpips_alex: float | None
    lpips_std: float | None
    psnr_db: float | None
    psnr_std: float | None
    accuracy: float | None
    entropy_bits: float | None
    erased: float
    nothing: float


COLUMNS = tuple(Figures.__dataclass_fields__)


def figures(size_bytes: int, outcomes: Sequence[Outcome]) -> Figures:
    """Bring an image's seeds together.

    Args:
        size_bytes: of the file before the channel.
        outcomes: one per seed.
    """
    n_erased = sum(outcome.n_erased for outcome in outcomes)
    asked = [(o.n_erased, o.entropy_bits) for o in outcomes if o.entropy_bits is not None]
    n_asked = sum(count for count, _ in asked)
    lpips, psnr = [o.lpips for o in outcomes], [o.psnr for o in outcomes]
    return Figures(
        size_bytes=size_bytes,
        lpips_alex=_mean(lpips),
        lpips_std=_deviation(lpips),
        psnr_db=_mean(psnr),
        psnr_std=_deviation(psnr),
        accuracy=_round(sum(o.n_right for o in outcomes) / n_erased) if n_erased else None,
        entropy_bits=_round(sum(n * bits for n, bits in asked) / n_asked) if n_asked else None,
        erased=_round(statistics.fmean(o.n_erased / o.n_indices for o in outcomes)),
        nothing=_round(statistics.fmean(o.is_nothing for o in outcomes)),
    )


def summarise(
    cells: Sequence[Cell], rows: Sequence[Sequence[Sequence[float | None]]]
) -> list[dict[str, Any]]:
    """Means over images.

    Args:
        cells: of the run.
        rows: per image a list of values per cell, in the order of `COLUMNS`.

    Returns:
        Per cell its fields, "images", the means of `COLUMNS` over the images that have the figure,
        and "lpips_increase" over the same image's undamaged file of `tier` without parity.
    """
    undamaged = {
        cell.tier: place
        for place, cell in enumerate(cells)
        if cell.channel is None and not cell.has_parity
    }
    lpips = COLUMNS.index("lpips_alex")
    told = []
    for place, cell in enumerate(cells):
        mine = [row[place] for row in rows]
        columns = zip(COLUMNS, zip(*mine, strict=True), strict=True)
        means = {name: _mean(values) for name, values in columns}
        pairs = [(row[place][lpips], row[undamaged[cell.tier]][lpips]) for row in rows]
        increase = _mean([a - b for a, b in pairs if a is not None and b is not None])
        told.append(asdict(cell) | {"images": len(rows)} | means | {"lpips_increase": increase})
    return told


def _round(value: float) -> float:
    return round(value, DIGITS)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return _round(statistics.fmean(known)) if known else None


def _deviation(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return _round(statistics.stdev(known)) if len(known) > 1 else None


def table(found: Mapping[str, Any]) -> str:
    """Lay the means out: a line a cell, columns of fixed width."""
    head = ["tier", "file", "channel", "loss %", "restorer", "seeds", "bytes", "LPIPS", "increase"]
    head += ["±seeds", "PSNR", "right %", "entropy", "erased %", "nothing %"]
    lines = [head, *(_line(cell) for cell in found["summary"])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def _line(cell: Mapping[str, Any]) -> list[str]:
    return [
        str(cell["tier"]),
        f"{cell['file_tier']}+parity" if cell["has_parity"] else str(cell["file_tier"]),
        cell["channel"] or "-",
        f"{100 * cell['loss']:.0f}",
        cell["restorer"] or "-",
        str(cell["seeds"]),
        f"{cell['size_bytes']:.0f}",
        _shown(cell["lpips_alex"], 4),
        _shown(cell["lpips_increase"], 4),
        _shown(cell["lpips_std"], 4),
        _shown(cell["psnr_db"], 2),
        _shown(cell["accuracy"], 1, 100),
        _shown(cell["entropy_bits"], 2),
        _shown(cell["erased"], 1, 100),
        _shown(cell["nothing"], 1, 100),
    ]


def _shown(value: float | None, digits: int, scale: float = 1) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"

"""What was counted of our files by coding: means per tier, savings, and the printed table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval import images

PACKETS = (4, 20)  # of files to be torn apart, beside those of one packet


@dataclass(frozen=True)
class Size:
    """Bytes of a file, and of its coded indices."""

    size_bytes: int
    payload_bytes: int


@dataclass(frozen=True)
class Row:
    """One image at one tier.

    Attributes:
        indices: that a file holds.
        sizes: by file: "fixed", "table" and "context" (rdo 0), "fixed/4" and so on in that many
            packets, "rdo default" and so on with the weight of bits.
        sha256: of all files that were made, one after the other, 16 hexadecimal digits.
    """

    image: str
    height_px: int
    width_px: int
    tier: int
    codebook_size: int
    indices: int
    sizes: dict[str, Size]
    sha256: str


def summarise(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Means over images per tier, and what they say; savings are of mean whole files, in %.

    Returns:
        Per tier: "tier", "codebook_size", "images"; "size_bytes" and "bpp", means by file;
        "bits_per_index", of payloads, "fixed" being log2 K; "saving_percent" of context against
        fixed, that of the "worst" image with its saving, "larger", on how many images context takes
        more; "rdo": per weight the saving against context with rdo 0; "packets": per number of
        packets the saving against fixed in as many, and "kept_percent", which share of the payload
        bytes saved in one packet is saved.
    """
    return [
        _means([row for row in rows if row.tier == tier])
        for tier in sorted({row.tier for row in rows})
    ]


def _means(rows: Sequence[Row]) -> dict[str, Any]:
    files = list(rows[0].sizes)
    size = {file: statistics.fmean(row.sizes[file].size_bytes for row in rows) for file in files}
    payload = {
        file: statistics.fmean(row.sizes[file].payload_bytes for row in rows) for file in files
    }
    indices = statistics.fmean(row.indices for row in rows)
    by_image = {
        row.image: _saving({file: row.sizes[file].size_bytes for file in files}, "context", "fixed")
        for row in rows
    }
    worst = min(by_image, key=lambda image: by_image[image])
    return {
        "tier": rows[0].tier,
        "codebook_size": rows[0].codebook_size,
        "images": len(rows),
        "size_bytes": {file: round(size[file], 3) for file in files},
        "bpp": {file: round(_bpp(rows, file), 6) for file in files},
        "bits_per_index": {
            "fixed": rows[0].codebook_size.bit_length() - 1,
            **{f: round(8 * payload[f] / indices, 4) for f in files if f in ("table", "context")},
        },
        "saving_percent": _saving(size, "context", "fixed"),
        "worst": {"image": worst, "saving_percent": by_image[worst]},
        "larger": sum(saving < 0 for saving in by_image.values()),
        "rdo": {
            file.removeprefix("rdo "): _saving(size, file, "context")
            for file in files
            if file.startswith("rdo ")
        },
        "packets": {
            str(n): {
                "saving_percent": _saving(size, f"context/{n}", f"fixed/{n}"),
                "kept_percent": _kept(payload, n),
            }
            for n in PACKETS
        },
    }


def _bpp(rows: Sequence[Row], file: str) -> float:
    return statistics.fmean(
        images.bits_per_pixel(row.sizes[file].size_bytes, row.height_px, row.width_px)
        for row in rows
    )


def _kept(payload: Mapping[str, float], packets: int) -> float | None:
    """Share of what is saved in one packet, in %; None where nothing is."""
    gained = payload["fixed"] - payload["context"]
    left = payload[f"fixed/{packets}"] - payload[f"context/{packets}"]
    return round(100 * left / gained, 3) if gained > 0 else None


def _saving(sizes: Mapping[str, float], file: str, against: str) -> float:
    return round(100 * (1 - sizes[file] / sizes[against]), 3)


def table(found: Mapping[str, Any]) -> str:
    """Lay the means out: a line a tier, columns of fixed width."""
    weights = list(found["summary"][0]["rdo"])
    head = ["tier", "words", "fixed", "table", "context", "fixed bpp", "context", "saving %"]
    head += ["worst %", "larger", *(f"rdo {w} %" for w in weights)]
    for n in PACKETS:
        head += [f"{n} pkts %", "kept %"]
    lines = [head]
    for tier in found["summary"]:
        cells = [str(tier["tier"]), str(tier["codebook_size"])]
        cells += [f"{bits:.3f}" for bits in tier["bits_per_index"].values()]
        cells += [f"{tier['bpp'][file]:.4f}" for file in ("fixed", "context")]
        cells += [f"{tier['saving_percent']:.2f}", f"{tier['worst']['saving_percent']:.2f}"]
        cells += [str(tier["larger"]), *(f"{tier['rdo'][weight]:.2f}" for weight in weights)]
        for told in tier["packets"].values():
            kept = told["kept_percent"]
            cells += [f"{told['saving_percent']:.2f}", "-" if kept is None else f"{kept:.1f}"]
        lines.append(cells)
    widths = [max(8, len(name)) for name in head]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )

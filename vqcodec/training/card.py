"""A pack's card: what it is, what it measures, where it comes from, for people.

It is a start: known failures and pictures are added by hand, by someone who has looked.
"""

from __future__ import annotations

from collections.abc import Sequence

from vqcodec.packs.manifest import Manifest
from vqcodec.training.measure import Row


def card(manifest: Manifest, n_parameters: int, rows: Sequence[Row], measured_on: str) -> str:
    """Write the text of `CARD.md`.

    Args:
        manifest: of the pack.
        n_parameters: of the network.
        rows: measurements per tier, or none.
        measured_on: what they were measured on.
    """
    size = manifest.weights_size_bytes
    lines = [
        f"# {manifest.name}",
        "",
        manifest.summary,
        "",
        f"- Network: {manifest.net_kind}, {n_parameters / 1e6:.1f} million weights, stride "
        f"{manifest.stride}",
        f"- Weights: {size:,} bytes, sha256 `{manifest.weights_sha256}`",
        f"- Licence of the weights: {manifest.licence or 'not stated'}",
    ]
    if manifest.compressed is not None:
        made = manifest.compressed
        lines.append(
            f"- Compressed: {made.method} at {made.bits} bits, from {made.of} (sha256 "
            f"`{made.of_sha256}`), whose files it reads and writes"
        )
    lines += ["", "## Quality", ""]
    if rows:
        names = list(rows[0].distances)
        head = ["", "K", *names, "PSNR, dB", "codes in use", "bits per index"]
        lines += [f"On {measured_on}; distances: less is better.", "", _row(head)]
        lines.append(_row(["---"] * len(head)))
        for row in rows:
            distances = [f"{value:.4f}" for value in row.distances.values()]
            more = [f"{row.psnr_db:.2f}", f"{row.used_share:.1%}", f"{row.entropy_bits:.2f}"]
            lines.append(_row([row.name, str(row.codebook_size), *distances, *more]))
    else:
        lines.append("Not measured yet: `vqcodec train measure PACK --data PHOTOS --weights NETS`.")
    lines += ["", "## Provenance", ""]
    lines += [f"- {key}: {value}" for key, value in manifest.training.items()]
    lines += [
        "",
        "## What it is bad at",
        "",
        "Not looked at yet. At these rates small text, faces and fine regular patterns are drawn "
        "anew rather than kept; never use it for medical or legal images.",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

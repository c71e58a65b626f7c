"""The README's table and figures, made from the committed results and from nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from eval import plots, published
from eval.provenance import ROOT
from eval.rows import OURS

README = ROOT / "README.md"
FIGURES = ROOT / "docs" / "images"
RESULTS = {  # of the pack that ships
    "Kodak": ROOT / "eval" / "results" / "kodak-photo-2.json",
    "CLIC": ROOT / "eval" / "results" / "clic-photo-2.json",
}
METRIC = "lpips_alex"
BEGIN, END = "<!-- figures: python -m eval readme -->", "<!-- /figures -->"
# The README shows what stands for its kind at these rates, not every codec at every scale.
RIVALS = {"vvc": "VVC", "avif/any": "AVIF, scaled"}


def digest(path: Path) -> str:
    """Name a results file's content, for the figure made of it: 16 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def figure(name: str) -> Path:
    """Path of the figure of a set of images."""
    return FIGURES / f"rd-{name.lower()}.svg"


def section() -> str:
    """The text between the README's marks."""
    parts = []
    for name, path in RESULTS.items():
        found = json.loads(path.read_text(encoding="utf-8"))
        parts.append(_table(name, path, found))
        parts.append(f"![{name}: LPIPS over bits per pixel]({figure(name).relative_to(ROOT)})")
    return "\n\n".join(parts)


def _table(name: str, path: Path, found: dict[str, Any]) -> str:
    origin, metrics = found["provenance"], found["comparison"]["equal_bpp"]["metrics"]
    rivals = {curve: title for curve, title in RIVALS.items() if curve in metrics[METRIC]}
    heads = ["tier", "bytes", "bpp", "LPIPS", *(f"{title}" for title in rivals.values())]
    lines = [[*heads, "PSNR, dB", "MS-SSIM"]]
    ours = [entry for entry in found["summary"] if entry["codec"] == OURS]
    for index, entry in enumerate(ours):
        means = {name: value["mean"] for name, value in entry["metrics"].items() if value}
        beside = [metrics[METRIC][curve][index] for curve in rivals]
        lines.append(
            [
                str(entry["point"]),
                f"{entry['size_bytes']['mean']:,.0f}",
                _short(entry["bpp"]["mean"], 4),
                _short(means[METRIC], 3),
                *("-" if value is None else _short(value, 3) for value in beside),
                f"{means['psnr_db']:.1f}",
                _short(means["ms_ssim"], 3),
            ]
        )
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows.insert(1, "|" + "---|" * len(lines[0]))
    note = (
        f"{name}, {len(found['settings']['images'])} images, means; other codecs' LPIPS read off "
        f"their curves at our rate.\n"
        f"`python -m eval rd`, commit {origin['commit'][:7]}, model {origin['model']['name']}, "
        f"{origin['cpu']}, {origin['cores']} cores; [all rows]({path.relative_to(ROOT)})."
    )
    return note + "\n\n" + "\n".join(rows)


def _short(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".removeprefix("0")


def update() -> list[Path]:
    """Write the README's section and the figures.

    Returns:
        The files written.

    Raises:
        ValueError: the README lacks the marks.
    """
    text = README.read_text(encoding="utf-8")
    marked = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"{README.name} lacks the marks {BEGIN} and {END}")
    between = f"{BEGIN}\n\n{section()}\n\n{END}"
    README.write_text(marked.sub(lambda _: between, text), encoding="utf-8")
    written = [README]
    for name, path in RESULTS.items():
        found = json.loads(path.read_text(encoding="utf-8"))
        curves = published.curves(found["settings"]["published"] or "")
        drawn = plots.draw(found, METRIC, curves)
        plots.write(drawn, figure(name), note=f"results {digest(path)}")
        written.append(figure(name))
    return written

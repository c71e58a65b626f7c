"""The README's table and figures, made from the committed results and from nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from eval import plots, published
from eval.loss_plan import MANY, RESTORERS
from eval.provenance import ROOT
from eval.rows import OURS

README = ROOT / "README.md"
FIGURES = ROOT / "docs" / "images"
PACK = "photo-3"  # that ships
_FOLDER = ROOT / "eval" / "results"
RESULTS = {
    "Kodak": _FOLDER / f"kodak-{PACK}.json",
    "CLIC": _FOLDER / f"clic-{PACK}.json",
}
# Results of an older pack on the same images: the figures show its curve dashed.
BEFORE: dict[str, Path] = {"CLIC": _FOLDER / "clic-photo-2.json"}
BITS = _FOLDER / f"bits-kodak-{PACK}.json"  # shown where it exists
SOME_TIERS = (1, 4, 8)  # and the largest: of all tables but the first
LOSS = _FOLDER / f"loss-kodak-{PACK}.json"  # shown where it exists
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


def figure_note(name: str) -> str:
    """Say which results a figure was drawn from."""
    note = f"results {digest(RESULTS[name])}"
    return f"{note}, before {digest(BEFORE[name])}" if name in BEFORE else note


def section() -> str:
    """The text between the README's marks."""
    parts = []
    for name, path in RESULTS.items():
        found = json.loads(path.read_text(encoding="utf-8"))
        parts.append(_table(name, path, found))
        parts.append(f"![{name}: LPIPS over bits per pixel]({figure(name).relative_to(ROOT)})")
    if BITS.exists():
        parts.append(_bits(json.loads(BITS.read_text(encoding="utf-8"))))
    if LOSS.exists():
        parts.append(loss_section(json.loads(LOSS.read_text(encoding="utf-8"))))
    return "\n\n".join(parts)


def _table(name: str, path: Path, found: dict[str, Any]) -> str:
    metrics = found["comparison"]["equal_bpp"]["metrics"]
    rivals = {curve: title for curve, title in RIVALS.items() if curve in metrics[METRIC]}
    heads = ["tier", "bytes", "bpp", "LPIPS", *(f"{title}" for title in rivals.values())]
    lines = [[*heads, "PSNR, dB", "MS-SSIM"]]
    ours = [entry for entry in found["summary"] if entry["codec"] == OURS]
    shown = {entry["point"] for entry in ours}
    if name != next(iter(RESULTS)):
        shown &= {*SOME_TIERS, max(shown)}
    for index, entry in enumerate(ours):
        if entry["point"] not in shown:
            continue
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
    note = (
        f"{name}, {len(found['settings']['images'])} images, means; other codecs' LPIPS read off "
        f"their curves at our rate.\n{_origin('rd', path, found)}"
    )
    return f"{note}\n\n{_rows(lines)}"


def _bits(found: dict[str, Any]) -> str:
    """What the context model saves, at a few tiers."""
    last = max(entry["tier"] for entry in found["summary"])
    savings = ", ".join(
        f"{entry['saving_percent']:.1f} % at tier {entry['tier']}"
        for entry in found["summary"]
        if entry["tier"] in (*SOME_TIERS, last)
    )
    return (
        "The same indices in coding `context` instead of `fixed` take less, as whole files: "
        f"{savings}.\n{_origin('bits', BITS, found)}"
    )


def loss_section(found: dict[str, Any]) -> str:
    """What packets lost one by one cost in LPIPS, by restorer, and with parity in the same bytes.

    Args:
        found: what the results file of `python -m eval loss` holds.
    """
    settings = found["settings"]
    cells = {
        (cell["tier"], cell["has_parity"], cell["loss"], cell["restorer"]): cell
        for cell in found["summary"]
        if cell["channel"] in (None, "iid") and cell["tier"] in settings["tiers"]
    }
    kinds = [name for name in RESTORERS if name not in found["absent"]]
    heads = ["tier", "packets lost", *kinds, "parity"]
    lines = [[*heads, *(f"indices right, {name}" for name in kinds)]]
    for tier in settings["tiers"]:
        for loss in MANY:
            mine = [cells[tier, False, loss, name] for name in kinds]
            parity = cells.get((tier, True, loss, kinds[0]))
            lines.append(
                [
                    str(tier),
                    f"{100 * loss:.0f} %",
                    *(_signed(cell["lpips_increase"]) for cell in mine),
                    "-" if parity is None else _signed(parity["lpips_increase"]),
                    *(_percent(cell["accuracy"]) for cell in mine),
                ]
            )
    whole = ", ".join(
        f"tier {tier} {_short(cells[tier, False, 0.0, None]['lpips_alex'], 3)}"
        for tier in settings["tiers"]
    )
    lower = " and ".join(
        f"tier {entry['file_tier']} in the bytes of tier {entry['tier']}"
        for entry in settings["parity"]
    )
    note = (
        f"How much LPIPS increases when packets are lost one by one, {settings['packets']} packets "
        f"a file, Kodak, {len(settings['images'])} images, means; undamaged: {whole}"
        f"{'; parity: ' + lower if lower else ''}.\n{_origin('loss', LOSS, found)}"
    )
    return f"{note}\n\n{_rows(lines)}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}".replace("0.", ".", 1)


def _origin(command: str, path: Path, found: dict[str, Any]) -> str:
    origin = found["provenance"]
    return (
        f"`python -m eval {command}`, commit {origin['commit'][:7]}, model "
        f"{origin['model']['name']}, {origin['cpu']}, {origin['cores']} cores; "
        f"[all rows]({path.relative_to(ROOT)})."
    )


def _rows(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    rows.insert(1, "|" + "---|" * len(lines[0]))
    return "\n".join(rows)


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
        older = BEFORE.get(name)
        before = json.loads(older.read_text(encoding="utf-8")) if older else None
        drawn = plots.draw(found, METRIC, curves, before=before)
        plots.write(drawn, figure(name), note=figure_note(name))
        written.append(figure(name))
    return written

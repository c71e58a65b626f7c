"""Draw pictures side by side on one sheet, each with a caption below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT = "#ffffff", "#16181d", "#5b6270"
ACCENT, DULL = "#2563eb", "#c3c8d1"
MARGIN_PX = 36
GAP_PX = 20
TITLE_PX, HEADING_PX, NOTE_PX = 42, 30, 24


@dataclass(frozen=True)
class Cell:
    """A picture with a heading and a line of figures below it."""

    pixels: NDArray[np.uint8]  # (H, W, 3)
    heading: str
    note: str


@dataclass(frozen=True)
class Bars:
    """Numbers as horizontal bars, in the place of a picture."""

    heading: str
    bars: Sequence[tuple[str, int, bool]]  # label, number, whether it stands out


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def draw(title: str, subtitle: str, rows: Sequence[Sequence[Cell | Bars]]) -> Image.Image:
    """Draw a sheet.

    Args:
        title: first line.
        subtitle: second line, smaller.
        rows: from left to right, top to bottom. All pictures have one size and are drawn pixel for
            pixel.

    Returns:
        An RGB image.
    """
    cells = [cell for row in rows for cell in row]
    height, width = next(cell for cell in cells if isinstance(cell, Cell)).pixels.shape[:2]
    caption = HEADING_PX + NOTE_PX + 44
    head = MARGIN_PX + TITLE_PX + NOTE_PX + 56
    columns = max(len(row) for row in rows)
    size = (
        2 * MARGIN_PX + columns * width + (columns - 1) * GAP_PX,
        head + len(rows) * (height + caption) + (len(rows) - 1) * GAP_PX + MARGIN_PX // 2,
    )
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN_PX, MARGIN_PX), title, INK, _font(TITLE_PX))
    pen.text((MARGIN_PX, MARGIN_PX + TITLE_PX + 16), subtitle, FAINT, _font(NOTE_PX))
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            left = MARGIN_PX + x * (width + GAP_PX)
            top = head + y * (height + caption + GAP_PX)
            if isinstance(cell, Bars):
                _draw_bars(pen, cell, left, top, width, height)
                continue
            sheet.paste(Image.fromarray(cell.pixels), (left, top))
            pen.text((left, top + height + 10), cell.heading, INK, _font(HEADING_PX))
            below = top + height + 10 + HEADING_PX + 10
            pen.text((left, below), cell.note, FAINT, _font(NOTE_PX))
    return sheet


def _draw_bars(
    pen: ImageDraw.ImageDraw, chart: Bars, left: int, top: int, width: int, height: int
) -> None:
    """Draw bars into a place of that size: label above, number behind each."""
    pen.text((left, top), chart.heading, INK, _font(HEADING_PX))
    top, height = top + HEADING_PX + 20, height - HEADING_PX - 20
    step = height / len(chart.bars)
    room = width - int(_font(NOTE_PX).getlength(f"  {max(n for _, n, _ in chart.bars):,}"))
    for place, (label, number, stands_out) in enumerate(chart.bars):
        y = top + place * step
        font = _font(min(NOTE_PX, step * 0.4))
        length = max(2, room * number / max(n for _, n, _ in chart.bars))
        middle = y + step * 0.66
        pen.text((left, y), label, FAINT, font)
        bar = (left, middle - step * 0.14, left + length, middle + step * 0.14)
        pen.rectangle(bar, ACCENT if stands_out else DULL)
        pen.text((left + length + 10, middle), f"{number:,}", INK, font, anchor="lm")

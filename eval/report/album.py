"""Pictures for the page: files in, data URIs out, recompressed where they are too much."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

# Base64 makes four bytes of three: with figures and curves the page stays below 40 MB.
BUDGET_BYTES = 27_000_000
# Tried in turn until everything fits: WebP's quality, and the longest side in pixels. A picture
# stays as it is where that would not make it smaller.
STEPS = ((88, None), (80, None), (70, None), (60, None), (60, 1600), (50, 1024), (40, 768))
SAMPLE = 24  # pictures that a step is tried on
THUMB_PX, THUMB_QUALITY = 128, 72  # height

TYPES = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


class Album:
    """Pictures of a results folder, each once, by number.

    Args:
        folder: paths are below it; nothing outside is read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._numbers: dict[Path, int] = {}

    def add(self, path: str) -> int | None:
        """Take a picture in and give its number; None where there is no such picture."""
        full = (self._folder / path).resolve()
        if not full.is_relative_to(self._folder) or full.suffix.lower() not in TYPES:
            return None
        if full not in self._numbers and not full.is_file():
            return None
        return self._numbers.setdefault(full, len(self._numbers))

    def uris(self, budget_bytes: int = BUDGET_BYTES) -> tuple[list[str], str | None]:
        """Give all pictures as data URIs, by number.

        Returns:
            The URIs, and in words what was done to make them fit the budget, or None.
        """
        files = list(self._numbers)
        step = _choose_step(files, budget_bytes)
        if step is None:
            return [_uri(TYPES[path.suffix.lower()], path.read_bytes()) for path in files], None
        quality, side = step
        size = f", at most {side} pixels a side" if side else ""
        note = f"recompressed for this page (WebP, quality {quality}{size}) to keep it small"
        return [_uri(*_smaller(path, quality, side)) for path in files], note

    def thumb(self, picture: int) -> str | None:
        """Give a small copy of a picture as a data URI; None where it is no picture."""
        path = list(self._numbers)[picture]
        buffer = io.BytesIO()
        try:
            with Image.open(path) as image:
                image.thumbnail((THUMB_PX * 8, THUMB_PX))
                image.convert("RGB").save(buffer, "WEBP", quality=THUMB_QUALITY)
        except (OSError, UnidentifiedImageError):
            return None
        return _uri("image/webp", buffer.getvalue())


def _choose_step(files: list[Path], budget_bytes: int) -> tuple[int, int | None] | None:
    total = sum(path.stat().st_size for path in files)
    if total <= budget_bytes:
        return None
    sample = files[:: max(1, len(files) // SAMPLE)]
    before = sum(path.stat().st_size for path in sample)
    for step in STEPS:
        after = sum(len(_smaller(path, *step)[1]) for path in sample)
        if total * after / before <= 0.95 * budget_bytes:
            return step
    return STEPS[-1]


def _smaller(path: Path, quality: int, side: int | None) -> tuple[str, bytes]:
    """Recompress a picture; gives its type and bytes."""
    data = path.read_bytes()
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data)) as image:
            picture = image.convert("RGB")
    except (OSError, UnidentifiedImageError):
        return TYPES[path.suffix.lower()], data  # the page says that it cannot be shown
    if side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.save(buffer, "WEBP", quality=quality, method=4)
    if len(buffer.getvalue()) < len(data):
        return "image/webp", buffer.getvalue()
    return TYPES[path.suffix.lower()], data


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"

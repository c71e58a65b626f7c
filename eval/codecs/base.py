"""What every codec is to the harness: real files in and out, and an identity to be held to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class CodecAbsentError(Exception):
    """A codec cannot run here; the message says what to install."""


class CodecError(Exception):
    """A codec failed on a picture; the message is one line."""


class Codec(Protocol):
    """A codec with one knob.

    Attributes:
        name: of its curve and its files, such as "avif".
        identity: all that decides its bytes (library, version, options). Figures measured under one
            identity are not measured again.
        suffix: of its files, with the dot.
        knob: what a setting is, such as "quality".
        settings: the knob's values, from the smallest file to the largest.
    """

    name: str
    identity: str
    suffix: str
    knob: str
    settings: Sequence[float]

    def encode(self, picture: Path, setting: float, coded: Path) -> None:
        """Code a PNG file (8-bit RGB) into the file `coded`.

        Raises:
            CodecError: it failed.
        """

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """Decode a file to (height, width, 3) uint8 RGB.

        Args:
            coded: the file.
            height: rows of the picture that was coded. A video codec's file knows its sides only
                rounded up to even numbers.
            width: its columns.

        Raises:
            CodecError: it failed, or what came out has another size.
        """


def shown(setting: float) -> str:
    """Write a knob's value as command lines and tables have it: "12", "0.5"."""
    return f"{setting:.10g}"


def one_line(text: object, limit: int = 200) -> str:
    """Make one printable line of what a program or an exception says."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:limit]


def checked(
    pixels: NDArray[np.uint8], codec: str, coded: Path, height: int, width: int
) -> NDArray[np.uint8]:
    """Return a decoded picture if its size is that of the picture that was coded.

    Raises:
        CodecError: it is not.
    """
    if pixels.shape != (height, width, 3):
        found = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise CodecError(f"{codec}: {coded.name} decodes to {found} instead of {width}x{height}")
    return pixels

"""What a run of `loss` has measured so far, a line per image and file, so that it can go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.journal import key
from eval.loss_plan import Cell
from eval.loss_rows import Figures

Measured = tuple[list[Figures], int]


class Journal:
    """Figures by key, in a file of JSON lines.

    Args:
        path: of the file, made if need be; None keeps nothing.
        decided_by: all that decides figures but image and cells: codec, networks, metrics.
    """

    def __init__(self, path: Path | None, **decided_by: Any) -> None:
        self._path, self._decided_by = path, decided_by
        self._known: dict[str, Measured] = {}
        if path is not None and path.is_file():
            text = path.read_text(encoding="utf-8")
            for line in text.splitlines():
                self._read(line)
            if text and not text.endswith("\n"):
                self._write("\n")

    def _read(self, line: str) -> None:
        # A run that was cut off may leave half a line; what it held is measured again.
        try:
            entry = json.loads(line)
            figures = [Figures(*values) for values in entry["figures"]]
            self._known[entry["key"]] = figures, int(entry["decoded"])
        except (ValueError, KeyError, TypeError):
            return

    def _write(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)

    def key(self, pixels: NDArray[np.uint8], number: int, cells: Sequence[Cell]) -> str:
        """Digest of everything that decides what `loss_bench.measure` returns."""
        return key(
            picture=hashlib.sha256(pixels.tobytes()).hexdigest(),
            shape=pixels.shape,
            number=number,
            cells=[asdict(cell) for cell in cells],
            **self._decided_by,
        )

    def find(self, key: str) -> Measured | None:
        """Return what was measured under a key."""
        return self._known.get(key)

    def add(self, key: str, measured: Measured) -> None:
        """Write down what was measured, at once."""
        figures, decoded = measured
        entry = {"key": key, "decoded": decoded, "figures": [astuple(found) for found in figures]}
        self._write(json.dumps(entry) + "\n")

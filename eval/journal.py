"""What a run has measured so far, one line per image and codec, so that a second run goes on.

An entry counts only under the key that it was measured with: a digest of the picture's samples, the
codec's identity, what was asked of it and the metrics' weights.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from eval.rows import Row, as_json


def key(**parts: Any) -> str:
    """Digest of everything that decides a measurement."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class Journal:
    """Rows by key, in a file of JSON lines.

    Args:
        folder: the results folder; `measured.jsonl` in it is read, and made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "measured.jsonl"
        self._known: dict[str, list[Row]] = {}
        if self._path.is_file():
            text = self._path.read_text(encoding="utf-8")
            for line in text.splitlines():
                self._read(line)
            if text and not text.endswith("\n"):
                with self._path.open("a", encoding="utf-8") as file:
                    file.write("\n")

    def _read(self, line: str) -> None:
        # A run that was cut off may leave half a line; what it held is measured again.
        try:
            entry = json.loads(line)
            self._known[entry["key"]] = [Row(**row) for row in entry["rows"]]
        except (ValueError, KeyError, TypeError):
            return

    def find(self, key: str) -> list[Row] | None:
        """Return what was measured under a key, unless its files have gone."""
        rows = self._known.get(key)
        if rows is None:
            return None
        kept = (path for row in rows for path in (row.file, row.picture) if path)
        return rows if all((self._folder / path).is_file() for path in kept) else None

    def add(self, key: str, rows: list[Row]) -> None:
        """Write down what was measured, at once."""
        self._known[key] = rows
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "rows": [as_json(row) for row in rows]}) + "\n")

"""Curves that others have published, from published.toml, each with its source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).with_name("published.toml")
MARKS = {"T": "table, text or code", "F": "read off a figure"}


@dataclass(frozen=True)
class Curve:
    """A published curve.

    Attributes:
        name: of the codec and year.
        mark: how the figures were got, a key of `MARKS`.
        source: paper or repository.
        points: (bpp, value) by metric, in the order of rising bpp.
    """

    name: str
    mark: str
    source: str
    points: dict[str, list[tuple[float, float]]]


def datasets() -> list[str]:
    """Name the sets of images that there are curves for."""
    return list(tomllib.loads(DATA.read_text(encoding="utf-8")))


def curves(dataset: str) -> list[Curve]:
    """Return what was published on a set of images; nothing for a set that is not known."""
    entries = tomllib.loads(DATA.read_text(encoding="utf-8")).get(dataset, [])
    found = []
    for entry in entries:
        rest = {**entry}
        name, mark, source, bpp = (rest.pop(key) for key in ("name", "mark", "source", "bpp"))
        points = {metric: list(zip(bpp, rest[metric], strict=True)) for metric in rest}
        found.append(Curve(name, mark, source, points))
    return found

"""How far a run is: a bar on a terminal, a line per step elsewhere; both on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


class Progress:
    """Tells of a run's steps."""

    def __init__(self) -> None:
        self._bar: Any = None

    @contextmanager
    def over(self, total: int) -> Iterator[None]:
        """Count up to a number of steps."""
        if not (total and sys.stderr.isatty()):
            yield
            return
        with click.progressbar(
            length=total,
            file=sys.stderr,
            show_pos=True,
            item_show_func=lambda text: text,
            update_min_steps=1,
        ) as self._bar:
            yield
        self._bar = None

    def step(self, text: str) -> None:
        """Say that a step is done."""
        if self._bar is not None:
            self._bar.update(1, text)
        else:
            self._line(text)

    def say(self, text: str) -> None:
        """Say something that has to stay on the screen."""
        if self._bar is not None:
            click.echo("\r\033[K", nl=False, err=True)  # the bar's line
        self._line(text)

    def _line(self, text: str) -> None:
        click.echo(text, err=True)
        sys.stderr.flush()

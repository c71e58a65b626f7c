"""Options that are numbers with a range, refused in words that show a right one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SECONDS = 86400.0


def number(
    kind: str, low: float, high: float, example: str
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """Return the callback of an option whose value is a finite number.

    Args:
        kind: what the number is, for the message: "'x' is no KIND".
        low: least value taken.
        high: greatest value taken.
        example: a value as typed.
    """

    def check(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if not low <= found <= high:  # not a number fails, too
            raise click.BadParameter(
                f"'{value}' is no {kind}; give a number from {low:g} to {high:g}, "
                f"for example {example}."
            )
        return found

    return check


def seconds(
    example: str,
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """Return the callback of an option in seconds, up to a day."""
    return number("time in seconds", 0, MAX_SECONDS, example)

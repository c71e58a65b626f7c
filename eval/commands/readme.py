"""`python -m eval readme`: the README's table and figure, from the committed results."""

from __future__ import annotations

import click


@click.command()
def readme() -> None:
    """Write the README's figures anew from eval/results."""
    from eval import readme as page

    for path in page.update():
        click.echo(path)

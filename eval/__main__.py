"""`python -m eval rd|report|bits|loss|speed|demo|grid|readme`: see docs/EVALUATION.md."""

from __future__ import annotations

import click

from eval.commands.bits import bits
from eval.commands.demo import demo
from eval.commands.grid import grid
from eval.commands.loss import loss
from eval.commands.rd import rd
from eval.commands.readme import readme
from eval.commands.report import report
from eval.commands.speed import speed


@click.group()
def main() -> None:
    """Measure vqcodec."""


for command in (rd, report, bits, loss, speed, demo, grid, readme):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m eval")

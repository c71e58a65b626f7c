"""`vqcodec train`: from photos to a model pack. Everything that needs torch is imported late."""

from __future__ import annotations

import click

from vqcodec.cli import shared, train_context, train_packs, train_restorer, train_stages


@click.group(
    no_args_is_help=True,
    epilog=shared.examples(
        "vqcodec train all --recipe photo-3 --data photos/ --weights nets/ --out runs/mine"
        " --minutes 120 --name mine",
        "vqcodec train tiers --from photo-3 --data my-photos/ --weights nets/ --out runs/tuned",
        "vqcodec train export runs/tuned --name tuned --data my-photos/",
        "vqcodec train measure models/tuned --data other-photos/ --weights nets/",
    ),
)
def train() -> None:
    """Make a model pack from photos; docs/TRAINING.md tells the walk.

    Needs the extra [train]: pip install 'vqcodec[train]'. Under torchrun the
    commands that train share the work among all processes.
    """


MAP_COMMANDS = (train_context.context, train_restorer.restorer)
for command in (*train_stages.COMMANDS, *train_packs.COMMANDS, *MAP_COMMANDS):
    train.add_command(command)

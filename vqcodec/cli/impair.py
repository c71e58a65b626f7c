"""`vqcodec impair`: what a bad channel would leave of `.vqc` files."""

from __future__ import annotations

import click

from vqcodec import channel
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import read_vqc_bytes, shown
from vqcodec.cli.numbers import number
from vqcodec.cli.output import Job, plan, run, shown_target, write

_MAX_BURST = 1e6


@click.command(
    epilog=shared.examples(
        "vqcodec impair photo.vqc -o lossy.vqc --loss 0.2",
        "vqcodec impair photo.vqc -o lossy.vqc --loss 0.2 --model gilbert-elliott --burst 3",
        "vqcodec impair *.vqc -o out/ --bit-errors 1e-4 --seed 7 --json > lost.jsonl",
    )
)
@shared.inputs_argument
@shared.output_options
@click.option(
    "--loss",
    metavar="SHARE",
    callback=number("share", 0, 1, "0.2"),
    default="0",
    help="Share of packets to lose in the long run, 0 to 1. Default: 0.",
)
@click.option(
    "--model",
    type=click.Choice(channel.MODELS),
    metavar="MODEL",
    default=channel.IID,
    help="How losses come: iid (each packet on its own) or gilbert-elliott (in bursts). "
    "Default: iid.",
)
@click.option(
    "--burst",
    metavar="B",
    callback=number("mean length of a burst", 1, _MAX_BURST, "3"),
    help="With gilbert-elliott: mean length of a burst in packets, 1 or more. "
    f"Default: {channel.DEFAULT_BURST:g}.",
)
@click.option(
    "--bit-errors",
    metavar="RATE",
    callback=number("rate", 0, 1, "1e-4"),
    default="0",
    help="Probability of each bit of what is left, the magic included, to be flipped. Default: 0.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Another number gives other losses and flips; the same gives the same everywhere. "
    "Default: 0.",
)
@shared.talk_options
def impair(
    inputs: tuple[str, ...],
    output: str | None,
    is_forced: bool,
    loss: float,
    model: str,
    burst: float | None,
    bit_errors: float,
    seed: int,
    console: Console,
) -> None:
    """Lose packets of .vqc files and flip bits, as a bad channel does.

    IN is an intact .vqc file, or - for stdin. Without -o, photo.vqc becomes
    photo.impaired.vqc beside it. Packets are lost in the order in which 'vqcodec
    send' sends them, so that a burst leaves scattered holes.
    """
    if burst is not None and model == channel.IID:
        raise click.UsageError("--burst is for --model gilbert-elliott; with iid none is chosen.")
    burst = channel.DEFAULT_BURST if burst is None else burst
    try:
        channel.check(loss, model, burst)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    suffix = ".impaired.vqc" if output is None else ".vqc"
    jobs = plan(inputs, output, suffix, is_json=console.is_json)

    def work(job: Job) -> None:
        data = read_vqc_bytes(job.source)
        found = channel.passage(
            data, loss=loss, model=model, burst=burst, bit_errors=bit_errors, seed=seed
        )
        write(job.target, found.data, is_forced=is_forced)
        console.say(
            f"{job.label}: {len(found.lost)} of {found.n_packets} packets lost, "
            f"{found.n_flips:,} of {8 * len(found.data):,} bits flipped"
        )
        if len(found.lost) == found.n_packets:
            console.note(shown(job.source), "every packet was lost; the magic alone is left")
        if console.is_json:
            console.record(
                "impair",
                path=shown(job.source),
                output=shown_target(job.target),
                n_packets=found.n_packets,
                lost=sorted(found.lost),
                n_flips=found.n_flips,
                size_bytes=len(found.data),
                loss=loss,
                model=model,
                burst=None if model == channel.IID else burst,
                bit_errors=bit_errors,
                seed=seed,
            )

    run(jobs, console, work, is_forced=is_forced)

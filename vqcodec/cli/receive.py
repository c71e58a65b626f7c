"""`vqcodec receive`: a `.vqc` file from the packets that arrive over UDP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vqcodec import transport
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import STREAM
from vqcodec.cli.numbers import seconds
from vqcodec.cli.output import Job, check, plan, shown_target, write
from vqcodec.errors import InputError

if TYPE_CHECKING:
    from vqcodec.transport import Gathering


def _check_address(_: click.Context, __: click.Parameter, value: str) -> transport.Address:
    try:
        return transport.Address.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command(
    epilog=shared.examples(
        "vqcodec receive -o photo.vqc --listen 0.0.0.0:5000",
        "vqcodec receive -o photo.vqc --listen [::]:5000 --wait 600 --idle 5",
        "vqcodec receive -o - --listen 0.0.0.0:5000 | vqcodec decode - -o seen.png",
    )
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    required=True,
    type=click.Path(allow_dash=True, readable=False),
    help="File to write, or - for stdout.",
)
@click.option("-f", "--force", "is_forced", is_flag=True, help="Overwrite the output if it exists.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    callback=_check_address,
    default="127.0.0.1:0",
    help="Address of this machine and UDP port: 0.0.0.0 or [::] for all addresses, port 0 for one "
    "that the system chooses and that is printed. Default: 127.0.0.1:0, this machine alone.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    callback=seconds("60"),
    default="60",
    help="Wait so long for the first packet. Default: 60.",
)
@click.option(
    "--idle",
    metavar="SECONDS",
    callback=seconds("2"),
    default="2",
    help="End so long after the last new packet; give more than the sender's --pace. Default: 2.",
)
@shared.talk_options
def receive(
    output: str,
    is_forced: bool,
    listen: transport.Address,
    wait: float,
    idle: float,
    console: Console,
) -> None:
    """Receive the packets of a .vqc file over UDP.

    Takes intact packets of one file, that of the first to come, in any order;
    datagrams of another file and damaged ones are counted and left out. Ends
    when all data packets are there, or after a silence. Who sent them is not
    known: listen where only senders that you trust can reach.
    """
    if console.is_quiet and listen.port == 0:
        raise click.UsageError("with -q nobody learns which port was chosen; give one: --listen.")
    if output == STREAM:
        plan((str(listen),), output, "", is_json=console.is_json)  # may stdout be written?

    def work() -> None:
        check(Job(STREAM, output), is_forced=is_forced)  # before anything has been received
        with transport.listen(listen) as listener:
            at = transport.address_of(listener)
            console.say(f"listening at {at}")
            found = transport.receive(listener, wait_s=wait, idle_s=idle)
        if found.header is None:
            raise InputError(
                f"no packet arrived within {wait:g} s{_left_out(found)}. Check the sender's "
                "address and firewalls, or give more time with --wait.",
                place=str(at),
            )
        data = found.to_bytes()
        write(output, data, is_forced=is_forced)
        n_parity = len(found.packets) - found.n_data
        parity = f" and {n_parity} of parity" if n_parity else ""
        console.say(
            f"{at} -> {shown_target(output)}: {found.n_data} of {found.header.n_packets} packets"
            f"{parity}, {len(data):,} bytes{_left_out(found)}"
        )
        if console.is_json:
            console.record(
                "receive",
                path=str(at),
                output=shown_target(output),
                n_packets=found.header.n_packets,
                received=sorted(found.packets),
                n_foreign=found.n_foreign,
                n_damaged=found.n_damaged,
                n_repeated=found.n_repeated,
                size_bytes=len(data),
            )

    console.attempt(str(listen), work)


def _left_out(found: Gathering) -> str:
    """Say how many datagrams were not taken, if any."""
    counts = {
        "of another file": found.n_foreign,
        "damaged": found.n_damaged,
        "repeated": found.n_repeated,
    }
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    return f"; left out: {said}" if said else ""

"""`vqcodec send`: the packets of a `.vqc` file over UDP, one a datagram."""

from __future__ import annotations

import click

from vqcodec import channel, transport
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import check_inputs, read_vqc_bytes, shown
from vqcodec.cli.numbers import seconds

_WHOLE_IN_ETHERNET = 1472  # bytes of a datagram: 1500 less the heads of IPv4 and UDP


def _check_address(_: click.Context, __: click.Parameter, value: str) -> transport.Address:
    try:
        address = transport.Address.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if address.port == 0:
        raise click.BadParameter(f"'{value}' has port 0; give the one that the receiver names.")
    return address


@click.command(
    epilog=shared.examples(
        "vqcodec send photo.vqc --to 192.0.2.7:5000",
        "vqcodec send photo.vqc --to [::1]:5000 --pace 0.02",
        "vqcodec encode photo.jpg --packets 20 -o - | vqcodec send - --to 192.0.2.7:5000",
    )
)
@click.argument("source", metavar="IN", type=click.Path(allow_dash=True, readable=False))
@click.option(
    "--to",
    metavar="HOST:PORT",
    required=True,
    callback=_check_address,
    help="Where to: a name or number and a UDP port; IPv6 numbers in brackets.",
)
@click.option(
    "--pace",
    metavar="SECONDS",
    callback=seconds("0.02"),
    default="0.001",
    help="Wait so long between two datagrams, so that queues on the way do not overflow. "
    "Default: 0.001.",
)
@shared.talk_options
def send(source: str, to: transport.Address, pace: float, console: Console) -> None:
    """Send the packets of a .vqc file over UDP, one a datagram.

    IN is an intact .vqc file, or - for stdin. Packets that neighbour each other
    in the picture are sent apart, so that a burst of losses leaves scattered
    holes. Nothing is sent again, and nobody answers: see 'vqcodec receive'.
    """
    check_inputs((source,))

    def work() -> None:
        packets = channel.split(read_vqc_bytes(source))
        largest = max(map(len, packets))
        if largest > _WHOLE_IN_ETHERNET:
            console.note(
                shown(source),
                f"packets of up to {largest:,} bytes travel in pieces on most networks, and one "
                f"lost piece loses the packet; up to {_WHOLE_IN_ETHERNET:,} travel whole",
            )
        size_bytes = transport.send(packets, to, pace_s=pace)
        console.say(f"{shown(source)} -> {to}: {len(packets)} packets, {size_bytes:,} bytes sent")
        if console.is_json:
            console.record(
                "send",
                path=shown(source),
                to=str(to),
                n_packets=len(packets),
                size_bytes=size_bytes,
            )

    console.attempt(shown(source), work)

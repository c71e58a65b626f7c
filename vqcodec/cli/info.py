"""`vqcodec info`: what files say of themselves; no torch, no model pack."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import check_inputs, read_vqc_bytes, shown
from vqcodec.inspection import StreamInfo, describe


@click.command(epilog=shared.examples("vqcodec info photo.vqc", "vqcodec info *.vqc --json"))
@shared.inputs_argument
@shared.talk_options
def info(inputs: tuple[str, ...], console: Console) -> None:
    """Tell what .vqc files say of themselves: size, tier, model, packets.

    Needs no model pack. Damage is shown, not refused, as long as one packet can
    be found; see 'vqcodec verify' for a judgement.
    """
    check_inputs(inputs)

    def work(name: str) -> None:
        found = describe(read_vqc_bytes(name))
        if console.is_json:
            fields = asdict(found) | {"weights_id": f"{found.weights_id:04x}"}
            console.record("info", path=shown(name), **fields)
        else:
            console.result(_for_people(shown(name), found))

    for name in inputs:
        console.attempt(shown(name), partial(work, name))


def _for_people(name: str, found: StreamInfo) -> str:
    """Say it in a few lines."""
    model = f"model pack {found.model}" if found.model else "a model pack that is not registered"
    lines = [
        f"{name}: {found.width_px} x {found.height_px} px, {found.size_bytes:,} bytes, "
        f"{found.bpp:.3f} bpp",
        f"  format {found.format_version}, tier {found.tier} ({found.codebook_size} words), "
        f"stride {found.stride}, {found.coding} coding, {found.header_bytes} bytes besides the "
        "payload",
        f"  made with {model}, weights id {found.weights_id:04x}",
    ]
    for packet in found.packets:
        is_parity = packet.index >= found.n_packets
        lines.append(
            f"  packet {packet.index} at byte {packet.offset}: {packet.size_bytes:,} bytes, "
            f"{'parity' if is_parity else f'{packet.num_indices:,} indices'}, "
            f"{'intact' if packet.checksum_ok else 'damaged'}"
        )
    there = {packet.index for packet in found.packets}
    n_all = found.n_packets + found.n_parity
    lines += [f"  packet {index}: missing" for index in range(n_all) if index not in there]
    if found.is_damaged:
        lines += _damage(found)
    return "\n".join(lines)


def _damage(found: StreamInfo) -> list[str]:
    """Sum up what is wrong."""
    n_bad = sum(not packet.checksum_ok for packet in found.packets)
    told = [f"{found.n_intact} of {found.n_packets} packets intact"]
    if found.n_parity:
        told.append(f"{found.n_parity_intact} of {found.n_parity} parity packets")
    if n_bad:
        told.append(f"{n_bad} damaged {'place' if n_bad == 1 else 'places'}")
    if found.foreign_bytes:
        told.append(f"{found.foreign_bytes:,} bytes that belong to no packet")
    return ["  damaged: " + ", ".join(told)]

"""`vqcodec encode`: images to `.vqc` files."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import click

from vqcodec import codec
from vqcodec.backends import resolve
from vqcodec.bitstream.layout import CODINGS, MAGIC, PACKET_HEAD_BYTES
from vqcodec.cli import shared
from vqcodec.cli.console import Console, muted_libraries
from vqcodec.cli.inputs import read_image_bytes, shown
from vqcodec.cli.output import Job, plan, run, shown_target, write
from vqcodec.errors import ImageError
from vqcodec.inspection import describe
from vqcodec.packing import COUNTS, MAX_FEC, Packing
from vqcodec.packs import store
from vqcodec.pixels.files import IMAGE_SUFFIXES, read_image
from vqcodec.rdo import DEFAULT_RDO, MAX_WEIGHT

MAX_TARGET_BYTES = 2**30
MAX_TARGET_BPP = 24.0  # what pixels take without any coding
MAX_MTU = 65535  # of a datagram


def _check_bytes(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", value) or not 1 <= int(value) <= MAX_TARGET_BYTES:
        raise click.BadParameter(
            f"'{value}' is no size; give bytes from 1 to {MAX_TARGET_BYTES:,}, for example 1500."
        )
    return int(value)


def _check_bpp(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        bpp = float(value)
    except ValueError:
        bpp = math.nan
    if not 0 < bpp <= MAX_TARGET_BPP:  # not a number fails, too
        raise click.BadParameter(
            f"'{value}' is no rate; give bits per pixel above 0 and up to {MAX_TARGET_BPP:.0f}, "
            "for example 0.03."
        )
    return bpp


def _check_rdo(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        weight = float(value)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= MAX_WEIGHT:  # not a number fails, too
        raise click.BadParameter(
            f"'{value}' is no weight; give a number from 0 to {MAX_WEIGHT:.0f}, for example 0.1."
        )
    return weight


def _check_packets(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if value not in map(str, COUNTS):
        listed = ", ".join(map(str, COUNTS))
        raise click.BadParameter(f"'{value}' is no number of packets; give one of {listed}.")
    return int(value)


def _check_mtu(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    low = PACKET_HEAD_BYTES + 1
    if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= MAX_MTU:
        raise click.BadParameter(
            f"'{value}' is no packet size; give bytes from {low} to {MAX_MTU:,}, for example 1200."
        )
    return int(value)


def _check_fec(_: click.Context, __: click.Parameter, value: str | None) -> float:
    if value is None:
        return 0.0
    is_number = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?%?", value)
    percent = float(value.removesuffix("%")) if is_number else 0.0
    if not 0 < percent <= 100 * MAX_FEC:
        raise click.BadParameter(
            f"'{value}' is no share; give percent above 0 and up to {100 * MAX_FEC:.0f}, "
            "for example 20%."
        )
    return percent / 100


def _packing(packets: int | None, mtu: int | None, fec: float, rdo: float | None) -> Packing:
    """Refuse options that do not go together."""
    if packets is not None and mtu is not None:
        raise click.UsageError("--packets and --mtu both choose the packets; give one of them.")
    if fec and packets is mtu is None:
        raise click.UsageError("--fec needs several packets; give --packets or --mtu, too.")
    try:
        packing = Packing(packets or 1, mtu, fec)
    except ValueError as error:
        raise click.UsageError(f"{error}; change --packets or --fec.") from error
    if rdo and packing != Packing():
        raise click.UsageError(
            "--rdo goes by the context model, which is for files of one packet; leave it or "
            "--packets and --mtu out."
        )
    return packing


def _bytes_at(bpp: float, height: int, width: int) -> int:
    """Whole bytes that an image has at a rate; the bpp of a file's record gives that file back."""
    return max(1, math.floor(bpp * height * width / 8 + 1e-6))


@click.command(
    epilog=shared.examples(
        "vqcodec encode photo.png",
        "vqcodec encode photo.jpg -o small.vqc -t 3",
        "vqcodec encode photo.jpg -o note.vqc --target-bytes 1500",
        "vqcodec encode photo.jpg --mtu 1200 --fec 20%",
        "vqcodec encode *.png -o out/ --json > sizes.jsonl",
    )
)
@shared.inputs_argument
@shared.output_options
@shared.model_option
@shared.tier_option
@click.option(
    "--target-bytes",
    metavar="N",
    callback=_check_bytes,
    help="Instead of --tier: the largest tier whose whole file has at most N bytes.",
)
@click.option(
    "--target-bpp",
    metavar="X",
    callback=_check_bpp,
    help="The same with the size in bits per pixel of each image, for example 0.03.",
)
@click.option(
    "--coding",
    type=click.Choice(["auto", *CODINGS]),
    metavar="MODE",
    default="auto",
    help="How indices become bits: fixed (all take the same), table (range coder with the tier's "
    "frequencies), context (range coder with the pack's context model; not every pack has one), or "
    "auto, the smallest of these for one packet and fixed for several. Default: auto.",
)
@click.option(
    "--rdo",
    metavar="LAMBDA",
    callback=_check_rdo,
    help="With the context model: take a farther codeword for each bit that it saves by up to so "
    f"much more squared distance; 0 always takes the nearest. Default: {DEFAULT_RDO}.",
)
@click.option(
    "--packets",
    metavar="N",
    callback=_check_packets,
    help="Deal the picture to N packets, each of which decodes without the others: "
    f"{', '.join(map(str, COUNTS[:-1]))} or {COUNTS[-1]}. Each takes 12 bytes more. Default: 1.",
)
@click.option(
    "--mtu",
    metavar="BYTES",
    callback=_check_mtu,
    help="Instead of --packets: the fewest packets of at most BYTES each, heads included.",
)
@click.option(
    "--fec",
    metavar="PERCENT",
    callback=_check_fec,
    help="With several packets: add so much parity to them, for example 20% (4 more packets for "
    "20). So many packets can be lost and the picture is as if none was.",
)
@shared.max_pixels_option
@shared.machine_options
@shared.backend_option
@shared.talk_options
def encode(
    inputs: tuple[str, ...],
    output: str | None,
    is_forced: bool,
    model: str | None,
    tier: int | None,
    target_bytes: int | None,
    target_bpp: float | None,
    coding: str,
    rdo: float | None,
    packets: int | None,
    mtu: int | None,
    fec: float,
    max_pixels: int,
    device: str,
    threads: int | None,
    backend: str,
    console: Console,
) -> None:
    """Encode images to .vqc files.

    IN is any PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF file, or - for stdin.
    Without -o, photo.png becomes photo.vqc beside it.
    """
    wishes = {"--tier": tier, "--target-bytes": target_bytes, "--target-bpp": target_bpp}
    given = [option for option, value in wishes.items() if value is not None]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} both choose the tier; give one of them.")
    if rdo and coding not in ("auto", "context"):
        raise click.UsageError(f"--rdo goes by the context model, which '{coding}' does not use.")
    packing = _packing(packets, mtu, fec, rdo)
    jobs = plan(inputs, output, ".vqc", is_json=console.is_json)
    if output is not None and Path(jobs[0].target).suffix.lower() in IMAGE_SUFFIXES:
        raise click.UsageError(f"encode writes .vqc files, and '{output}' is named as an image.")
    pack = store.find(model)
    # What is the same for all inputs is told once.
    if tier is not None:
        pack.codebook_size(tier)
    if (coding == "context" or rdo) and target_bytes is target_bpp is None:
        pack.tables(tier or pack.manifest.default_tier, "context")

    def work(job: Job) -> None:
        begin = time.perf_counter()
        image = read_image_bytes(job.source)
        if image.startswith(MAGIC):
            raise ImageError("is a .vqc file already. Run 'vqcodec decode' on it.")
        with muted_libraries():
            pixels, notes = read_image(image, max_pixels=max_pixels)
        for note in notes:
            console.note(shown(job.source), note)
        target = target_bytes if target_bpp is None else _bytes_at(target_bpp, *pixels.shape[:2])
        by_tiers = "" if target is None else ", tier by tier"
        with console.progress(f"encoding {shown(job.source)}{by_tiers}") as progress:
            data = codec.encode(
                pixels,
                tier=tier,
                target_bytes=target,
                model=pack.path,
                coding=coding,
                rdo=rdo,
                n_packets=packing.n_packets,
                mtu=mtu,
                fec=fec,
                device=device,
                threads=threads,
                progress=progress,
                backend=backend,
            )
        write(job.target, data, is_forced=is_forced)
        seconds, ran_by = time.perf_counter() - begin, resolve(backend)
        info = describe(data)
        told = f"{info.n_packets}+{info.n_parity}" if info.n_parity else f"{info.n_packets}"
        console.say(
            f"{job.label}: {info.size_bytes:,} bytes, {info.bpp:.3f} bpp, "
            f"{pack.name} tier {info.tier} ({info.codebook_size} words), "
            f"{f'{told} packets, ' if len(info.packets) > 1 else ''}{seconds:.2f} s"
        )
        console.detail(
            f"{info.width_px} x {info.height_px} px, {info.coding} coding, "
            f"{info.header_bytes} bytes besides the payload; {shared.device_used(device, ran_by)}; "
            f"model pack {pack.path}, sha256 {pack.digest}"
        )
        if console.is_json:
            console.record(
                "encode",
                path=shown(job.source),
                output=shown_target(job.target),
                **shared.stream_fields(info, pack),
                n_packets=info.n_packets,
                n_parity=info.n_parity,
                backend=ran_by,
                seconds=round(seconds, 3),
                notes=notes,
            )

    run(jobs, console, work, is_forced=is_forced)

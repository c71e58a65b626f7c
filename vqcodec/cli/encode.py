"""`vqcodec encode`: images to `.vqc` files."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vqcodec import codec
from vqcodec.bitstream.layout import CODINGS, MAGIC
from vqcodec.cli import shared
from vqcodec.cli.console import Console, muted_libraries
from vqcodec.cli.inputs import read_image_bytes, shown
from vqcodec.cli.output import Job, plan, run, shown_target, write
from vqcodec.errors import ImageError
from vqcodec.inspection import describe
from vqcodec.packs import store
from vqcodec.pixels.files import IMAGE_SUFFIXES, read_image


@click.command(
    epilog=shared.examples(
        "vqcodec encode photo.png",
        "vqcodec encode photo.jpg -o small.vqc -t 3",
        "vqcodec encode *.png -o out/ --json > sizes.jsonl",
    )
)
@shared.inputs_argument
@shared.output_options
@shared.model_option
@shared.tier_option
@click.option(
    "--coding",
    type=click.Choice(["auto", *sorted(CODINGS, reverse=True)]),
    default="auto",
    help="How indices become bits: range coder with the tier's frequency table, fixed length, or "
    "the smaller of both (auto, the default).",
)
@shared.max_pixels_option
@shared.machine_options
@shared.talk_options
def encode(
    inputs: tuple[str, ...],
    output: str | None,
    is_forced: bool,
    model: str | None,
    tier: int | None,
    coding: str,
    max_pixels: int,
    device: str,
    threads: int | None,
    console: Console,
) -> None:
    """Encode images to .vqc files.

    IN is any PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF file, or - for stdin.
    Without -o, photo.png becomes photo.vqc beside it.
    """
    jobs = plan(inputs, output, ".vqc", is_json=console.is_json)
    if output is not None and Path(jobs[0].target).suffix.lower() in IMAGE_SUFFIXES:
        raise click.UsageError(f"encode writes .vqc files, and '{output}' is named as an image.")
    pack = store.find(model)
    if tier is not None:
        pack.codebook_size(tier)  # the same for all inputs: told once

    def work(job: Job) -> None:
        begin = time.perf_counter()
        image = read_image_bytes(job.source)
        if image.startswith(MAGIC):
            raise ImageError("is a .vqc file already. Run 'vqcodec decode' on it.")
        with muted_libraries():
            pixels, notes = read_image(image, max_pixels=max_pixels)
        for note in notes:
            console.note(shown(job.source), note)
        with console.progress(f"encoding {shown(job.source)}") as progress:
            data = codec.encode(
                pixels,
                tier=tier,
                model=pack.path,
                coding=coding,
                device=device,
                threads=threads,
                progress=progress,
            )
        write(job.target, data, is_forced=is_forced)
        seconds = time.perf_counter() - begin
        info = describe(data)
        console.say(
            f"{job.label}: {info.size_bytes:,} bytes, {info.bpp:.3f} bpp, "
            f"{pack.name} tier {info.tier} ({info.codebook_size} words), {seconds:.2f} s"
        )
        console.detail(
            f"{info.width_px} x {info.height_px} px, {info.coding} coding, "
            f"{info.header_bytes} bytes besides the payload; {shared.device_used(device)}; "
            f"model pack {pack.path}, sha256 {pack.digest}"
        )
        if console.is_json:
            console.record(
                "encode",
                path=shown(job.source),
                output=shown_target(job.target),
                **shared.stream_fields(info, pack),
                seconds=round(seconds, 3),
                notes=notes,
            )

    run(jobs, console, work, is_forced=is_forced)

"""`vqcodec decode`: `.vqc` files to images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from vqcodec import codec
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import STREAM, read_vqc_bytes, shown
from vqcodec.cli.output import Job, check, plan, run, shown_target, write
from vqcodec.errors import OutputError, OutputExistsError
from vqcodec.inspection import describe
from vqcodec.painting import RESTORERS
from vqcodec.pixels.files import check_suffix, write_image

_SUFFIX = ".png"
"""Of outputs that are not named, and the kind of image that stdout and devices get."""


@click.command(
    epilog=shared.examples(
        "vqcodec decode photo.vqc",
        "vqcodec decode photo.vqc -o photo.webp -f",
        "vqcodec decode damaged.vqc --erasure-map drawn.png",
        "cat photo.vqc | vqcodec decode - -o - > photo.png",
    )
)
@shared.inputs_argument
@shared.output_options
@shared.model_option
@click.option(
    "--strict", is_flag=True, help="Refuse files of which anything is missing or damaged."
)
@click.option(
    "--restorer",
    type=click.Choice(RESTORERS),
    help="What stands in for lost indices: transformer (the pack's network), neighbour (the "
    "nearest received index), mean (the word nearest to the mean) or none (the most frequent). "
    "Default: transformer, where the pack has one, else neighbour.",
)
@click.option(
    "--erasure-map",
    metavar="PNG",
    help="Also write a picture of what was drawn by guess (white) rather than received (black).",
)
@shared.max_pixels_option
@shared.machine_options
@shared.backend_option
@shared.talk_options
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    is_forced: bool,
    model: str | None,
    strict: bool,
    restorer: str | None,
    erasure_map: str | None,
    max_pixels: int,
    device: str,
    threads: int | None,
    backend: str,
    console: Console,
) -> None:
    """Decode .vqc files to images.

    Of a damaged file, or one of which packets were lost, the picture is
    restored as far as one packet is intact, and stderr says how much of it is
    guess.

    IN is a .vqc file, or - for stdin. Without -o, photo.vqc becomes
    photo.png beside it. The output's suffix decides its kind: .png .jpg
    .jpeg .webp .avif .bmp .tif .tiff .ppm; stdout gets PNG.
    """
    if strict and (restorer or erasure_map):
        given = "--restorer" if restorer else "--erasure-map"
        raise click.UsageError(f"--strict refuses damaged files, so {given} has nothing to do.")
    jobs = plan(inputs, output, _SUFFIX, is_json=console.is_json)
    _check_erasure_map(erasure_map, jobs)
    suffix = _suffix_for(jobs[0].target)  # the same for all: several outputs are never named

    def work(job: Job) -> None:
        begin = time.perf_counter()
        if erasure_map is not None:
            _check_free(erasure_map, is_forced)
        data = read_vqc_bytes(job.source)
        with console.progress(f"decoding {shown(job.source)}") as progress:
            decoded = codec.decode_with_losses(
                data,
                model=model,
                strict=strict,
                restorer=restorer,
                max_pixels=max_pixels,
                device=device,
                threads=threads,
                progress=progress,
                backend=backend,
            )
        image = write_image(decoded.pixels, suffix)
        write(job.target, image, is_forced=is_forced)
        if erasure_map is not None:
            write(erasure_map, write_image(_drawn(decoded), _SUFFIX), is_forced=is_forced)
        seconds = time.perf_counter() - begin
        header, pack, losses = decoded.header, decoded.pack, decoded.losses
        if not losses.is_whole:
            by = f" ({decoded.restorer})" if decoded.restorer else ""
            console.note(shown(job.source), losses.describe() + by)
        console.say(
            f"{job.label}: {header.width} x {header.height} px from {len(data):,} bytes, "
            f"{pack.name} tier {header.tier} ({header.codebook_size} words), {seconds:.2f} s"
        )
        console.detail(
            f"{header.coding} coding; {shared.device_used(device, decoded.backend)}; "
            f"model pack {pack.path}, sha256 {pack.digest}"
        )
        if console.is_json:
            fields = asdict(losses)
            is_whole = fields.pop("is_whole")
            console.record(
                "decode",
                path=shown(job.source),
                output=shown_target(job.target),
                **shared.stream_fields(describe(data), pack),
                image_bytes=len(image),
                is_whole=is_whole,
                losses=fields,
                restorer=decoded.restorer,
                erasure_map=erasure_map,
                backend=decoded.backend,
                seconds=round(seconds, 3),
            )

    run(jobs, console, work, is_forced=is_forced)


def _check_erasure_map(target: str | None, jobs: Sequence[Job]) -> None:
    if target is None:
        return
    if len(jobs) > 1:
        raise click.UsageError("--erasure-map takes one input; decode the files one by one.")
    if target == STREAM or Path(target).suffix.lower() != _SUFFIX:
        raise click.UsageError(f"--erasure-map writes a PNG file; name it drawn{_SUFFIX}.")
    if Path(target).resolve() == Path(jobs[0].target).resolve():
        raise click.UsageError("--erasure-map and --output name the same file.")


def _check_free(target: str, is_forced: bool) -> None:
    """Find out before the work whether the erasure map can be written, in this option's words."""
    try:
        check(Job(STREAM, target), is_forced=is_forced)
    except (OutputError, OutputExistsError) as error:
        message = error.message.replace("with -o", "with --erasure-map")
        raise type(error)(message, **error.details) from None


def _drawn(decoded: codec.Decoded) -> NDArray[np.uint8]:
    """Paint white where a lost index stood, black where it was received; (H, W, 3)."""
    height, width = decoded.pixels.shape[:2]
    squares = decoded.erased.astype(np.uint8) * np.uint8(255)
    stride = decoded.header.stride
    plane = squares.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]
    return np.repeat(plane[:, :, None], 3, axis=2)


def _suffix_for(target: str) -> str:
    """Return the suffix that names the output's kind; OutputError where there is none."""
    path = Path(target)
    if target == STREAM or (path.exists() and not path.is_file()):
        return _SUFFIX
    try:
        check_suffix(path.suffix)
    except OutputError as error:
        raise OutputError(error.message, place=target) from None
    return path.suffix

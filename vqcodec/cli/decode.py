"""`vqcodec decode`: `.vqc` files to images."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vqcodec import codec
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import STREAM, read_vqc_bytes, shown
from vqcodec.cli.output import Job, plan, run, shown_target, write
from vqcodec.errors import OutputError
from vqcodec.inspection import describe
from vqcodec.packs import store
from vqcodec.pixels.files import check_suffix, write_image

_SUFFIX = ".png"
"""Of outputs that are not named, and the kind of image that stdout and devices get."""


@click.command(
    epilog=shared.examples(
        "vqcodec decode photo.vqc",
        "vqcodec decode photo.vqc -o photo.webp -f",
        "cat photo.vqc | vqcodec decode - -o - > photo.png",
    )
)
@shared.inputs_argument
@shared.output_options
@shared.model_option
@shared.max_pixels_option
@shared.machine_options
@shared.talk_options
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    is_forced: bool,
    model: str | None,
    max_pixels: int,
    device: str,
    threads: int | None,
    console: Console,
) -> None:
    """Decode .vqc files to images.

    IN is a .vqc file, or - for stdin. Without -o, photo.vqc becomes
    photo.png beside it. The output's suffix decides its kind: .png .jpg
    .jpeg .webp .avif .bmp .tif .tiff .ppm; stdout gets PNG.
    """
    jobs = plan(inputs, output, _SUFFIX, is_json=console.is_json)
    suffix = _suffix_for(jobs[0].target)  # the same for all: several outputs are never named

    def work(job: Job) -> None:
        begin = time.perf_counter()
        data = read_vqc_bytes(job.source)
        with console.progress(f"decoding {shown(job.source)}") as progress:
            pixels = codec.decode(
                data,
                model=model,
                max_pixels=max_pixels,
                device=device,
                threads=threads,
                progress=progress,
            )
        image = write_image(pixels, suffix)
        write(job.target, image, is_forced=is_forced)
        seconds = time.perf_counter() - begin
        info = describe(data)
        pack = store.find_by_id(info.weights_id, model)
        console.say(
            f"{job.label}: {info.width_px} x {info.height_px} px from {info.size_bytes:,} bytes, "
            f"{pack.name} tier {info.tier} ({info.codebook_size} words), {seconds:.2f} s"
        )
        console.detail(
            f"{info.coding} coding; {shared.device_used(device)}; "
            f"model pack {pack.path}, sha256 {pack.digest}"
        )
        if console.is_json:
            console.record(
                "decode",
                path=shown(job.source),
                output=shown_target(job.target),
                **shared.stream_fields(info, pack),
                image_bytes=len(image),
                seconds=round(seconds, 3),
            )

    run(jobs, console, work, is_forced=is_forced)


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

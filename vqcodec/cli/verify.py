"""`vqcodec verify`: are files whole? Down to indices without torch, to pixels on demand."""

from __future__ import annotations

from functools import partial

import click

from vqcodec import verification
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import check_inputs, read_vqc_bytes, shown
from vqcodec.errors import FormatError


@click.command(
    epilog=shared.examples("vqcodec verify photo.vqc && echo intact", "vqcodec verify *.vqc --json")
)
@shared.inputs_argument
@shared.model_option
@click.option("--pixels", "with_pixels", is_flag=True, help="Decode the picture too; slower.")
@shared.max_pixels_option
@shared.machine_options
@shared.backend_option
@shared.talk_options
def verify(
    inputs: tuple[str, ...],
    model: str | None,
    with_pixels: bool,
    max_pixels: int,
    device: str,
    threads: int | None,
    backend: str,
    console: Console,
) -> None:
    """Check that .vqc files are whole.

    Reads structure and checksums and decodes every index. Prints one line per
    file on stdout, or one per finding (with -q only these); exit code 4 when a
    file is damaged, 5 when the model pack that it needs is not there.
    """
    check_inputs(inputs)

    def work(name: str) -> None:
        data = read_vqc_bytes(name)
        findings = verification.verify(data, model=model, max_pixels=max_pixels)
        if with_pixels and not findings:
            from vqcodec import codec

            with console.progress(f"decoding {shown(name)}") as progress:
                codec.decode(
                    data,
                    model=model,
                    max_pixels=max_pixels,
                    device=device,
                    threads=threads,
                    progress=progress,
                    backend=backend,
                )
        if console.is_json:
            console.record(
                "verify",
                path=shown(name),
                is_intact=not findings,
                with_pixels=with_pixels,
                findings=findings,
            )
        elif findings:
            console.result("\n".join(f"{shown(name)}: {finding}" for finding in findings))
        elif not console.is_quiet:
            console.result(f"{shown(name)}: intact")
        if findings:
            console.fail(FormatError.exit_code)

    for name in inputs:
        console.attempt(shown(name), partial(work, name))

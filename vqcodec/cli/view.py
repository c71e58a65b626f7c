"""`vqcodec view`: files and photos in a browser, from a page that this machine serves to itself."""

from __future__ import annotations

import os
import threading
import webbrowser
from typing import Final

import click

from vqcodec.bitstream.layout import MAGIC
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.inputs import STREAM, check_inputs, read_image_bytes, shown
from vqcodec.errors import FormatError, InputError
from vqcodec.inspection import describe
from vqcodec.viewing import Opened, ViewingServer, find_page

_PHOTOS: Final = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")
_BOXES: Final = (b"ftypavif", b"ftypavis", b"ftypmif1")
_MAX_PORT: Final = 65535


@click.command(
    epilog=shared.examples(
        "vqcodec view",
        "vqcodec view photo.vqc",
        "vqcodec view photo.jpg --no-browser --port 8000",
    )
)
@click.argument(
    "source",
    metavar="[FILE]",
    required=False,
    type=click.Path(allow_dash=True, readable=False),
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(1, _MAX_PORT),
    help="Port of this machine to serve at. Default: one that the system chooses.",
)
@click.option(
    "--no-browser",
    "is_quiet_start",
    is_flag=True,
    help="Open no browser; the address is printed either way.",
)
@shared.talk_options
def view(source: str | None, port: int | None, is_quiet_start: bool, console: Console) -> None:
    """Open .vqc files and make them of photos, in a browser.

    FILE is a .vqc file, a photo of a kind that browsers read, or - for stdin;
    without one the page shows a few of its own. Everything runs on this
    machine, in the browser: the page is served to this machine alone, at an
    address that only this command knows, and nothing leaves it. Ctrl-C ends it.
    """
    check_inputs((source,) if source is not None else ())

    def work() -> None:
        opened = None if source is None else _read(source)
        with ViewingServer(find_page(), opened, port=port or 0) as server:
            if console.is_json:
                path = None if source is None else shown(source)
                console.record("view", path=path, url=server.url)
            else:
                console.result(server.url)
            console.say("serving this machine alone; Ctrl-C ends it")
            if not is_quiet_start:
                # In a thread: a browser of the terminal would keep the server from answering it.
                threading.Thread(target=_open, args=(server.url, console), daemon=True).start()
            server.serve_forever()

    console.attempt("" if source is None else shown(source), work)


def _open(url: str, console: Console) -> None:
    if not webbrowser.open(url):
        console.note("view", "no browser could be started; open the address above in one")


def _read(source: str) -> Opened:
    """Read a file and make sure that the page can do something with it."""
    data = read_image_bytes(source)
    name = "stdin" if source == STREAM else os.path.basename(os.fspath(source))
    # A name that is no text would not survive its way through an address.
    name = name.encode(errors="replace").decode() or "file"
    if data.startswith(MAGIC):
        describe(data)
    elif not _is_photo(data):
        try:
            describe(data)
        except FormatError:
            raise InputError(
                "is neither a .vqc file nor a photo that browsers read. Give a .vqc, JPEG, PNG, "
                "WebP, AVIF, GIF or BMP file."
            ) from None
    return Opened(name, data)


def _is_photo(data: bytes) -> bool:
    """Whether bytes begin as a picture that browsers read."""
    return data.startswith(_PHOTOS) or data[8:12] == b"WEBP" or data[4:12] in _BOXES

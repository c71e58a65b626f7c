"""Bytes of an input, from a file or from stdin, never more than a stated limit."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from vqcodec.cli.console import reason
from vqcodec.errors import InputError, LimitError

if TYPE_CHECKING:
    from vqcodec.errors import VqcError

STREAM: Final = "-"
"""Stands for stdin as an input and for stdout as an output."""

MAX_IMAGE_BYTES: Final = 2**31
MAX_VQC_BYTES: Final = 2**27
"""Above any file that is worth writing: 8192 x 8192 indices at 16 bits."""

_CHUNK_BYTES = 2**20


def shown(name: str) -> str:
    """Return an input's name as messages print it."""
    return "stdin" if name == STREAM else os.fspath(name)


def check_inputs(names: tuple[str, ...]) -> None:
    """Refuse to read stdin twice, and to wait for bytes typed by hand.

    Raises:
        click.UsageError: either of the two.
    """
    if names.count(STREAM) > 1:
        raise click.UsageError("stdin ('-') can be read only once.")
    if STREAM in names and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("stdin is a terminal; pipe a file into it, or name one.")


def check_exists(name: str) -> None:
    """Make sure, without reading it, that an input is there and is no folder.

    Raises:
        InputError: it is not.
    """
    if name == STREAM:
        return
    try:
        is_folder = os.path.isdir(name)
        os.stat(name)
    except FileNotFoundError:
        raise InputError("no such file. Check the name.") from None
    except OSError as error:
        raise _unreadable(error) from error
    if is_folder:
        raise InputError("is a folder. Name the files in it.")


def read_image_bytes(name: str) -> bytes:
    """Read an image file whole.

    Raises:
        InputError: missing, a folder, unreadable, empty, or larger than 2 GiB.
    """
    too_large = InputError("larger than 2 GiB. Scale the image down.")
    return _read(name, MAX_IMAGE_BYTES, too_large)


def read_vqc_bytes(name: str) -> bytes:
    """Read a `.vqc` file whole.

    Raises:
        InputError: missing, a folder, unreadable or empty.
        LimitError: larger than any `.vqc` file can be.
    """
    too_large = LimitError("larger than any .vqc file (128 MiB). Check the name.")
    return _read(name, MAX_VQC_BYTES, too_large)


def _read(name: str, limit: int, too_large: VqcError) -> bytes:
    check_exists(name)
    data = bytearray()
    try:
        with _open(name) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                data += chunk
                if len(data) > limit:
                    raise too_large
    except OSError as error:
        raise _unreadable(error) from error
    if not data:
        raise InputError("is empty. Get a whole copy of it.")
    return bytes(data)


def _open(name: str) -> BinaryIO:
    if name != STREAM:
        return Path(name).open("rb")
    if sys.stdin is None:
        raise InputError("is closed. Pipe a file into it, or name one.")
    return sys.stdin.buffer


def _unreadable(error: OSError) -> InputError:
    return InputError(f"cannot be read: {reason(error)}. Check the name and its permissions.")

"""The exception tree: a class per kind of failure, each with the command's exit code for it.

Everything that the outside world can cause (files, streams, packs, the machine) raises a
`VqcError`; a programmer's bad argument raises `ValueError` or `TypeError`. A message names place,
fact and remedy.
"""

from __future__ import annotations

from typing import Any


class VqcError(Exception):
    """Base of all failures that vqcodec reports; on its own it stands for a fault of ours.

    Args:
        message: one or two lines with place, fact and remedy; lower case, no blame.
        **details: fields for programs (`offset`, `field`, `expected`, `found`, `path`, ...), kept
            as given.
    """

    exit_code = 1

    def __init__(self, message: str, **details: Any) -> None:
        """Keep message and details; see the class."""
        super().__init__(message)
        self.message = message
        self.details = details


class FileError(VqcError):
    """Something is wrong with a file as such, before its bytes mean anything."""

    exit_code = 3


class InputError(FileError):
    """An input is missing, empty, a directory or unreadable."""


class OutputError(FileError):
    """An output cannot be written: folder missing or read-only, disk full."""


class OutputExistsError(FileError):
    """The output is there already and `--force` was not given."""


class ImageError(FileError):
    """The input is not an image that can be read, or is too large."""


class TargetError(FileError):
    """Even the smallest file of an image is larger than was asked for."""


class FormatError(VqcError):
    """The bytes of a `.vqc` file are wrong."""

    exit_code = 4


class NotVqcError(FormatError):
    """The magic is missing: this is no `.vqc` file."""


class VersionError(FormatError):
    """The file was written in a format version that this program does not know."""


class TruncatedError(FormatError):
    """The file ends before it should."""


class ChecksumError(FormatError):
    """A packet's checksum does not match its bytes."""


class LimitError(FormatError):
    """The file asks for more than the limits allow (pixels, indices)."""


class ModelError(VqcError):
    """A model pack is missing, wrong or broken."""

    exit_code = 5


class ModelNotFoundError(ModelError):
    """No pack of that name or id was found."""


class ModelMismatchError(ModelError):
    """The pack at hand is not the one that the file was made with."""


class PackError(ModelError):
    """A pack's manifest or weights are broken."""


class CheckpointError(ModelError):
    """A checkpoint cannot become a model pack: another network, no codebook, broken weights."""


class BackendError(VqcError):
    """The machine lacks something: a backend, an extra, a device, memory, the network."""

    exit_code = 6


class DamageWarning(UserWarning):
    """A picture was decoded from a file of which something is missing or damaged."""

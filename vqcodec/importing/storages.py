"""The bytes of tensors in files that `torch.save` wrote, both ways: a zip since 1.6, a row before.

Every place and size is checked against the file before memory is taken for it. A zip's entries are
stored as they are (torch never compresses), so nothing grows on the way, and their checksums tell a
damaged download.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from vqcodec.errors import InputError
from vqcodec.importing.pickled import StorageRef
from vqcodec.importing.unpickle import MAX_BYTES, unpickle

ITEM_BYTES: Final = {
    **{"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "bool": 1},
    **{"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1},
}
MAX_STORAGE_BYTES: Final = 4 << 30  # one tensor; the largest network that is allowed has 2 GiB
MAX_PIECE_BYTES: Final = 4 << 20  # so also of a zip's directory; a checkpoint's has about 0.2 MB
LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL: Final = 1001


class Careful(io.BufferedReader):
    """A file that is read in small pieces only: `zipfile` trusts what a header claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `MAX_PIECE_BYTES`; InputError when more is asked for."""
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > MAX_PIECE_BYTES:
            raise InputError("its directory claims an absurd size: not a checkpoint.")
        return super().read(size)


class ZipStorages:
    """A file of torch 1.6 or later.

    Args:
        path: the file.

    Attributes:
        values: what was saved, as `unpickle` gives it.

    Raises:
        InputError: damaged, of another byte order, compressed, or not written by `torch.save`.
    """

    kind = "torch.save, zip"

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as (file, archive):
            names = archive.namelist()
            pickles = [name for name in names if name.split("/")[-1] == "data.pkl"]
            if len(pickles) != 1:
                raise InputError("a zip, but not one that torch.save wrote.")
            self.root = pickles[0].removesuffix("data.pkl")
            if f"{self.root}constants.pkl" in names:
                raise InputError("a TorchScript program, not weights: save its state_dict().")
            self.size = file.seek(0, io.SEEK_END)
            if f"{self.root}byteorder" in names:
                order = bytes(self._read(archive, f"{self.root}byteorder", 16))
                if order != b"little":
                    raise InputError("written on a machine of the other byte order: save it anew.")
            pickle = self._read(archive, pickles[0], MAX_BYTES)
            self.values: Any = unpickle(io.BytesIO(pickle))

    def blobs(self, storages: list[StorageRef]) -> Iterator[tuple[StorageRef, bytearray]]:
        """Yield each storage's bytes, each once; InputError when one is missing or wrong."""
        with self._open() as (_, archive):
            for storage in storages:
                blob = self._read(archive, f"{self.root}data/{storage.key}", MAX_STORAGE_BYTES)
                check_size(storage, len(blob))
                yield storage, blob

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, zipfile.ZipFile]]:
        with Careful(io.FileIO(self.path)) as file, zipfile.ZipFile(file) as archive:
            yield file, archive

    def _read(self, archive: zipfile.ZipFile, name: str, at_most: int) -> bytearray:
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise InputError(
                f"'{info.filename[:80]}' in it is compressed; torch.save stores plain."
            )
        end = info.header_offset + info.file_size
        if info.file_size != info.compress_size or end > self.size or info.file_size > at_most:
            raise InputError(f"'{info.filename[:80]}' in it claims {info.file_size:,} bytes.")
        out = bytearray(info.file_size)
        with archive.open(info) as entry:
            filled = 0
            while filled < len(out):
                piece = entry.read(MAX_PIECE_BYTES)
                if not piece:
                    raise InputError("ends too early: get it again.")
                out[filled : filled + len(piece)] = piece
                filled += len(piece)
        return out


class RowStorages:
    """A file of torch before 1.6: pickles one after the other, then storages.

    Args:
        path: the file.

    Attributes:
        values: what was saved, as `unpickle` gives it.

    Raises:
        InputError: damaged, of another byte order, or not written by `torch.save`.
    """

    kind = "torch.save, before 1.6"

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if unpickle(file) != LEGACY_MAGIC or unpickle(file) != LEGACY_PROTOCOL:
                raise InputError("a pickle that torch.save did not write.")
            machine = unpickle(file)
            if not isinstance(machine, dict) or machine.get("little_endian") is not True:
                raise InputError("written on a machine of the other byte order: save it anew.")
            self.storages: dict[str, StorageRef] = {}
            self.values: Any = unpickle(file, self.storages)
            keys = unpickle(file)
            if not isinstance(keys, list):
                raise InputError("its list of storages is damaged.")
            self.keys = [str(key) for key in keys if isinstance(key, str | int)]
            self.begin = file.tell()

    def blobs(self, storages: list[StorageRef]) -> Iterator[tuple[StorageRef, bytearray]]:
        """Yield each storage's bytes, each once; InputError when one is missing or wrong."""
        wanted = {storage.key: storage for storage in storages}
        with self.path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            place = self.begin
            for key in self.keys:
                file.seek(place)
                n_elements = int.from_bytes(file.read(8), "little")
                known = self.storages.get(key)
                n_bytes = n_elements * ITEM_BYTES[known.dtype] if known is not None else size
                place += 8 + n_bytes
                if place > size or n_bytes > MAX_STORAGE_BYTES:
                    raise InputError("its storages do not fit the file: get it again.")
                if key in wanted:
                    blob = bytearray(n_bytes)
                    file.readinto(blob)
                    check_size(wanted[key], n_bytes)
                    yield wanted.pop(key), blob
        if wanted:
            raise InputError("a tensor's bytes are missing: get it again.")


def check_size(storage: StorageRef, n_bytes: int) -> None:
    """Compare what the pickle claims with the bytes that are there; InputError when it differs."""
    if storage.n_elements * ITEM_BYTES[storage.dtype] != n_bytes:
        raise InputError(
            f"a tensor claims {storage.n_elements:,} elements, and {n_bytes:,} bytes are there."
        )

"""Writing a pack's folder: weights, manifest and, where there is none, the beginning of a card."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vqcodec.errors import OutputError, OutputExistsError
from vqcodec.packs.manifest import MANIFEST_NAME, read_manifest
from vqcodec.packs.store import RESTORER_NAME
from vqcodec.training.card import card

CARD_NAME = "CARD.md"


def refuse_to_replace(out: Path, is_forced: bool) -> None:
    """Raise an OutputExistsError when there is a pack in the folder that is not to be replaced."""
    if (out / MANIFEST_NAME).exists() and not is_forced:
        raise OutputExistsError(
            f"{out}: a model pack is there already. Name another, or replace it with --force.",
            path=out,
        )


def write_pack(out: Path, blobs: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Write all files beside their places, then move them: a reader never sees half a pack.

    The restorer of a pack that is replaced goes, unless there is another among the files.

    Args:
        out: folder of the pack, made where it is missing.
        blobs: what to write beside the manifest, by file name.
        manifest: its tables.

    Returns:
        The manifest's path.

    Raises:
        OutputError: the folder cannot be written.
    """
    text = "\n".join(_toml(manifest)).encode() + b"\n"
    files = {**blobs, MANIFEST_NAME: text}
    temporaries = {name: out / f"{name}.tmp" for name in files}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            temporaries[name].write_bytes(data)
        for name, temporary in temporaries.items():
            os.replace(temporary, out / name)
        if RESTORER_NAME not in files:
            (out / RESTORER_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: {error.strerror or error}.", path=out) from error
    finally:  # of what failed nothing stays, not even after Ctrl-C
        with contextlib.suppress(OSError):
            for temporary in temporaries.values():
                temporary.unlink(missing_ok=True)
            out.rmdir()  # only where it is empty
    return out / MANIFEST_NAME


def begin_card(out: Path, n_parameters: int) -> None:
    """Write a card unless there is one."""
    if not (out / CARD_NAME).exists():
        text = card(read_manifest(out), n_parameters, (), "")
        (out / CARD_NAME).write_text(text, encoding="utf-8")


def ordered(blob: bytes) -> bytes:
    """Put a safetensors file's metadata in order, which is left to chance, and so its digest."""
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > size:
        raise ValueError("a safetensors header grew when it was sorted")
    return blob[:8] + text.ljust(size) + blob[8 + size :]


def _toml(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lines of a TOML document, values before tables (the standard library only reads TOML)."""
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_toml(value, f"{name}.")]
        elif _is_table(value):
            for row in value:
                lines += ["", f"[[{name}]]", *_toml(row, f"{name}.")]
    return lines


def _is_table(value: Any) -> bool:
    is_rows = isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value)
    return isinstance(value, Mapping) or bool(is_rows)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # JSON's strings are TOML's basic strings
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)

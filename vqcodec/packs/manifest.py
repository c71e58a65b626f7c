"""`manifest.toml` of a model pack, read and checked.

Everything in it comes from outside and is hostile.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vqcodec.bitstream.layout import STRIDES, TIERS
from vqcodec.errors import PackError

MANIFEST_NAME: Final = "manifest.toml"
SCHEMA: Final = 1
COMPRESSED_SCHEMA: Final = 2
"""Of packs whose kernels lie in codes, which a reader of schema 1 must not try."""
_MAX_BYTES = 64 * 1024
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TierEntry:
    """One tier of a pack: its id and the size of its codebook."""

    tier: int
    codebook_size: int


@dataclass(frozen=True)
class RestorerEntry:
    """The restorer of a pack: its file's digest and size, and the network's constructor arguments.

    It is a file of its own: it decides what is painted where indices are lost, never how a file is
    read, so that a better one replaces it while the weights id stays.
    """

    sha256: str
    size_bytes: int
    config: Mapping[str, Any]


@dataclass(frozen=True)
class CompressedEntry:
    """What a compressed pack was made from: their files are the same, so it keeps the weights id.

    Attributes:
        of: name of the pack.
        of_sha256: digest of its weights, hex.
        method: "vq", "lowrank" or "int".
        bits: per weight of the kernels that are in codes.
    """

    of: str
    of_sha256: str
    method: str
    bits: int


@dataclass(frozen=True)
class Manifest:
    """A checked manifest; see docs/ARCHITECTURE.md, "Model packs", for the file.

    Attributes:
        name: of the pack.
        summary: one line for people.
        licence: of the weights.
        default_tier: what `encode` takes unless told.
        weights_sha256: digest of weights.safetensors, hex.
        weights_size_bytes: its size.
        net_kind: which network, see nets/autoencoder.py.
        stride: pixels per index along each axis.
        net_config: the network's constructor arguments.
        tiers: ascending by tier.
        training: provenance, free keys.
        quality: measured figures, free keys.
        restorer: None where the pack has none.
        compressed: None where it is not.
    """

    name: str
    summary: str
    licence: str
    default_tier: int
    weights_sha256: str
    weights_size_bytes: int
    net_kind: str
    stride: int
    net_config: Mapping[str, Any]
    tiers: tuple[TierEntry, ...]
    training: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    restorer: RestorerEntry | None = None
    compressed: CompressedEntry | None = None


class _Table:
    """A TOML table whose keys are taken by type; a wrong or missing one names itself."""

    def __init__(self, values: Mapping[str, Any], place: str) -> None:
        self.values, self.place = values, place

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        value = self.values.get(key, default)
        if not isinstance(value, kind) or isinstance(value, bool):
            found = "missing" if value is None else f"a {type(value).__name__}"
            raise PackError(
                f"{self.place}: '{key}' is {found}, not {_article(kind)}; get the pack again",
                field=key,
            )
        return value

    def table(self, key: str) -> _Table:
        return _Table(self.take(key, dict), f"{self.place}: [{key}]")


def _article(kind: type) -> str:
    return {str: "a string", int: "an integer", dict: "a table", list: "a list"}[kind]


def read_manifest(folder: Path) -> Manifest:
    """Read a pack's manifest.

    Args:
        folder: of the pack.

    Raises:
        PackError: missing, unreadable, too large, no TOML, or a value that is wrong.
    """
    path = folder / MANIFEST_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise PackError(
                f"{path}: larger than {_MAX_BYTES} bytes; get the pack again", path=path
            )
        values = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise PackError(
            f"{path}: {error.strerror or error}; a model pack is a folder with {MANIFEST_NAME}",
            path=path,
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackError(
            f"{path}: not valid TOML ({error}); get the pack again", path=path
        ) from error
    return _checked(_Table(values, str(path)))


def _checked(top: _Table) -> Manifest:
    if top.take("schema", int) not in (SCHEMA, COMPRESSED_SCHEMA):
        raise PackError(
            f"{top.place}: schema {top.values['schema']}, this program reads {SCHEMA} and "
            f"{COMPRESSED_SCHEMA}; update vqcodec"
        )
    weights, net = top.table("weights"), top.table("net")
    manifest = Manifest(
        name=top.take("name", str),
        summary=top.take("summary", str, ""),
        licence=top.take("licence", str, ""),
        default_tier=top.take("default_tier", int, 8),
        weights_sha256=weights.take("sha256", str),
        weights_size_bytes=weights.take("size_bytes", int),
        net_kind=net.take("kind", str),
        stride=net.take("stride", int),
        net_config=net.take("config", dict),
        tiers=_tiers(top),
        training=top.take("training", dict, {}),
        quality=top.take("quality", dict, {}),
        restorer=_restorer(top.table("restorer")) if "restorer" in top.values else None,
        compressed=_compressed(top),
    )
    if not NAME.fullmatch(manifest.name):
        raise PackError(
            f"{top.place}: '{manifest.name[:70]}' is not a pack's name (letters, digits, . _ -)"
        )
    _check_digest(weights, manifest.weights_sha256)
    if manifest.stride not in STRIDES:
        raise PackError(
            f"{net.place}: stride {manifest.stride}; the format has "
            f"{' and '.join(map(str, sorted(STRIDES)))}"
        )
    if manifest.default_tier not in {entry.tier for entry in manifest.tiers}:
        raise PackError(f"{top.place}: default tier {manifest.default_tier} is not in the pack")
    return manifest


def _restorer(table: _Table) -> RestorerEntry:
    entry = RestorerEntry(
        table.take("sha256", str), table.take("size_bytes", int), table.take("config", dict)
    )
    _check_digest(table, entry.sha256)
    return entry


def _compressed(top: _Table) -> CompressedEntry | None:
    """Take the table of a compressed pack, which has the schema of its own."""
    is_compressed = top.values["schema"] == COMPRESSED_SCHEMA
    if is_compressed != ("compressed" in top.values):
        raise PackError(
            f"{top.place}: [compressed] and schema {COMPRESSED_SCHEMA} go together; get the pack "
            "again"
        )
    if not is_compressed:
        return None
    table = top.table("compressed")
    entry = CompressedEntry(
        table.take("of", str),
        table.take("of_sha256", str),
        table.take("method", str),
        table.take("bits", int),
    )
    _check_digest(table, entry.of_sha256)
    return entry


def _check_digest(table: _Table, digest: str) -> None:
    if not _SHA256.fullmatch(digest):
        raise PackError(f"{table.place}: sha256 is not 64 hexadecimal digits; get the pack again")


def _tiers(top: _Table) -> tuple[TierEntry, ...]:
    entries = []
    for number, values in enumerate(top.take("tiers", list)):
        place = f"{top.place}: tier entry {number + 1}"
        if not isinstance(values, dict):
            raise PackError(f"{place} is not a table; get the pack again")
        table = _Table(values, place)
        entry = TierEntry(table.take("tier", int), table.take("codebook_size", int))
        if TIERS.get(entry.tier) != entry.codebook_size:
            raise PackError(
                f"{place}: tier {entry.tier} with {entry.codebook_size} words is not in the format"
            )
        entries.append(entry)
    if not entries or len({entry.tier for entry in entries}) != len(entries):
        raise PackError(f"{top.place}: no tiers, or one twice; get the pack again")
    return tuple(sorted(entries, key=lambda entry: entry.tier))

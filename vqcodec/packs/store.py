"""Find model packs: by folder, by name, or by the weights id of a file.

Search order for a name: the folders in VQCODEC_MODELS (separated as in PATH), then the packs that
come with vqcodec. A pack is known by the sha256 of its weights; a file carries the first two bytes
of it. A compressed pack goes by that of the pack it was made from, whose files it reads and writes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.registry import describe_weights
from vqcodec.entropy.context import ContextModel
from vqcodec.errors import ModelMismatchError, ModelNotFoundError, PackError
from vqcodec.packs import tables
from vqcodec.packs.context import context_tiers, read_context
from vqcodec.packs.manifest import MANIFEST_NAME, Manifest, read_manifest

DEFAULT_MODEL: Final = "photo-3"
WEIGHTS_NAME: Final = "weights.safetensors"
RESTORER_NAME: Final = "restorer.safetensors"
_PACKAGE = Path(__file__).resolve().parents[1]
_EMBEDDED = (_PACKAGE / "_models", _PACKAGE.parent / "models")  # in the wheel; in a source checkout


@dataclass(frozen=True)
class Pack:
    """A model pack on disk; its manifest has been checked, its weights have not been read."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Name by which `--model` finds it."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """sha256 of the weights, hex, as the manifest says; `check` compares it."""
        return self.manifest.weights_sha256

    @property
    def origin(self) -> str:
        """Digest of the pack whose files it writes and reads: its own, if it is not compressed."""
        compressed = self.manifest.compressed
        return self.digest if compressed is None else compressed.of_sha256

    @property
    def weights_id(self) -> int:
        """What a file's header carries: the first two bytes of `origin`, big-endian."""
        return int(self.origin[:4], 16)

    @property
    def weights_path(self) -> Path:
        """The weights file."""
        return self.path / WEIGHTS_NAME

    def check(self) -> None:
        """Compare size and sha256 of the weights with the manifest.

        Raises:
            PackError: missing, unreadable, or not the weights that the manifest names.
        """
        self._checked  # noqa: B018  (computed once, raises)

    @cached_property
    def _checked(self) -> bool:
        _check_file(self.weights_path, self.manifest.weights_size_bytes, self.digest)
        return True

    @property
    def restorer_path(self) -> Path:
        """The restorer's file, where the pack has one."""
        return self.path / RESTORER_NAME

    def check_restorer(self) -> None:
        """Compare size and sha256 of the restorer, if there is one, with the manifest.

        Raises:
            PackError: missing, unreadable, or not the file that the manifest names.
        """
        entry = self.manifest.restorer
        if entry is not None:
            _check_file(self.restorer_path, entry.size_bytes, entry.sha256)

    def codebook_size(self, tier: int) -> int:
        """Look up how many words a tier has; ModelMismatchError when the pack has no such tier."""
        sizes = {entry.tier: entry.codebook_size for entry in self.manifest.tiers}
        if tier not in sizes:
            raise ModelMismatchError(
                f"model pack '{self.name}' has no tier {tier}; it has {', '.join(map(str, sizes))}"
            )
        return sizes[tier]

    def frequencies(self, tier: int) -> NDArray[np.uint16]:
        """Read a tier's frequency table.

        Returns:
            (K,) table that sums to 2**16, every entry at least 1.

        Raises:
            ModelMismatchError: the pack has no such tier.
            PackError: the weights are not those of the manifest, or hold no such table.
        """
        size = self.codebook_size(tier)
        self.check()
        return tables.read_frequencies(self.weights_path, tier, size)

    def context_tiers(self) -> list[int]:
        """List the tiers that have a context model; PackError when the weights cannot be read."""
        return context_tiers(self.weights_path)

    def context(self, tier: int) -> ContextModel | None:
        """Read a tier's context model; None when the pack has none for it.

        Raises:
            ModelMismatchError: the pack has no such tier.
            PackError: the weights are not those of the manifest, or hold a model that is broken.
        """
        size = self.codebook_size(tier)
        self.check()
        return read_context(self.weights_path, tier, size)

    def tables(self, tier: int, coding: str) -> tuple[NDArray[np.uint16], ContextModel | None]:
        """Read what a coding mode needs: frequencies always, the context model for "context".

        Raises:
            ModelMismatchError: the pack has no such tier, or no context model for it.
            PackError: as for `frequencies` and `context`.
        """
        frequencies = self.frequencies(tier)
        model = self.context(tier) if coding == "context" else None
        if coding == "context" and model is None:
            raise ModelMismatchError(
                f"model pack '{self.name}' has no context model for tier {tier}, which coding "
                "'context' needs; give a pack that has one with --model, or encode with "
                "--coding auto"
            )
        return frequencies, model


def _check_file(path: Path, size_bytes: int, sha256: str) -> None:
    try:
        size = path.stat().st_size
        if size != size_bytes:
            raise PackError(
                f"{path}: {size:,} bytes, the manifest says {size_bytes:,}; get the pack again",
                path=path,
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PackError(f"{path}: {error.strerror or error}; get the pack again") from error
    if digest != sha256:
        raise PackError(
            f"{path}: sha256 {digest[:16]}..., the manifest says {sha256[:16]}...; "
            "get the pack again",
            expected=sha256,
            found=digest,
        )


def search_folders() -> list[Path]:
    """List the folders in which packs are looked for, first wins."""
    named = [Path(part) for part in os.environ.get("VQCODEC_MODELS", "").split(os.pathsep) if part]
    return [*named, *_EMBEDDED]


def _pack_folders() -> Iterator[Path]:
    for root in search_folders():
        if root.is_dir():
            yield from sorted(path for path in root.iterdir() if (path / MANIFEST_NAME).is_file())


def load(folder: Path) -> Pack:
    """Open the pack in a folder.

    Raises:
        PackError: its manifest is missing or wrong.
    """
    return Pack(folder, read_manifest(folder))


def available() -> list[Pack]:
    """List the packs that can be found, in search order; first of a name wins, broken ones go."""
    packs: dict[str, Pack] = {}
    for folder in _pack_folders():
        try:
            pack = load(folder)
        except PackError:
            continue
        packs.setdefault(pack.name, pack)
    return list(packs.values())


def find(name_or_dir: str | Path | None = None) -> Pack:
    """Find a pack by name or folder.

    Args:
        name_or_dir: a folder that holds a manifest, a pack's name, or None for the embedded
            default.

    Raises:
        ModelNotFoundError: there is none.
        PackError: it is there and its manifest is wrong.
    """
    wanted = DEFAULT_MODEL if name_or_dir is None else str(name_or_dir)
    if name_or_dir is not None and (Path(wanted) / MANIFEST_NAME).is_file():
        return load(Path(wanted))
    if not wanted or wanted != os.path.basename(wanted):
        raise ModelNotFoundError(
            f"{wanted or 'an empty name'}: no model pack there (a folder with {MANIFEST_NAME})"
        )
    for folder in _pack_folders():
        if folder.name == wanted:
            return load(folder)
    by_name = {pack.name: pack for pack in available()}
    if wanted in by_name:
        return by_name[wanted]
    known = ", ".join(by_name) or "none"
    raise ModelNotFoundError(
        f"model pack '{wanted}' not found; known: {known}. Give its folder, or set VQCODEC_MODELS"
    )


def find_by_id(weights_id: int, model: str | Path | None = None) -> Pack:
    """Find the pack that a file was made with.

    Args:
        weights_id: from the file's header.
        model: a pack's name or folder to insist on; None searches all.

    Raises:
        ModelMismatchError: `model` is not that pack.
        ModelNotFoundError: no pack at hand is.
        PackError: two packs at hand have this id.
    """
    if model is not None:
        pack = find(model)
        if pack.weights_id != weights_id:
            raise ModelMismatchError(
                f"needs {describe_weights(weights_id)}; '{pack.name}' has weights id "
                f"{pack.weights_id:04x} (sha256 {pack.digest}). Give the right pack with --model",
                expected=weights_id,
                found=pack.weights_id,
            )
        return pack
    matches: dict[str, Pack] = {}
    # Of copies, which may have other restorers, the first; a compressed one where no other is.
    for pack in sorted(available(), key=lambda pack: pack.manifest.compressed is not None):
        if pack.weights_id == weights_id:
            matches.setdefault(pack.origin, pack)
    if not matches:
        raise ModelNotFoundError(
            f"needs {describe_weights(weights_id)}; found none. Give its folder with --model, "
            "or set VQCODEC_MODELS",
            expected=weights_id,
        )
    if len(matches) > 1:
        names = ", ".join(f"'{pack.name}'" for pack in matches.values())
        raise PackError(
            f"model packs {names} share the weights id {weights_id:04x}; choose one with --model"
        )
    return next(iter(matches.values()))

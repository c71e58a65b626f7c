"""Trained weights for the metrics: from a folder, from installed packages, from PyTorch's site."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.client import HTTPException
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from eval.metrics.backbones import KINDS, Backbone

SITE = "https://download.pytorch.org/models/"
PATIENCE_S = 10  # for any single answer of the site


class WeightsAbsentError(Exception):
    """A metric cannot be loaded; the message says what is missing and what to do, in one line."""


def digest(tensors: Iterable[torch.Tensor]) -> str:
    """Return 16 hexadecimal digits that stand for the tensors' float32 values, in their order."""
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(tensor.detach().float().contiguous().numpy().tobytes())
    return state.hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_file(package: str, distribution: str, path: str) -> tuple[Path, str] | None:
    """Find a file of an installed package without importing it, which may need torchvision.

    Returns:
        The file and "package NAME VERSION", or None where it is not there.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(folder) / path
        if found.is_file():
            return found, f"package {distribution} {importlib.metadata.version(distribution)}"
    return None


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file, or tensors that a package ships pickled.

    Raises:
        WeightsAbsentError: the file cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Packages ship .pth; weights_only=True unpickles tensors and refuses anything that runs.
        return torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise WeightsAbsentError(f"{path}: cannot be read: {_line(error)}") from None


def shorten(path: Path) -> str:
    """Write a path for people, and for results that are published: the home folder as "~"."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Bound each wait for a server: torch.hub itself sets no bound."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


class Shelf:
    """Where the metrics of one call of `load` take their weights from.

    Args:
        folder: with safetensors files, or None. What it lacks is looked for elsewhere.
        large: whether large networks may be downloaded.
    """

    def __init__(self, folder: Path | None, *, large: bool) -> None:
        self.folder = folder
        self._large = large
        self._backbones: dict[str, tuple[Backbone, str]] = {}
        self._failed = ""  # why the site did not answer, so that it is asked only once

    def stored(self, name: str) -> Path | None:
        """Return a file of the folder, or None where it is not there."""
        path = self.folder / name if self.folder else None
        return path if path and path.is_file() else None

    def backbone(self, name: str) -> tuple[Backbone, str]:
        """Return a network and the file that its weights are from.

        Args:
            name: one of `KINDS`.

        Raises:
            WeightsAbsentError: there is no way to its weights.
        """
        if name not in self._backbones:
            kind = KINDS[name]
            path = self.stored(kind.stored)
            tensors = read_tensors(path) if path else self._published(name)
            net = Backbone(kind)
            wanted = net.state_dict()
            for key, blank in wanted.items():
                if key not in tensors or tensors[key].shape != blank.shape:
                    place = path or kind.published
                    raise WeightsAbsentError(
                        f"{place}: no {key} of shape {tuple(blank.shape)}, so it is not "
                        f"torchvision's {kind.title}"
                    )
            net.load_state_dict({key: tensors[key].float() for key in wanted})
            net.requires_grad_(False).eval()
            self._backbones[name] = net, path.name if path else kind.published
        return self._backbones[name]

    def _published(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of PyTorch's file, from its cache or from its site."""
        kind = KINDS[name]
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        path = cache / kind.published
        if path.is_file():
            # Another program may have left it there unchecked.
            begin = path.stem.rsplit("-", 1)[1]
            if not file_sha256(path).startswith(begin):
                raise WeightsAbsentError(
                    f"{path}: damaged, its SHA-256 does not begin with {begin}: delete it"
                )
            return read_tensors(path)
        shown = shorten(cache)
        instead = f"put {kind.stored} into the folder of weights or {kind.published} into {shown}"
        if kind.large and not self._large:
            raise WeightsAbsentError(
                f"{kind.title}'s weights ({kind.size}) are fetched only for a metric that is "
                f"named: name it, or {instead}"
            )
        if not self._failed:
            url = SITE + kind.published
            print(f"downloading {kind.title} ({kind.size}) from {url} to {shown}", file=sys.stderr)
            try:
                # torch.hub says the same again, and on standard output.
                quiet = io.StringIO()
                with _patience(PATIENCE_S), redirect_stdout(quiet), redirect_stderr(quiet):
                    return torch.hub.load_state_dict_from_url(
                        url,
                        model_dir=str(cache),
                        map_location="cpu",
                        progress=False,
                        check_hash=True,
                        weights_only=True,
                    )
            except (OSError, RuntimeError, HTTPException) as error:
                self._failed = _line(error)
        raise WeightsAbsentError(
            f"{kind.title}'s weights cannot be downloaded from {SITE} ({self._failed}): {instead}"
        )

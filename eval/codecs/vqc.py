"""Ours, by the command line's own code in this process, so that the model loads once."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from eval import images
from eval.codecs.base import CodecError, checked, one_line, shown
from eval.rows import OURS
from vqcodec.cli.main import main

_INTERRUPTED = 130
_is_warm: set[tuple[str, str | None, str]] = set()  # models that this process has loaded


@dataclass
class Vqc:
    """A codec as `base.Codec` has it; its settings are tiers.

    Attributes:
        model: a pack's name or folder; None takes the default.
        threads: for the networks; None leaves torch's choice.
        settings: tiers to code; none stands for all that the pack has.
        device: "cpu" unless told otherwise, since a GPU may choose other indices.
        rdo: the command's option; None passes nothing, a number is in the curve's name.

    Raises:
        CodecError: there is no such model, or it lacks a tier.
    """

    model: str | None = None
    threads: int | None = None
    settings: Sequence[int] = ()
    device: str = "cpu"
    rdo: float | None = None
    name: str = OURS
    suffix: str = ".vqc"
    knob: str = "tier"
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        told = show(self.model)
        tiers = tuple(entry["tier"] for entry in told["tiers"])
        self.settings = tuple(self.settings) or tiers
        if lacking := sorted(set(self.settings) - set(tiers)):
            known = ", ".join(map(str, tiers))
            raise CodecError(f"model {told['name']} has no tier {lacking[0]}; it has {known}")
        self.identity = (
            f"vqcodec {_version('vqcodec')}, sources {sources_digest()}, "
            f"model {told['name']}, sha256 {told['weights_sha256']}, "
            f"torch {_version('torch')}, {self.device}"
        )
        if self.rdo is not None:
            self.name = f"{OURS} rdo {shown(self.rdo)}"
            self.identity += f", rdo {shown(self.rdo)}"

    def encode(self, picture: Path, setting: float, coded: Path) -> None:
        """Code an image file; see `base.Codec`."""
        options = ["--tier", shown(setting), "--output", str(coded)]
        options += [] if self.rdo is None else ["--rdo", shown(self.rdo)]
        _call("encode", *self._options(), *options, "--", str(picture))

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """Decode to a PNG file and read that; see `base.Codec`."""
        with tempfile.TemporaryDirectory() as scratch:
            decoded = Path(scratch) / "decoded.png"
            _call("decode", *self._options(), "--output", str(decoded), "--", str(coded))
            pixels = images.read_rgb(decoded)
        return checked(pixels, self.name, coded, height, width)

    def warm_up(self) -> None:
        """Load the model into this process, so that no picture's times contain it."""
        key = self.identity, self.model, self.device
        if key in _is_warm:
            return
        with tempfile.TemporaryDirectory() as scratch:
            picture, coded = Path(scratch) / "picture.png", Path(scratch) / "picture.vqc"
            Image.new("RGB", (64, 64), "gray").save(picture)
            self.encode(picture, self.settings[0], coded)
            self.decode(coded, 64, 64)
        _is_warm.add(key)

    def _options(self) -> list[str]:
        return [
            "--force", "--quiet", "--device", self.device,
            *(["--model", self.model] if self.model else []),
            *(["--threads", str(self.threads)] if self.threads else []),
        ]  # fmt: skip


def show(model: str | None) -> dict[str, Any]:
    """What `vqcodec models show --json` tells of a pack; None stands for the default.

    Raises:
        CodecError: there is no such model.
    """
    told: dict[str, Any] = json.loads(
        _call("models", "show", "--json", *([model] if model else []))
    )
    return told


def overhead_bytes(coded: Path) -> int:
    """All of a file but its coded indices."""
    return vqcodec.describe(coded.read_bytes()).header_bytes


def sources_digest() -> str:
    """Digest of what the package's source files say, of which a change may change the figures.

    Comments and blanks do not count. Training is left out: what it makes is a model, which has a
    digest of its own.
    """
    digest = hashlib.sha256()
    root = Path(vqcodec.__file__).parent
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith("training/"):
            tree = ast.dump(ast.parse(path.read_bytes()))
            digest.update(f"{name}\0{tree}\0".encode())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a source tree that was never installed
        return "unknown"


def _call(*arguments: str) -> str:
    """Run the command `vqcodec`, and return what it writes to stdout.

    Raises:
        CodecError: it ended with an exit code; the message is its own line.
    """
    output, complaints = io.StringIO(), io.StringIO()
    code = None
    with redirect_stdout(output), redirect_stderr(complaints):
        try:
            main(list(arguments))
        except SystemExit as end:
            code = end.code
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        lines = complaints.getvalue().strip().splitlines() or [f"exit code {code}"]
        raise CodecError(one_line(lines[-1], 500))
    return output.getvalue()

"""Any codec that has command lines, told by a TOML file (docs/examples/codec.toml)."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval import images
from eval.codecs import NAMES, process
from eval.codecs.base import CodecAbsentError, CodecError, checked, one_line, shown
from eval.rows import OURS

DEFAULT_TIMEOUT_S = 600.0
MAX_SETTINGS = 10_000
_REQUIRED = ("name", "suffix", "knob", "encode", "decode", "settings")
_KEYS = (*_REQUIRED, "timeout_s", "version")
# What a command may say, and what it has to.
_PLACES: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "encode": ({"picture", "coded", "setting", "width", "height"}, ("picture", "coded")),
    "decode": ({"coded", "decoded", "width", "height"}, ("coded", "decoded")),
    "version": (set(), ()),
}
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class CommandCodec:
    """A codec as `base.Codec` has it.

    Attributes:
        encoder: the command, argument by argument, placeholders in place.
        decoder: likewise.
        timeout_s: for one run of either.
    """

    name: str
    identity: str
    suffix: str
    knob: str
    settings: tuple[float, ...]
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    timeout_s: float

    def encode(self, picture: Path, setting: float, coded: Path) -> None:
        """Code a PNG file; see `base.Codec`."""
        with Image.open(picture) as image:
            width, height = image.size
        coded.unlink(missing_ok=True)
        self._run(
            self.encoder, picture=picture, coded=coded, setting=shown(setting),
            width=width, height=height,
        )  # fmt: skip
        if not coded.is_file() or not coded.stat().st_size:
            raise CodecError(f"{self.name}: encode wrote nothing to {{coded}}")

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """Decode a file; see `base.Codec`."""
        with tempfile.TemporaryDirectory() as scratch:
            decoded = Path(scratch) / "decoded.png"
            self._run(self.decoder, coded=coded, decoded=decoded, width=width, height=height)
            if not decoded.is_file():
                raise CodecError(f"{self.name}: decode wrote nothing to {{decoded}}")
            try:
                pixels = images.read_rgb(decoded)
            except ValueError as error:  # it names decoded.png
                raise CodecError(f"{self.name}: {coded.name}: {one_line(error)}") from error
        return checked(pixels, self.name, coded, height, width)

    def _run(self, command: Iterable[str], **values: object) -> None:
        try:
            process.run(filled(command, values), self.timeout_s)
        except CodecError as error:
            raise CodecError(f"{self.name}: {error}") from error


def filled(command: Iterable[str], values: Mapping[str, object]) -> list[str]:
    """Put values into the placeholders of a command's arguments."""
    return [_PLACE.sub(lambda found: str(values[found[1]]), argument) for argument in command]


def load(path: Path) -> CommandCodec:
    """Read a codec's file.

    Args:
        path: of the TOML file.

    Raises:
        CodecError: the file cannot be read, or something in it is missing, unknown or wrong.
        CodecAbsentError: a program that it names is not here, or does not tell its version.
    """
    try:
        data = path.read_bytes()
        told = tomllib.loads(data.decode("utf-8"))
        codec = _Reader(told)
    except OSError as error:
        raise CodecError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML, of UTF-8, and ours
        raise CodecError(f"{path}: {one_line(error)}") from error
    for command in (codec.encode, codec.decode, codec.version):
        if command and shutil.which(command[0]) is None:
            raise CodecAbsentError(
                f"{codec.name}: {command[0]} is not on the PATH; install it, or mend {path}"
            )
    version = ""
    if codec.version:
        try:
            version = process.run(codec.version, 20).partition("\n")[0]
        except CodecError as error:
            raise CodecAbsentError(f"{codec.name}: its version: {error}; mend {path}") from error
    identity = [one_line(version), f"{path.name}, sha256 {hashlib.sha256(data).hexdigest()}"]
    return CommandCodec(
        codec.name, ", ".join(part for part in identity if part), codec.suffix, codec.knob,
        codec.settings, codec.encode, codec.decode, codec.timeout_s,
    )  # fmt: skip


class _Reader:
    """The file's values, checked; ValueError names the key."""

    def __init__(self, told: dict[str, Any]) -> None:
        for key in told:
            if key not in _KEYS:
                raise ValueError(f"unknown key '{key}'; there are {', '.join(_KEYS)}")
        for key in _REQUIRED:
            if key not in told:
                raise ValueError(f"'{key}' is missing")
        self.name = _text(told, "name", r"[a-z0-9][a-z0-9._-]*", 'such as "my-codec"')
        if self.name in (*NAMES, OURS):
            raise ValueError(f"'name' cannot be '{self.name}': that codec is there already")
        self.suffix = _text(told, "suffix", r"\.[A-Za-z0-9]+", 'such as ".jxl"')
        self.knob = _text(told, "knob", r"\S[^\n]*", 'such as "quality"')
        self.encode = _command(told, "encode")
        self.decode = _command(told, "decode")
        self.version = _command(told, "version") if "version" in told else ()
        self.settings = _settings(told["settings"])
        self.timeout_s = told.get("timeout_s", DEFAULT_TIMEOUT_S)
        if not _is_number(self.timeout_s) or self.timeout_s <= 0:
            raise ValueError("'timeout_s' must be a number above 0")


def _text(told: dict[str, Any], key: str, pattern: str, example: str) -> str:
    value = told[key]
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"'{key}' must be a text {example}")
    return value


def _command(told: dict[str, Any], key: str) -> tuple[str, ...]:
    value = told[key]
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"'{key}' cannot be split into arguments: {error}") from error
    if not isinstance(value, list) or not value or not all(isinstance(a, str) for a in value):
        raise ValueError(f"'{key}' must be a command line, or a list of its arguments")
    allowed, needed = _PLACES[key]
    found = {place for argument in value for place in _PLACE.findall(argument)}
    for place in sorted(found - allowed):
        known = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "none"
        raise ValueError(f"'{key}' cannot have {{{place}}}; there are {known}")
    for place in needed:
        if place not in found:
            raise ValueError(f"'{key}' must have {{{place}}}")
    return tuple(value)


def _settings(told: Any) -> tuple[float, ...]:
    if isinstance(told, dict):
        if sorted(told) != ["first", "last", "step"] or not all(map(_is_number, told.values())):
            raise ValueError("'settings' must have the numbers first, last and step")
        first, last, step = told["first"], told["last"], told["step"]
        count = math.floor((last - first) / step + 1e-9) + 1 if step else 0
        if not 0 < count <= MAX_SETTINGS:
            raise ValueError(
                f"'settings' must lead from first to last in 1 to {MAX_SETTINGS:,} steps"
            )
        # Rounded, since 25 - 3 * 0.1 is to be 24.7.
        return tuple(round(first + number * step, 9) for number in range(count))
    if not isinstance(told, list) or not told or not all(map(_is_number, told)):
        raise ValueError("'settings' must be a list of numbers, or first, last and step")
    if len(set(told)) < len(told):
        raise ValueError("'settings' has a number twice")
    return tuple(told)


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]

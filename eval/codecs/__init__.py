"""Codecs to compare: ours, those of Pillow and its plugins, VVC, and any that a TOML file tells."""

from __future__ import annotations

from eval.codecs import pillow, vvc
from eval.codecs.base import Codec, CodecAbsentError, CodecError

__all__ = ["NAMES", "Codec", "CodecAbsentError", "CodecError", "load"]

NAMES = ("avif", "heic", "vvc", "jxl", "webp", "jpeg", "jp2k")


def load(name: str) -> Codec:
    """Make one of the codecs of `NAMES`.

    Raises:
        CodecAbsentError: it cannot run here; the message says what to install.
        ValueError: there is no such codec.
    """
    if name not in NAMES:
        raise ValueError(f"no codec '{name}'; there are {', '.join(NAMES)}")
    return vvc.load() if name == "vvc" else pillow.load(name)

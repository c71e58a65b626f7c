"""VVC (H.266) as a still picture: Fraunhofer's vvencapp and vvdecapp, found on the PATH."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval import images
from eval.codecs import process, yuv
from eval.codecs.base import CodecAbsentError, CodecError, checked, shown

ENCODER, DECODER = "vvencapp", "vvdecapp"
# QP means QP: perceptual adaptation (--qpa) moves it over the picture, and the preset's
# IntraQPOffset of -3 would code the one frame that there is at another one.
OPTIONS = ("--preset", "slow", "--qpa", "0", "--additional", "IntraQPOffset=0")


@dataclass(frozen=True)
class Vvc:
    """One intra frame, 10-bit 4:2:0 (eval/codecs/yuv.py says how).

    The file is the bare bitstream, which knows the picture's sides rounded up to even numbers.

    Attributes:
        versions: of the two programs, as they tell it.
        timeout_s: for one run of either.
    """

    versions: str
    timeout_s: float = 1800
    name: str = "vvc"
    suffix: str = ".266"
    knob: str = "QP"
    settings: tuple[int, ...] = field(default=tuple(range(63, 19, -1)))

    @property
    def identity(self) -> str:
        """Programs, versions and options."""
        return (
            f"{self.versions}; one frame, {' '.join(OPTIONS)}, "
            "10-bit 4:2:0, BT.709 limited range, chroma mean of 2x2 and linear back"
        )

    def encode(self, picture: Path, setting: float, coded: Path) -> None:
        """Code a PNG file; see `base.Codec`."""
        pixels = images.read_rgb(picture)
        height, width = (yuv.even(side) for side in pixels.shape[:2])
        with tempfile.TemporaryDirectory() as scratch:
            raw = Path(scratch) / "picture.yuv"
            raw.write_bytes(yuv.to_yuv420p10(pixels))
            process.run(
                [
                    ENCODER, "-i", str(raw), "-s", f"{width}x{height}", "-c", "yuv420_10",
                    "-r", "30", "-f", "1", *OPTIONS, "-q", shown(setting), "-t", "1",
                    "-o", str(coded),
                ],
                self.timeout_s,
            )  # fmt: skip
        if not coded.is_file() or not coded.stat().st_size:
            raise CodecError(f"{ENCODER}: wrote no file {coded.name}")

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """Decode a file and crop it; see `base.Codec`."""
        with tempfile.TemporaryDirectory() as scratch:
            raw = Path(scratch) / "decoded.yuv"
            process.run(
                [DECODER, "-b", str(coded), "-o", str(raw), "-t", "1"],
                self.timeout_s,
            )
            try:
                pixels = yuv.from_yuv420p10(raw.read_bytes(), height, width)
            except (OSError, ValueError) as error:
                raise CodecError(f"{DECODER}: {coded.name}: {error}") from error
        return checked(pixels, self.name, coded, height, width)


def load() -> Vvc:
    """Find the programs.

    Raises:
        CodecAbsentError: they are not there, or cannot tell their version.
    """
    missing = [program for program in (ENCODER, DECODER) if shutil.which(program) is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise CodecAbsentError(
            f"vvc: {' and '.join(missing)} {are} not on the PATH; build them from "
            "github.com/fraunhoferhhi/vvenc and github.com/fraunhoferhhi/vvdec"
        )
    try:
        told = [process.run([program, "--version"], 20) for program in (ENCODER, DECODER)]
    except CodecError as error:
        raise CodecAbsentError(f"vvc: {error}; build the program anew") from error
    return Vvc(", ".join(text.splitlines()[0].strip() for text in told if text))

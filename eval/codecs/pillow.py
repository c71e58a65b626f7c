"""The codecs that Pillow brings or takes as plugins: JPEG, JPEG 2000, WebP, AVIF, HEIC, JPEG XL.

Each is set up for the smallest file at a given quality, as far as a second or so per picture goes:
4:2:0, no metadata, the slower of the encoder's modes. Where a mode is not always the better one,
both are coded and the smaller file is kept. One thread, so that a file depends on nothing else.
"""

from __future__ import annotations

import copy
import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features
from PIL import __version__ as pillow_version

from eval.codecs.base import CodecAbsentError, CodecError, checked, one_line, shown


def _layers(ratio: float) -> list[float]:
    return [ratio]


def _ratios() -> tuple[float, ...]:
    """Compression ratios in steps of 4 %: 4,000 (0.006 bpp) to 20 (1.2 bpp).

    Rounded, so that a table shows the ratio that was coded.
    """
    ratios = [4000.0]
    while ratios[-1] > 20:
        ratios.append(round(ratios[-1] / 1.04, 2))
    return tuple(ratios)


@dataclass(frozen=True)
class Spec:
    """What a format is to Pillow.

    Attributes:
        kind: Pillow's name of it.
        feature: what `PIL.features` calls its library; "" for a plugin's format.
        plugin: package to install, and its module; None for a format that Pillow brings.
        options: for saving, in words for people and as Pillow takes them; the smallest file of all
            variants counts.
        option: that the setting goes to, made by `value`.
    """

    kind: str
    suffix: str
    settings: Sequence[float]
    words: str
    variants: tuple[Mapping[str, Any], ...]
    feature: str = ""
    plugin: tuple[str, str] | None = None
    knob: str = "quality"
    option: str = "quality"
    value: Callable[[float], Any] = int


SPECS: dict[str, Spec] = {
    "jpeg": Spec(
        "JPEG",
        ".jpg",
        range(1, 96),
        "4:2:0, optimal Huffman tables, sequential or progressive, whichever is smaller",
        tuple(
            {"subsampling": "4:2:0", "optimize": True, "progressive": progressive}
            for progressive in (False, True)
        ),
        feature="jpg",
    ),
    "jp2k": Spec(
        "JPEG2000",
        ".j2k",
        _ratios(),
        "9/7 wavelet, one layer, bare codestream with a comment of one byte",
        # The box format costs 85 bytes, and without a comment OpenJPEG writes one of 33 bytes.
        ({"irreversible": True, "mct": 1, "no_jp2": True, "comment": "-"},),
        feature="jpg_2000",
        knob="ratio",
        option="quality_layers",
        value=_layers,
    ),
    "webp": Spec("WEBP", ".webp", range(101), "4:2:0, method 6", ({"method": 6},), feature="webp"),
    "avif": Spec(
        "AVIF",
        ".avif",
        range(96),
        "4:2:0, speed 5, tune ssim",
        (
            {
                "subsampling": "4:2:0",
                "speed": 5,  # 6, the default, is plainly worse; 4 a little better, and slow
                "autotiling": False,
                "max_threads": 1,
                "advanced": {"tune": "ssim"},
            },
        ),
        feature="avif",
    ),
    "heic": Spec(
        "HEIF",
        ".heic",
        range(0, 96, 2),  # two qualities share a quantizer
        "4:2:0, preset slow, tune ssim, no wavefronts, no colour box",
        (
            {
                "subsampling": "4:2:0",
                "save_nclx_profile": False,
                "enc_params": {"preset": "slow", "tune": "ssim", "x265:pools": "none"},
            },
        ),
        plugin=("pillow-heif", "pillow_heif"),
    ),
    "jxl": Spec(
        "JXL",
        ".jxl",
        range(96),
        "effort 8",
        ({"effort": 8, "num_threads": 1},),
        plugin=("pillow-jxl-plugin", "pillow_jxl"),
    ),
}


def _register(module: str) -> str:
    """Import a plugin, which is done only for a codec that was asked for; return its versions."""
    plugin = importlib.import_module(module)
    if module == "pillow_heif":
        plugin.register_heif_opener(decode_threads=1)
        return f", libheif {plugin.libheif_info()['libheif']}, {plugin.libheif_info()['HEIF']}"
    return ""


@dataclass(frozen=True)
class PillowCodec:
    """A format of the table; see `base.Codec`."""

    name: str
    identity: str
    suffix: str
    knob: str
    settings: Sequence[float]
    spec: Spec = field(repr=False)

    def encode(self, picture: Path, setting: float, coded: Path) -> None:
        """Code a PNG file; see `base.Codec`."""
        spec = self.spec
        files = []
        try:
            self._prepare()
            with Image.open(picture) as image:
                pixels = image.convert("RGB")
            pixels.info.clear()  # nothing of the PNG's metadata is to travel along
            for options in spec.variants:
                buffer = io.BytesIO()
                # Copied, since pillow-heif adds to what it is given.
                saving = {**copy.deepcopy(dict(options)), spec.option: spec.value(setting)}
                pixels.save(buffer, spec.kind, **saving)
                files.append(buffer.getvalue())
            coded.write_bytes(min(files, key=len))
        except Exception as error:
            raise CodecError(
                f"{self.name}: {self.knob} {shown(setting)} of {picture.name}: "
                f"{one_line(error) or type(error).__name__}"
            ) from error

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """Decode a file; see `base.Codec`."""
        try:
            self._prepare()
            with Image.open(coded, formats=[self.spec.kind]) as image:
                pixels = np.asarray(image.convert("RGB"))
        except Exception as error:
            message = f"{self.name}: {coded.name} cannot be decoded: {one_line(error)}"
            raise CodecError(message) from error
        return checked(pixels, self.name, coded, height, width)

    def _prepare(self) -> None:
        """Register the plugin in this process, which may have got the codec from another one."""
        if self.spec.plugin is not None:
            _register(self.spec.plugin[1])


def load(name: str) -> PillowCodec:
    """Make a codec of the table.

    Args:
        name: a key of `SPECS`.

    Raises:
        CodecAbsentError: Pillow was built without it, or its plugin is not installed.
    """
    spec = SPECS[name]
    if spec.plugin is None:
        if not features.check(spec.feature):
            raise CodecAbsentError(
                f"{name}: Pillow {pillow_version} was built without it; "
                "pip install --force-reinstall pillow"
            )
        # For JPEG `features` tells the version of the interface, and that of the library beside it.
        is_turbo = spec.feature == "jpg" and features.check_feature("libjpeg_turbo")
        libraries = {"jpg": "libjpeg", "jpg_2000": "OpenJPEG", "webp": "libwebp", "avif": "libavif"}
        library = "libjpeg-turbo" if is_turbo else libraries[spec.feature]
        version = features.version("libjpeg_turbo" if is_turbo else spec.feature)
        made_by = f"Pillow {pillow_version}, {library} {version}"
    else:
        package, module = spec.plugin
        try:
            made_by = f"{package} {metadata.version(package)}{_register(module)}"
        except (ImportError, OSError) as error:  # OSError: a shared library that does not load
            raise CodecAbsentError(f"{name}: pip install {package}") from error
    return PillowCodec(
        name, f"{made_by}, {spec.words}", spec.suffix, spec.knob, tuple(spec.settings), spec
    )

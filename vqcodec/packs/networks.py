"""What `[net.config]` and `[restorer.config]` of a manifest may hold, and what follows from it.

Whatever runs the networks, torch or onnxruntime, builds them by these plans. A config comes from
outside and is hostile: every value is checked before a network is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.layout import TIERS
from vqcodec.errors import PackError

MAX_PARAMETERS: Final = 1 << 29  # 2 GiB in float32; taming's largest f16 net has 9e7

WINDOW: Final = 8  # positions along the side of a window of a restorer's attention
HEAD: Final = 32  # channels of one of its heads
STEM: Final = 5  # side of its first convolution: what is two rows or columns away comes cheaply
EXPANSION: Final = 4  # of the channels between its dense layers
OUTSIDE: Final = -1e4  # added to the attention that it pays to places outside the map


class Limit:
    """What one key of a network's config may be.

    Args:
        low: smallest value.
        high: largest value.
        length: None for a single integer, else the allowed numbers of integers in a list.
    """

    def __init__(self, low: int, high: int, length: range | None = None) -> None:
        self.low, self.high, self.length = low, high, length

    def check(self, key: str, value: Any) -> int | tuple[int, ...]:
        """Return the value, lists as tuples; PackError when it is not allowed."""
        if self.length is None:
            return self._integer(key, value)
        if not isinstance(value, list | tuple) or len(value) not in self.length:
            sizes = f"{self.length.start} to {self.length.stop - 1}"
            raise PackError(f"manifest: net.config.{key} is {value!r}; wanted {sizes} integers.")
        return tuple(self._integer(key, item) for item in value)

    def _integer(self, key: str, value: Any) -> int:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if not is_int or not self.low <= value <= self.high:
            raise PackError(
                f"manifest: net.config.{key} is {value!r}; "
                f"wanted an integer from {self.low} to {self.high}.",
                field=f"net.config.{key}",
                found=value,
            )
        return int(value)


def checked(config: Mapping[str, Any], limits: Mapping[str, Limit]) -> dict[str, Any]:
    """Return the config with every value checked.

    Raises:
        PackError: a key is unknown or a value is outside its limits.
    """
    unknown = sorted(set(config) - set(limits))
    if unknown:
        raise PackError(
            f"manifest: net.config has the unknown key {unknown[0]!r}; known: {', '.join(limits)}.",
            field=f"net.config.{unknown[0]}",
        )
    return {key: limits[key].check(key, value) for key, value in config.items()}


@dataclass(frozen=True)
class LightPlan:
    """The light net's sizes.

    Attributes:
        latent_dim: D.
        encoder_channels: C at strides 4, 8, 16.
        encoder_blocks: blocks at strides 4, 8, 16.
        decoder_channels: C at strides 2, 4, 8, 16.
        decoder_blocks: blocks at strides 2, 4, 8, 16.
        n_tiers: rows of the FiLM tables.
    """

    STRIDE: ClassVar[int] = 16
    PLAIN_REACH: ClassVar[int] = 2  # positions that a change travels in a block of two 3x3 kernels
    NECK_REACH: ClassVar[int] = 1  # and in a bottleneck, which has one
    # Positions around a tile that `decode` is shown. Its full reach is 16, but what comes from
    # beyond 8 is lost in rounding: tiles then agree with the whole image to 90 dB
    # (docs/TRAINING.md, "Tiles").
    ENOUGH_HALO: ClassVar[int] = 8
    LIMITS: ClassVar[dict[str, Limit]] = {
        "latent_dim": Limit(1, 1024),
        "encoder_channels": Limit(1, 2048, range(3, 4)),
        "encoder_blocks": Limit(0, 64, range(3, 4)),
        "decoder_channels": Limit(1, 2048, range(4, 5)),
        "decoder_blocks": Limit(0, 64, range(4, 5)),
        "n_tiers": Limit(1, max(TIERS)),
    }

    latent_dim: int = 32
    encoder_channels: tuple[int, ...] = (64, 128, 320)
    encoder_blocks: tuple[int, ...] = (1, 2, 4)
    decoder_channels: tuple[int, ...] = (32, 64, 192, 448)
    decoder_blocks: tuple[int, ...] = (1, 2, 3, 10)
    n_tiers: int = 9

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> LightPlan:
        """Take a manifest's `[net.config]`; PackError where it is not allowed."""
        return cls(**checked(config, cls.LIMITS))

    @property
    def encoder_halo(self) -> int:
        """Latent positions that a pixel's change can travel in `encode`, rounded up."""
        n_blocks = self.encoder_blocks
        pixels = 4 * (1 + self.PLAIN_REACH * n_blocks[0] + 1)  # stem and step down, at stride 4
        pixels += 8 * (self.PLAIN_REACH * n_blocks[1] + 1)
        pixels += self.STRIDE * self.NECK_REACH * n_blocks[2]
        return -(-pixels // self.STRIDE)

    @property
    def decoder_halo(self) -> int:
        """Latent positions around a tile that `decode` has to see."""
        n_blocks = self.decoder_blocks
        pixels = self.STRIDE * (1 + self.NECK_REACH * n_blocks[3])
        pixels += 8 * self.PLAIN_REACH * n_blocks[2] + 4 * self.PLAIN_REACH * n_blocks[1]
        pixels += 2 * (self.PLAIN_REACH * n_blocks[0] + 1)
        return min(-(-pixels // self.STRIDE), self.ENOUGH_HALO)


@dataclass(frozen=True)
class TamingPlan:
    """The sizes of taming's network; `nets.taming.TamingVqgan` says what each means."""

    WHOLE_PX: ClassVar[int] = 1024  # side of what is seen at once: docs/TRAINING.md, "Tiles"
    HALO_PX: ClassVar[int] = 128  # how much of a picture lies around a tile's core
    GROUPS: ClassVar[int] = 32  # of channels that its norms know
    LIMITS: ClassVar[dict[str, Limit]] = {
        "ch": Limit(GROUPS, 512),
        "ch_mult": Limit(1, 16, range(1, 9)),
        "num_res_blocks": Limit(1, 8),
        "attn_resolutions": Limit(1, 1024, range(0, 9)),
        "resolution": Limit(16, 4096),
        "z_channels": Limit(1, 1024),
        "embed_dim": Limit(1, 1024),
        "n_tiers": Limit(0, len(TIERS)),
        "gumbel_words": Limit(0, 1 << 16),
    }

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    num_res_blocks: int = 2
    attn_resolutions: tuple[int, ...] = (16,)
    resolution: int = 256
    z_channels: int = 256
    embed_dim: int = 256
    n_tiers: int = 0
    gumbel_words: int = 0

    def __post_init__(self) -> None:
        """PackError where channels cannot be normalised in groups."""
        if self.ch % self.GROUPS:
            raise PackError(
                f"manifest: net.config.ch is {self.ch}; taming's groups need a multiple of "
                f"{self.GROUPS}."
            )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> TamingPlan:
        """Take a manifest's `[net.config]`; PackError where it is not allowed."""
        return cls(**checked(config, cls.LIMITS))

    @property
    def stride(self) -> int:
        """Pixels per latent position; a level halves what it is given, except the last."""
        return 1 << (len(self.ch_mult) - 1)

    @property
    def halo(self) -> int:
        """Latent positions around a tile that are seen."""
        return self.HALO_PX // self.stride

    @property
    def side(self) -> int:
        """Latent positions along the side of what is seen at once."""
        return self.WHOLE_PX // self.stride


@dataclass(frozen=True)
class RestorerPlan:
    """A restorer's sizes.

    Attributes:
        width: channels, a multiple of `HEAD`.
        blocks: how many.
        learned: columns of the output that are learned beside the codewords.
    """

    HALO: ClassVar[int] = 16  # positions around a tile that it sees: two windows
    LIMITS: ClassVar[dict[str, int]] = {"width": 1024, "blocks": 32, "learned": 256}

    width: int
    blocks: int
    learned: int

    @classmethod
    def of(cls, config: Mapping[str, Any], place: str) -> RestorerPlan:
        """Take a manifest's `[restorer.config]`; PackError, with `place`, where it is wrong."""
        for key, most in cls.LIMITS.items():
            value = config.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise PackError(
                    f"{place}: restorer: {key} is {value!r}, not a number from 1 to {most}."
                )
        plan = cls(*(config[key] for key in cls.LIMITS))
        if plan.width % HEAD:
            raise PackError(f"{place}: restorer: width {plan.width} is no multiple of {HEAD}.")
        return plan


def distances() -> NDArray[np.int64]:
    """(64, 64) numbers that tell how far and where two places of a window lie from each other."""
    row, column = np.divmod(np.arange(WINDOW * WINDOW), WINDOW)
    rows, columns = row[:, None] - row, column[:, None] - column
    number = (rows + WINDOW - 1) * (2 * WINDOW - 1) + columns + WINDOW - 1
    return np.asarray(number, np.int64)

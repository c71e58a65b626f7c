"""A network as a chain of steps, so that its parts are compressed one after the other.

What goes into a step is what the steps before it give, in the original network and in the
compressed one. The first and the last layer of both halves stay precise; so does what looks at the
tier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.nets.autoencoder import Autoencoder
from vqcodec.nets.kernels import SMALLEST_INT8
from vqcodec.nets.light import LightVqgan
from vqcodec.nets.taming import TamingVqgan, by_tier

AT_ONCE = 8  # images that pass through a step together


@dataclass(frozen=True)
class Step:
    """One step of a half.

    Attributes:
        run: (B, C, H, W) and the images' tiers (B,) to what the next step sees.
        name: of the module in the network, where its kernels may be compressed.
        module: that module; `run` is then `module(x, *more)`.
        more: further arguments of the module.
    """

    run: Callable[[Tensor, Tensor], Tensor]
    name: str = ""
    module: nn.Module | None = None
    more: tuple[None, ...] = ()

    def kernels(self) -> dict[str, nn.Conv2d]:
        """List the convolutions whose kernels are large enough, by their name in the module."""
        found = {} if self.module is None else dict(self.module.named_modules())
        return {
            name: layer
            for name, layer in found.items()
            if isinstance(layer, nn.Conv2d) and layer.weight.numel() >= SMALLEST_INT8
        }

    @torch.no_grad()
    def all(self, x: Tensor, tiers: Tensor) -> Tensor:
        """Run it on many images, (N, C, H, W), a few at a time."""
        starts = range(0, len(x), AT_ONCE)
        return torch.cat([self.run(x[i : i + AT_ONCE], tiers[i : i + AT_ONCE]) for i in starts])


def halves(net: Autoencoder) -> tuple[list[Step], list[Step]]:
    """List the steps of `encode` and of `decode`.

    Raises:
        ValueError: a kind of network whose steps are not known.
    """
    if isinstance(net, LightVqgan):
        return list(_light_encoder(net)), list(_light_decoder(net))
    if isinstance(net, TamingVqgan):
        return list(_taming_encoder(net)), list(_taming_decoder(net))
    raise ValueError(f"the steps of a '{net.kind}' net are not known")


def _unit(name: str, module: nn.Module, *more: None) -> Step:
    return Step(lambda x, tiers: module(x, *more), name, module, more)


def _plain(run: Callable[[Tensor], Tensor]) -> Step:
    return Step(lambda x, tiers: run(x))


def _stage(name: str, stage: Any) -> Iterator[Step]:
    yield Step(lambda x, tiers: stage.film(x, tiers))
    for n, block in enumerate(stage.blocks):
        yield _unit(f"{name}.blocks.{n}", block)


def _light_encoder(net: LightVqgan) -> Iterator[Step]:
    half: Any = net.encoder
    yield _plain(lambda x: half.stem(F.pixel_unshuffle(x, 4)))
    yield from _stage("encoder.s4", half.s4)
    yield _unit("encoder.down8", half.down8)
    yield from _stage("encoder.s8", half.s8)
    yield _unit("encoder.down16", half.down16)
    yield from _stage("encoder.s16", half.s16)
    yield _plain(lambda x: half.out(F.silu(x)))


def _light_decoder(net: LightVqgan) -> Iterator[Step]:
    half: Any = net.decoder
    yield _plain(half.stem)
    for name, up in (("s16", "up8"), ("s8", "up4"), ("s4", "up2")):
        yield from _stage(f"decoder.{name}", getattr(half, name))
        yield _unit(f"decoder.{up}", getattr(half, up))
        yield _plain(lambda x: F.pixel_shuffle(x, 2))
    yield from _stage("decoder.s2", half.s2)
    yield _plain(lambda x: F.pixel_shuffle(half.out(F.silu(x)), 2))


def _level(name: str, level: Any) -> Iterator[Step]:
    """Residual blocks of one of taming's levels, each with its attention where there is one."""
    for n, block in enumerate(level.block):
        yield _unit(f"{name}.block.{n}", block, None)
        if len(level.attn):
            yield _unit(f"{name}.attn.{n}", level.attn[n])


def _middle(name: str, middle: Any) -> Iterator[Step]:
    yield _unit(f"{name}.block_1", middle.block_1, None)
    yield _unit(f"{name}.attn_1", middle.attn_1)
    yield _unit(f"{name}.block_2", middle.block_2, None)


def _taming_encoder(net: TamingVqgan) -> Iterator[Step]:
    half: Any = net.encoder
    yield _plain(half.conv_in)
    for n, level in enumerate(half.down):
        yield from _level(f"encoder.down.{n}", level)
        if hasattr(level, "downsample"):
            yield _unit(f"encoder.down.{n}.downsample", level.downsample)
    yield from _middle("encoder.mid", half.mid)
    yield _plain(lambda x: half.conv_out(F.silu(half.norm_out(x))))
    yield Step(lambda x, tiers: by_tier(net.quant_conv, x, tiers))


def _taming_decoder(net: TamingVqgan) -> Iterator[Step]:
    half: Any = net.decoder
    yield Step(lambda x, tiers: half.conv_in(by_tier(net.post_quant_conv, x, tiers)))
    yield from _middle("decoder.mid", half.mid)
    for n, level in reversed(list(enumerate(half.up))):
        yield from _level(f"decoder.up.{n}", level)
        if hasattr(level, "upsample"):
            yield _unit(f"decoder.up.{n}.upsample", level.upsample)
    yield _plain(lambda x: half.conv_out(F.silu(half.norm_out(x))))

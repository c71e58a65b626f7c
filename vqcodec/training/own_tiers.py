"""What import and tuning make of a network that ignores the tier: taming's.

Both scale latents by a power of two to about 1 per dimension. That is exact in floating point and
changes no index; the commitment loss and the context model's steps of 1/32 (FORMAT.md, section 7A)
are made for such latents, and a VQGAN's may be of any size. Tuning also gives each tier 1x1
convolutions of its own, which begin as those of the network.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from vqcodec.training.checkpoint import Start
from vqcodec.training.tokenizer import tiers_of

MOST_POWER: Final = 40  # beyond it no trained latents are, and weights would leave float32's range


def prepare(start: Start) -> str:
    """Give start weights convolutions per tier and latents of unit scale.

    Args:
        start: weights of a network that ignores the tier; changed in place.

    Returns:
        A line for people.
    """
    tiers = tiers_of(start.outline(), start.codebooks)
    words = start.base if start.base is not None else start.codebooks.get(tiers[-1])
    power = 0 if words is None else unit_power(words)
    rescale(start, power)
    start.config = {**start.config, "n_tiers": tiers[-1]}
    start.add_tiers()
    scaled = f", latents times 2^{power}" if power else ""
    return f"1x1 convolutions for {tiers[-1]} tiers{scaled}"


def unit_power(words: Tensor) -> int:
    """Find the power of two that brings codewords (K, D) to about 1 per dimension.

    Words of a VQGAN that were never used are tiny and often most of all, so each word's square
    counts as much as it is large.
    """
    squares = words.double().square().mean(1)  # (K,)
    if not bool(squares.square().any()):
        return 0
    power = -round(math.log2(float(squares.square().sum() / squares.sum())) / 2)
    return max(-MOST_POWER, min(MOST_POWER, power))


@torch.no_grad()
def rescale(start: Start, power: int) -> None:
    """Make latents and codewords 2 ** power times as large, and all pictures the same.

    Halves stay halves where that loses nothing; the others become float32.
    """
    factor = 2.0**power
    state = start.state
    if "gumbel.embed.weight" in state:  # logits choose the word, and these stay
        state["gumbel.embed.weight"] = _times(state["gumbel.embed.weight"], factor)
    else:
        for key in ("quant_conv.weight", "quant_conv.bias"):
            state[key] = _times(state[key], factor)
    state["post_quant_conv.weight"] = _times(state["post_quant_conv.weight"], 1 / factor)
    start.base = None if start.base is None else _times(start.base, factor)
    start.codebooks = {tier: _times(words, factor) for tier, words in start.codebooks.items()}


def _times(tensor: Tensor, factor: float) -> Tensor:
    """A tensor times a power of two, in its own dtype where that is exact."""
    product = tensor * factor
    if tensor.dtype != torch.float32 and not torch.equal(product / factor, tensor):
        return tensor.float() * factor
    return product

"""What tuning makes of a network that ignores the tier: taming's, as it was imported or trained.

Each tier gets 1x1 convolutions of its own, which begin as those of the network, and latents are
scaled by a power of two to about 1 per dimension. That is exact in floating point and changes no
index; the commitment loss and the context model's steps of 1/32 (FORMAT.md, section 7A) are made
for such latents, and a VQGAN's may be of any size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vqcodec.training.checkpoint import Start
from vqcodec.training.tokenizer import tiers_of


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
    return f"1x1 convolutions for {tiers[-1]} tiers, latents times 2^{power}"


def unit_power(words: Tensor) -> int:
    """Find the power of two that brings codewords (K, D) to about 1 per dimension.

    Words of a VQGAN that were never used are tiny and often most of all, so each word's square
    counts as much as it is large.
    """
    squares = words.double().square().mean(1)  # (K,)
    if not bool(squares.any()):
        return 0
    return -round(math.log2(float(squares.square().sum() / squares.sum())) / 2)


@torch.no_grad()
def rescale(start: Start, power: int) -> None:
    """Make latents and codewords 2 ** power times as large, and all pictures the same."""
    factor = 2.0**power
    state = start.state
    if "gumbel.embed.weight" in state:  # logits choose the word, and these stay
        state["gumbel.embed.weight"] = state["gumbel.embed.weight"] * factor
    else:
        for key in ("quant_conv.weight", "quant_conv.bias"):
            state[key] = state[key] * factor
    state["post_quant_conv.weight"] = state["post_quant_conv.weight"] / factor
    start.base = None if start.base is None else start.base.float() * factor
    start.codebooks = {tier: words * factor for tier, words in start.codebooks.items()}

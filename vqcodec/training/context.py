"""The context model in training: the integer network of coding mode 2, with rounding in the loop.

Weights and activations are rounded in every forward pass as the format rounds them (FORMAT.md,
"Coding mode 2"), and gradients pass straight through: what is exported is what was trained.
Codewords serve as fixed embeddings of neighbours and as fixed rows of the output, so that all tiers
share one trunk and nothing is stored twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW: Final = 3  # rows above and columns to each side
OFFSETS: Final = tuple(
    (dy, dx)
    for dy in range(-WINDOW, 1)
    for dx in range(-WINDOW, WINDOW + 1)
    if (dy < 0 and dx < -2 * dy) or (dy == 0 and dx < 0)
)
"""Causal neighbours; those farther right than 2 columns a row would double the waves."""

# Scales of FORMAT.md: what stands for 1.0. All are powers of two, so that layers end in shifts.
WORD, WEIGHT, ACTIVATION, QUERY = 32, 256, 64, 16
LOGIT: Final = WORD * QUERY  # a logit of 1 bit
LARGEST: Final = 127
SHIFT: Final = {
    "first": int(math.log2(WORD * WEIGHT / ACTIVATION)),
    "block": int(math.log2(WEIGHT)),
    "neck": int(math.log2(ACTIVATION * WEIGHT / QUERY)),
}


def _rounded(x: Tensor, low: float, high: float) -> Tensor:
    """Round half up and clamp; the gradient is that of the clamp."""
    kept = x.clamp(low, high)
    return kept + ((kept + 0.5).floor().clamp(low, high) - kept).detach()


class ContextNet(nn.Module):
    """Neighbours to logits in bits, all numbers being multiples of the format's units.

    Args:
        codewords: (K_T, E) by tier.
        hidden: H, width of the trunk.
        n_blocks: residual layers.
        n_learned: columns of the output that are learned beside the codewords.
    """

    def __init__(
        self, codewords: Mapping[int, Tensor], hidden: int, n_blocks: int, n_learned: int
    ) -> None:
        super().__init__()
        dim = next(iter(codewords.values())).shape[1]
        n_inputs = len(OFFSETS) * dim
        self.words = {
            tier: (words.float() * WORD).round().clamp(-LARGEST, LARGEST)
            for tier, words in codewords.items()
        }
        # Unknown and outside are fixed marks: the first layer learns what they mean, and no
        # gradient has to be carried to the embeddings.
        mark = torch.tensor([1.0, -1.0]).repeat(dim)[:dim] * WORD
        self.special = torch.stack([torch.zeros(dim), mark])
        self.tables = {tier: torch.cat([words, self.special]) for tier, words in self.words.items()}
        self.first = _weight(n_inputs, hidden)
        self.blocks = nn.ParameterList([_weight(hidden, hidden) for _ in range(n_blocks)])
        self.block_bias = nn.ParameterList([_zeros(hidden) for _ in range(n_blocks)])
        self.neck, self.neck_bias = _weight(hidden, dim + n_learned), _zeros(dim + n_learned)
        self.bias = nn.ParameterDict({str(tier): _zeros(hidden) for tier in codewords})
        self.learned = nn.ParameterDict(
            {str(tier): _zeros(len(words), n_learned) for tier, words in codewords.items()}
        )
        self.logit_bias = nn.ParameterDict(
            {str(tier): _zeros(len(words)) for tier, words in codewords.items()}
        )

    def start_from(self, counts: Mapping[int, NDArray[np.integer]]) -> None:
        """Set the logits' biases to what the words' frequencies alone say."""
        for tier, count in counts.items():
            share = torch.from_numpy((count + 0.5) / (count + 0.5).sum())
            self.logit_bias[str(tier)].data = share.log2().float()

    def forward(self, neighbours: Tensor, tier: int) -> Tensor:
        """Predict.

        Args:
            neighbours: (B, M) int64 in [0, K + 1].
            tier: which one they are of.

        Returns:
            (B, K) logits in nats.
        """
        inputs = F.embedding(neighbours, self.tables[tier]).flatten(1)  # (B, M * E) integers
        x = inputs @ _kernel(self.first) + _bias(self.bias[str(tier)], WORD * WEIGHT)
        x = _rounded(x / (1 << SHIFT["first"]), 0, 255)  # (B, H)
        for kernel, bias in zip(self.blocks, self.block_bias, strict=True):
            more = x @ _kernel(kernel) + _bias(bias, ACTIVATION * WEIGHT)
            x = (x + _rounded(more / (1 << SHIFT["block"]), 0, 255)).clamp_max(255)
        query = x @ _kernel(self.neck) + _bias(self.neck_bias, ACTIVATION * WEIGHT)
        query = _rounded(query / (1 << SHIFT["neck"]), -LARGEST, LARGEST)  # (B, D)
        learned = _rounded(self.learned[str(tier)] * WORD, -LARGEST, LARGEST)
        keys = torch.cat([self.words[tier], learned], 1)  # (K, D)
        logits = query @ keys.t() + _bias(self.logit_bias[str(tier)], LOGIT)
        return logits * (math.log(2) / LOGIT)

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """Return the integers that a pack stores, by their keys (FORMAT.md, "Coding mode 2")."""
        out = {
            "offsets": torch.tensor(OFFSETS, dtype=torch.int8),
            "special": self.special.to(torch.int8),
            "first.weight": _kernel(self.first).to(torch.int8),
            "neck.weight": _kernel(self.neck).to(torch.int8),
            "neck.bias": _bias(self.neck_bias, ACTIVATION * WEIGHT).to(torch.int32),
        }
        for number, (kernel, bias) in enumerate(zip(self.blocks, self.block_bias, strict=True)):
            out[f"block.{number}.weight"] = _kernel(kernel).to(torch.int8)
            out[f"block.{number}.bias"] = _bias(bias, ACTIVATION * WEIGHT).to(torch.int32)
        shifts = [SHIFT["first"], *[SHIFT["block"]] * len(self.blocks), SHIFT["neck"]]
        out["shifts"] = torch.tensor(shifts, dtype=torch.uint8)
        for tier in self.words:
            learned = _rounded(self.learned[str(tier)] * WORD, -LARGEST, LARGEST)
            out[f"{tier}.bias"] = _bias(self.bias[str(tier)], WORD * WEIGHT).to(torch.int32)
            out[f"{tier}.learned"] = learned.to(torch.int8)
            out[f"{tier}.logit_bias"] = _bias(self.logit_bias[str(tier)], LOGIT).to(torch.int32)
        return {f"context.{key}": value.contiguous().cpu() for key, value in out.items()}

    @torch.no_grad()
    def take(self, tensors: Mapping[str, Tensor]) -> str:
        """Take over an earlier model's integers where they fit; say how many of how many did."""
        places: dict[str, tuple[nn.Parameter, int]] = {
            "first.weight": (self.first, WEIGHT),
            "neck.weight": (self.neck, WEIGHT),
            "neck.bias": (self.neck_bias, ACTIVATION * WEIGHT),
        }
        for number, (kernel, bias) in enumerate(zip(self.blocks, self.block_bias, strict=True)):
            places[f"block.{number}.weight"] = kernel, WEIGHT
            places[f"block.{number}.bias"] = bias, ACTIVATION * WEIGHT
        for tier in self.words:
            places[f"{tier}.bias"] = self.bias[str(tier)], WORD * WEIGHT
            places[f"{tier}.learned"] = self.learned[str(tier)], WORD
            places[f"{tier}.logit_bias"] = self.logit_bias[str(tier)], LOGIT
        taken = 0
        for key, (parameter, unit) in places.items():
            found = tensors.get(f"context.{key}")
            if found is not None and found.shape == parameter.shape:
                parameter.copy_(found.float() / unit)
                taken += 1
        return f"{taken} of {len(places)} tensors"


def offsets() -> NDArray[np.int64]:
    """Return the neighbours' rows and columns relative to a position, (M, 2)."""
    return np.array(OFFSETS, np.int64)


def loss_bits(net: ContextNet, neighbours: Tensor, targets: Tensor, tier: int) -> Tensor:
    """Return the mean code length in bits per index."""
    return F.cross_entropy(net(neighbours, tier), targets) / math.log(2)


def _zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(*shape))


def _weight(n_in: int, n_out: int) -> nn.Parameter:
    return nn.Parameter(0.5 * torch.randn(n_in, n_out) / math.sqrt(n_in))


def _kernel(weight: Tensor) -> Tensor:
    """A layer's weights in the format's units, integers of 8 bits."""
    return _rounded(weight * WEIGHT, -LARGEST, LARGEST)


def _bias(bias: Tensor, unit: int) -> Tensor:
    """A bias in units of the sums that it is added to."""
    limit = float(1 << 20)
    return _rounded(bias * unit, -limit, limit)

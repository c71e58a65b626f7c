"""The restorer: a masked transformer that tells what stood at the erased places of an index map.

Codewords are its inputs and, with a few learned columns, the rows of its output, so that one
network serves all tiers. Attention is within windows that shift from block to block (Liu et al.,
Swin, arXiv 2103.14030), beside a depthwise convolution, so that a map may have any size; it is
trained as MaskGIT is (Chang et al., arXiv 2202.04200).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.packs.networks import EXPANSION, HEAD, OUTSIDE, STEM, WINDOW, distances


class WindowAttention(nn.Module):
    """Attention of each window's positions to each other, with a bias by their distance.

    Args:
        width: channels, a multiple of `HEAD`.
        shift: rows and columns by which the windows are moved up and left.
    """

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.shift, self.n_heads = shift, width // HEAD
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(self.n_heads, (2 * WINDOW - 1) ** 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, w, width) -> the same shape."""
        batch, height, width, channels = x.shape
        top = self.shift
        below, right = -(height + top) % WINDOW, -(width + top) % WINDOW
        pad = (top, right, top, below)
        inside = F.pad(x.new_ones(1, height, width, 1), (0, 0, *pad))
        windows = _windows(F.pad(x, (0, 0, *pad)))  # (B, n, 64, C)
        n_windows, places = windows.shape[1:3]
        qkv = self.qkv(windows).view(batch, n_windows, places, 3, self.n_heads, HEAD)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5)  # (B, n, heads, 64, HEAD)
        masked = (1 - _windows(inside)[0, :, None, None, :, 0]) * OUTSIDE  # (n, 1, 1, 64)
        bias = (self.bias[:, _distances(x.device)] + masked).expand(batch, -1, -1, -1, -1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(2, 3)
        y = self.out(y.reshape(windows.shape))
        rows, columns = (height + top + below) // WINDOW, (width + top + right) // WINDOW
        y = y.view(batch, rows, columns, WINDOW, WINDOW, channels).transpose(2, 3)
        y = y.reshape(batch, rows * WINDOW, columns * WINDOW, channels)
        out: Tensor = y[:, top : top + height, top : top + width]
        return out


@lru_cache(maxsize=4)
def _distances(device: torch.device) -> Tensor:
    """(64, 64) numbers that tell how far and where two places of a window lie from each other."""
    with torch.inference_mode(False):  # it is kept, and training refuses what that mode has made
        return torch.from_numpy(distances()).to(device)


def _windows(x: Tensor) -> Tensor:
    """(B, h, w, C), h and w multiples of `WINDOW`, to (B, windows, places, C)."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return x.transpose(2, 3).reshape(batch, -1, WINDOW * WINDOW, channels)


class Block(nn.Module):
    """Depthwise convolution, window attention, two dense layers; each added to what it reads."""

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.near = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.attention = WindowAttention(width, shift)
        self.rise = nn.Linear(width, EXPANSION * width)
        self.fall = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, w, width) -> the same shape."""
        near = self.norms[0](x).permute(0, 3, 1, 2)
        x = x + self.near(near).permute(0, 2, 3, 1)
        x = x + self.attention(self.norms[1](x))
        out: Tensor = x + self.fall(F.gelu(self.rise(self.norms[2](x))))
        return out


class Restorer(nn.Module):
    """Received indices to a distribution over codewords for the erased ones.

    Args:
        codewords: (K_T, E) float32 by tier; fixed, and stored elsewhere.
        width: channels, a multiple of `HEAD`.
        n_blocks: how many.
        n_learned: columns of the output that are learned beside the codewords.

    Attributes:
        words: the codewords.
        config: the other arguments, as a manifest has them.
    """

    def __init__(
        self, codewords: Mapping[int, Tensor], width: int, n_blocks: int, n_learned: int
    ) -> None:
        super().__init__()
        self.words = dict(codewords)
        self.config = {"width": width, "blocks": n_blocks, "learned": n_learned}
        dim = next(iter(codewords.values())).shape[1]
        # Beside the codeword: whether it was received, and whether the place is of the map.
        self.stem = nn.Conv2d(dim + 2, width, STEM, padding=STEM // 2)
        self.tier = nn.ParameterDict({str(t): nn.Parameter(torch.zeros(width)) for t in codewords})
        self.blocks = nn.ModuleList(
            [Block(width, number % 2 * WINDOW // 2) for number in range(n_blocks)]
        )
        self.norm = nn.LayerNorm(width)
        self.query, self.paint = nn.Linear(width, dim + n_learned), nn.Linear(width, dim)
        nn.init.zeros_(self.paint.weight)  # at first the expected codeword is painted as it is
        nn.init.zeros_(self.paint.bias)
        self.learned = nn.ParameterDict(
            {str(t): nn.Parameter(torch.zeros(len(w), n_learned)) for t, w in codewords.items()}
        )
        self.bias = nn.ParameterDict(
            {str(t): nn.Parameter(torch.zeros(len(w))) for t, w in codewords.items()}
        )

    def forward(self, indices: Tensor, received: Tensor, tier: int) -> Tensor:
        """Look at maps.

        Args:
            indices: (B, h, w) int64 in [0, K); what stands at erased places is not looked at.
            received: (B, h, w) bool.
            tier: of the indices.

        Returns:
            (B, h, w, width) features, for `logits` and `latents`.
        """
        known = received[..., None].to(self.stem.weight.dtype)
        x = F.embedding(indices, self.words[tier]) * known
        x = torch.cat([x, known, torch.ones_like(known)], -1).permute(0, 3, 1, 2)
        x = self.stem(x).permute(0, 2, 3, 1) + self.tier[str(tier)]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out

    def logits(self, features: Tensor, tier: int) -> Tensor:
        """(n, width) features to (n, K) logits in nats: which codeword stood there."""
        keys = torch.cat([self.words[tier], self.learned[str(tier)]], 1)
        out: Tensor = self.query(features) @ keys.t() + self.bias[str(tier)]
        return out

    def latents(self, features: Tensor, logits: Tensor, tier: int) -> Tensor:
        """(n, width) features and their (n, K) logits to (n, E) latents to paint from.

        The expected codeword, moved to where the picture looks best: what cannot be known is better
        painted plain than guessed.
        """
        out: Tensor = logits.softmax(1) @ self.words[tier] + self.paint(features)
        return out

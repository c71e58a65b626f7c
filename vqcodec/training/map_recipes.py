"""How the networks that learn from index maps are trained: tables of a recipe."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """How the context model is trained (FORMAT.md, "Coding mode 2").

    Attributes:
        minutes: time budget, unless an option gives another.
        photos: training photos to take index maps of.
        hidden: width of the trunk.
        blocks: residual layers.
        learned: columns of the output beside the codewords.
        batch: positions per step, all of one tier.
        learning_rate: AdamW's, before the cosine.
        ema: decay of the averaged weights, the ones that are kept.
        dealt: share of the positions that are seen as in files of several packets.
        weight_decay: AdamW's.
        seed: of positions and weights.
    """

    minutes: float = 30.0
    photos: int = 1600
    hidden: int = 256
    blocks: int = 1
    learned: int = 32
    batch: int = 2048
    learning_rate: float = 2e-3
    ema: float = 0.998
    dealt: float = 0.25
    weight_decay: float = 0.0
    seed: int = 0

    def check(self) -> None:
        """Refuse, with a ValueError, what no run can be made with."""
        if min(self.minutes, self.photos, self.hidden, self.batch) <= 0:
            raise ValueError("minutes, photos, hidden and batch must be above 0")


@dataclass(frozen=True)
class RestorerRecipe:
    """How the restorer is trained.

    Attributes:
        minutes: time budget, unless an option gives another.
        photos: training photos to take index maps of.
        width: channels, a multiple of 32.
        blocks: transformer blocks.
        learned: columns of the output beside the codewords.
        crop: side of the training crops in positions.
        batch: crops per step, all of one tier.
        learning_rate: AdamW's, before the cosine.
        ema: decay of the averaged weights, the ones that are kept.
        weight_decay: AdamW's.
        paint_from: share of the budget after which latents are judged by what they look like, too,
            where perceptual nets are at hand.
        paint_batch: crops per step from then on; the decoder takes most of the time.
        paint_crop: side of the square in a crop that is decoded, in positions.
        perceptual: weight of the perceptual distance to the picture without losses.
        l1: weight of the mean absolute difference to it.
        likelihood: weight of the cross entropy from then on.
        seed: of crops, holes and weights.
    """

    minutes: float = 60.0
    photos: int = 1600
    width: int = 160
    blocks: int = 4
    learned: int = 32
    crop: int = 20
    batch: int = 8
    learning_rate: float = 2e-3
    ema: float = 0.998
    weight_decay: float = 0.01
    paint_from: float = 0.6
    paint_batch: int = 4
    paint_crop: int = 10
    perceptual: float = 1.0
    l1: float = 0.3
    likelihood: float = 0.02
    seed: int = 0

    def check(self) -> None:
        """Refuse, with a ValueError, what no run can be made with."""
        if min(self.minutes, self.photos, self.blocks, self.batch, self.crop) <= 0:
            raise ValueError("minutes, photos, blocks, batch and crop must be above 0")
        if not 1 <= self.paint_crop <= self.crop or self.paint_batch < 1:
            raise ValueError("paint_crop must be 1 to crop, and paint_batch above 0")
        if self.width <= 0 or self.width % 32:
            raise ValueError(f"width {self.width} is no multiple of 32")

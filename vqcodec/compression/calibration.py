"""A step's kernels in codes, calibrated so that it gives what the original step gave.

Every sub-vector has two candidate words, mixed by a soft ratio; ratios, words, scales and biases
follow the gradient of the step's error while the ratios are sharpened until each is a choice.

Source: Deng et al., VQ4DiT, arXiv 2408.17131, section 3 (candidates, soft ratios, block by block);
here inputs are real, the start is `assignment.assign`, and a falling temperature takes the place of
the term n s (1 - s).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vqcodec.compression.assignment import assign, second_moments
from vqcodec.compression.steps import Step
from vqcodec.compression.vectors import Coded, cut
from vqcodec.compression.words import Fit

POSITIONS = 2048  # of a feature map that a step of calibration sees, at least one image
SHARP, SHARPEST, DECIDED_AT = 1.0, 0.02, 0.85  # temperatures, and the share of steps between them
FIRST = 1.0  # logit with which the assigned word leads
RATES = {"lead": 0.1, "words": 3e-3, "restore": 3e-3, "gain": 1e-3, "bias": 3e-4}
BETAS = (0.9, 0.99)


class Blend(nn.Module):
    """A kernel whose codes are not decided yet.

    Args:
        start: the kernel as it was assigned.
        wanted: (O, C) sub-vectors that the codes stand for, scaled.
        shape: of the kernel.
    """

    def __init__(self, start: Coded, wanted: Tensor, shape: torch.Size) -> None:
        super().__init__()
        self.start, self.shape, self.temperature = start, shape, SHARP
        table = start.table()
        self.first = start.codes.flatten()
        vectors = wanted.reshape(-1, table.shape[1])
        self.second = _second(vectors, table, self.first)
        self.lead = nn.Parameter(torch.full((len(vectors),), FIRST))
        self.words = nn.Parameter(start.words.clone())
        self.restore = None if start.restore is None else nn.Parameter(start.restore.clone())
        self.gain = nn.Parameter(torch.zeros(len(start.scale)))

    def kernel(self) -> Tensor:
        """Return the kernel as it stands, a mixture where ratios are soft."""
        table = self._coded(self.first).table()
        share = torch.sigmoid(self.lead / self.temperature)[:, None]
        first, second = table[self.first], table[self.second]
        rows = (second + (first - second) * share).view(len(self.gain), -1)
        return (rows[:, : self.start.columns] * self._scale()[:, None]).view(self.shape)

    @torch.no_grad()
    def decided(self) -> Coded:
        """Return the kernel with every code chosen, rounded as it will be stored."""
        return self._coded(torch.where(self.lead >= 0, self.first, self.second)).rounded()

    def _coded(self, codes: Tensor) -> Coded:
        return replace(
            self.start,
            codes=codes.view(self.start.codes.shape),
            words=self.words,
            restore=self.restore,
            scale=self._scale(),
        )

    def _scale(self) -> Tensor:
        return self.start.scale * self.gain.exp()


def code_step(
    step: Step,
    x: Tensor,
    wanted: Tensor,
    tiers: Tensor,
    fit: Fit,
    *,
    n_steps: int,
    seed: int = 0,
) -> dict[str, Coded]:
    """Code the kernels of a step, in place: its module then computes with them.

    Args:
        step: of the compressed network.
        x: (N, C, H, W) what the step sees there.
        wanted: (N, C', H', W') what the step gives in the original network.
        tiers: (N,).
        fit: makes the words of a kernel.
        n_steps: of calibration; 0 leaves kernels as they were assigned.
        seed: of the order of images.

    Returns:
        The kernels by the name of their layer in the module.
    """
    if step.module is None:
        raise ValueError("a step without a module has no kernels")
    blends: dict[str, Blend] = {}
    for name, layer in step.kernels().items():
        kernel = layer.weight.detach()
        moments = second_moments(step, layer, x, tiers)
        words, restore = fit(kernel, moments)
        table = words if restore is None else words @ restore.t()
        rows, scale = cut(kernel, table.shape[1])
        codes, open_ = assign(rows, moments, table)
        coded = Coded(codes, words, restore, scale, kernel[0].numel()).rounded()
        layer.weight.copy_(coded.rows().view_as(kernel))
        blends[name] = Blend(coded, open_, kernel.shape)
    if n_steps:
        state = _blend(step.module, step.more, blends, x, wanted, n_steps, seed)
        state |= {_join(n, "weight"): b.decided().rows().view(b.shape) for n, b in blends.items()}
        step.module.load_state_dict(state, strict=False)
    return {name: blend.decided() for name, blend in blends.items()}


def _blend(
    module: nn.Module,
    more: tuple[None, ...],
    blends: dict[str, Blend],
    x: Tensor,
    wanted: Tensor,
    n_steps: int,
    seed: int,
) -> dict[str, Tensor]:
    """Let ratios, words, scales and biases follow the step's error; return the biases, in f16."""
    known = dict(module.named_parameters())
    biases = {
        key: nn.Parameter(known[key].detach().clone())
        for key in (_join(name, "bias") for name in blends)
        if key in known
    }
    groups: dict[str, list[nn.Parameter]] = {key: [] for key in RATES}
    for blend in blends.values():
        for key, value in blend.named_parameters():
            groups[key].append(value)
    groups["bias"] = list(biases.values())
    adam = torch.optim.Adam(
        [{"params": some, "lr": RATES[key]} for key, some in groups.items() if some], betas=BETAS
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, n_steps, eta_min=1e-5)
    random = torch.Generator().manual_seed(seed)
    n_images = max(1, POSITIONS // (wanted.shape[2] * wanted.shape[3]))
    size = wanted.square().mean().clamp_min(1e-12)
    with torch.enable_grad():
        for n in range(n_steps):
            cooled = min(1.0, n / n_steps / DECIDED_AT)
            for blend in blends.values():
                blend.temperature = SHARP * (SHARPEST / SHARP) ** cooled
            few = torch.randint(len(x), (n_images,), generator=random)
            state = {_join(name, "weight"): blend.kernel() for name, blend in blends.items()}
            found = functional_call(module, state | biases, (x[few], *more))
            loss = (found - wanted[few]).square().mean() / size
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    return {key: bias.detach().half().float() for key, bias in biases.items()}


def _join(layer: str, key: str) -> str:
    """A layer's key in its module; a layer that is the module itself has no name."""
    return f"{layer}.{key}" if layer else key


def _second(vectors: Tensor, table: Tensor, first: Tensor) -> Tensor:
    """The nearest word beside the assigned one, for each of (n, d); (n,) int64."""
    if len(table) < 2:
        return first
    rows = max(1, (1 << 22) // len(table))
    square, out = table.square().sum(1), []
    for part, taken in zip(torch.split(vectors, rows), torch.split(first, rows), strict=True):
        distance = square - 2 * part @ table.t()
        out.append(distance.scatter_(1, taken[:, None], math.inf).argmin(1))
    return torch.cat(out)

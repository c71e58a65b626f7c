"""Critics, their regularisers, and the judge's gradient at the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vqcodec.training.critics import FeatureCritic, LeCam, PatchCritic, hinge, r1
from vqcodec.training.losses import Judge
from vqcodec.training.perceptual import Perceptual
from vqcodec.training.recipe import Stage
from vqcodec.training.world import World

WORLD = World("cpu", "float32")
STAGE = Stage(
    crop_px=32, perceptual={"squeeze": 0.5}, window_px={"squeeze": 16}, critic=0.1, l1=2.0
)


class Edges(Perceptual):
    """Stands in for a frozen net: two maps of unit length, the second at half the resolution."""

    def features(self, image: Tensor) -> list[Tensor]:
        wide = torch.cat([image, image.roll(1, -1), image.roll(1, -2)], 1)
        return [F.normalize(wide, dim=1), F.normalize(F.avg_pool2d(wide, 2), dim=1)]

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        parts = [(a - b).square().sum(1).mean((1, 2)) for a, b in zip(ours, theirs, strict=True)]
        return torch.stack(parts).mean(0)


def _images(seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32) * 2 - 1


def test_the_patch_critic_scores_patches() -> None:
    assert PatchCritic(8)([torch.zeros(2, 3, 64, 64)]).shape == (2, 36)


def test_the_feature_critic_weighs_all_depths_alike() -> None:
    torch.manual_seed(0)
    critic = FeatureCritic([3, 4, 5], 8)
    maps = [torch.rand(2, 3, 16, 16), torch.rand(2, 4, 8, 8), torch.rand(2, 5, 2, 2)]
    with torch.no_grad():
        scores = critic(maps)
        deep = critic.heads[1](maps[2] * 5**0.5)
    assert scores.shape == (2, 2 * 64)
    assert float(scores[:, 64:].mean()) == pytest.approx(float(deep.mean()), abs=1e-6)


def test_hinge_and_lecam() -> None:
    lecam = LeCam()
    assert float(hinge(torch.tensor(2.0), torch.tensor(-2.0))) == 0
    assert float(hinge(torch.tensor(0.0), torch.tensor(0.0))) == 2
    assert float(lecam(torch.tensor(1.0), torch.tensor(-1.0))) == 2
    assert float(lecam.real) == pytest.approx(0.01)


def test_r1_is_half_the_squared_slope() -> None:
    class Slope(torch.nn.Module):
        def forward(self, maps: Sequence[Tensor]) -> Tensor:
            return (3 * maps[0]).flatten(1)

    # The mean over 4 values has slope 3 / 4 at each: half of 4 times its square.
    penalty = r1(Slope(), [torch.zeros(5, 1, 2, 2)]).detach()
    assert float(penalty) == pytest.approx(0.5 * 4 * (3 / 4) ** 2)


def test_the_gradient_is_that_of_the_weighted_sum() -> None:
    decoded, image = _images()
    judge = Judge(replace(STAGE, window_px={}), {"squeeze": Edges()}, WORLD)
    gradient, terms = judge.gradient(decoded, image, 0.0, np.random.default_rng(0))
    picture = decoded.clone().requires_grad_(True)
    loss = 2.0 * (picture - image).abs().mean() + 0.5 * Edges()(picture, image).mean()
    loss.backward()
    assert set(terms) == {"l1", "squeeze"}
    assert picture.grad is not None
    assert torch.allclose(gradient, picture.grad, atol=1e-8)


def test_the_colour_loss_sees_squares_and_not_what_is_inside_them() -> None:
    image = torch.zeros(1, 3, 32, 32)
    stage = replace(STAGE, l1=0.0, colour=2.0, perceptual={}, window_px={}, critic=0.0)
    judge, random = Judge(stage, {}, WORLD), np.random.default_rng(0)
    stripes = torch.ones(32).cumsum(0).remainder(2) * 2 - 1  # -1, 1, -1, ...: mean 0
    gradient, terms = judge.gradient(image + 0.1 * stripes, image, 0.0, random)
    assert float(terms["colour"]) == pytest.approx(0, abs=1e-7)
    gradient, terms = judge.gradient(image + 0.1, image, 0.0, random)
    assert float(terms["colour"]) == pytest.approx(0.1, rel=1e-4)
    assert torch.allclose(gradient, torch.full_like(gradient, 2.0 / gradient.numel()))


def test_windows_are_random_and_seeded() -> None:
    decoded, image = _images()
    judge = Judge(STAGE, {"squeeze": Edges()}, WORLD)
    one, two, other = (
        judge.gradient(decoded, image, 0.0, np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("on", ["patch", "squeeze"])
def test_an_adaptive_critic_pulls_as_hard_as_the_other_losses(on: str) -> None:
    decoded, image = _images()
    stage = replace(STAGE, critic_on=on, critic_weight="adaptive", window_px={})
    judge = Judge(stage, {"squeeze": Edges()}, WORLD)
    alone, _ = judge.gradient(decoded, image, 0.0, np.random.default_rng(0))
    both, terms = judge.gradient(decoded, image, 0.3, np.random.default_rng(0))
    assert float((both - alone).norm() / alone.norm()) == pytest.approx(0.3, rel=2e-2)
    assert "critic" in terms


@pytest.mark.parametrize("check", ["lecam", "r1", "none"])
@pytest.mark.parametrize("on", ["patch", "squeeze"])
def test_the_critic_learns_to_tell_decoded_from_real(on: str, check: str) -> None:
    judge = Judge(replace(STAGE, critic_on=on, critic_check=check), {"squeeze": Edges()}, WORLD)
    optimizer = torch.optim.Adam(judge.critic.parameters(), lr=1e-3)
    random, first = np.random.default_rng(0), None
    for step in range(25):
        _, image = _images(step % 2)
        blurred = F.interpolate(F.avg_pool2d(image, 4), scale_factor=4)
        judge.gradient(blurred, image, 0.1, random)
        assert all(p.grad is None for p in judge.critic.parameters())
        loss, figures = judge.teach(step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        first = float(figures["hinge"]) if first is None else first
        assert ("r1" in figures) == (check == "r1" and step % 8 == 0)
    assert float(figures["hinge"]) < 0.8 * first
    assert float(figures["real"]) > float(figures["fake"])

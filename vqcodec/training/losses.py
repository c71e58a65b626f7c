"""What a decoded picture is judged by: plain differences, frozen nets, and a critic that learns.

The judge answers with the gradient of its loss at the picture, which the loop sends back through
the network. So the critic's weight can be set from the two gradients at the picture at no cost
(taming-transformers compares them at the decoder's last layer, one more way back through all
frozen nets), and the network never holds the judge's graph.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.training.critics import FeatureCritic, LeCam, PatchCritic, hinge, r1
from vqcodec.training.perceptual import Perceptual
from vqcodec.training.recipe import Stage
from vqcodec.training.world import World

R1_EVERY = 8  # steps; the penalty costs a second way through the critic (lazy regularisation)
MOST_ADAPTIVE = 1e4  # as in taming-transformers: a critic without slope must not blow up the weight

SQUARE_PX = 16  # the stride: what one index paints

Figures = dict[str, Tensor]


class Judge:
    """Losses of one stage.

    Args:
        stage: weights and windows.
        nets: the frozen nets of `stage.perceptual`, by name.
        world: device, precision, other processes.

    Attributes:
        critic: what learns to tell decoded pictures from real ones.
        lecam: its running means.
        weights: of all terms but the critic's, by name.
    """

    def __init__(self, stage: Stage, nets: Mapping[str, Perceptual], world: World) -> None:
        self.stage, self.world = stage, world
        self.nets = {name: net.to(world.device) for name, net in nets.items()}
        self.critic = self._make_critic().to(world.device)
        self.lecam = LeCam().to(world.device)
        self.weights = {"l1": stage.l1, "colour": stage.colour, **stage.perceptual}
        self.shared_critic = world.shared(self.critic)
        self._views: tuple[list[Tensor], list[Tensor]] = ([], [])

    def _make_critic(self) -> nn.Module:
        if not self.stage.critic:
            return nn.Identity()
        if self.stage.critic_on == "patch":
            return PatchCritic().to(memory_format=torch.channels_last)
        net = self.nets[self.stage.critic_on]
        with torch.no_grad():
            maps = net.features(torch.zeros(1, 3, 64, 64, device=self.world.device))
        return FeatureCritic([x.shape[1] for x in maps]).to(memory_format=torch.channels_last)

    def gradient(
        self, decoded: Tensor, image: Tensor, critic: float, random: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Judge decoded pictures.

        Args:
            decoded: (B, 3, H, W) float32.
            image: what they should be.
            critic: weight of the critic now; 0 leaves it out.
            random: of the windows.

        Returns:
            The gradient of the loss at `decoded`, (B, 3, H, W), and the terms by name.
        """
        picture = decoded.detach().requires_grad_(True)
        with self.world.autocast():
            difference = picture - image
            terms = {"l1": difference.abs().mean()}
            if self.stage.colour:
                terms["colour"] = F.avg_pool2d(difference, SQUARE_PX).abs().mean()
            for name, net in self.nets.items():
                window = self._window(self.stage.window_px.get(name, 0), random)
                with torch.no_grad():
                    real = net.features(image[window])
                fake = net.features(picture[window])
                terms[name] = net.distance(fake, real).mean()
                if name == self.stage.critic_on:
                    self._views = real, fake
            if self.stage.critic and self.stage.critic_on == "patch":
                window = self._window(self.stage.critic_window_px, random)
                self._views = [image[window]], [picture[window]]
            total = torch.stack([self.weights[key] * value for key, value in terms.items()]).sum()
            if not critic:
                (gradient,) = torch.autograd.grad(total, picture)
            else:
                self.critic.requires_grad_(False)
                terms["critic"] = -self.critic(self._views[1]).mean()
                self.critic.requires_grad_(True)
                gradient = self._joined(total, terms["critic"], critic, picture)
        self._views = self._views[0], [x.detach() for x in self._views[1]]
        return gradient, {key: value.detach() for key, value in terms.items()}

    def _joined(self, total: Tensor, critic: Tensor, weight: float, picture: Tensor) -> Tensor:
        """Gradient of the other losses and of the critic's, weighted."""
        if self.stage.critic_weight == "fixed":
            return torch.autograd.grad(total + weight * critic, picture)[0]
        (ours,) = torch.autograd.grad(total, picture, retain_graph=True)
        (pull,) = torch.autograd.grad(critic, picture)
        ratio = ours.norm() / (pull.norm() + 1 / MOST_ADAPTIVE)
        return ours + weight * ratio.clamp(max=MOST_ADAPTIVE) * pull

    def teach(self, step: int) -> tuple[Tensor, Figures]:
        """The critic's own loss for the pictures that `gradient` has seen last, to go back from."""
        real_maps, fake_maps = self._views
        with self.world.autocast():
            real, fake = _both(self.shared_critic, real_maps, fake_maps)
        real, fake = real.float(), fake.float()
        loss = hinge(real, fake)
        figures = {"hinge": loss, "real": real.mean(), "fake": fake.mean()}
        if self.stage.critic_check == "lecam":
            loss = loss + self.stage.lecam * self.lecam(real.mean(), fake.mean())
        elif self.stage.critic_check == "r1" and step % R1_EVERY == 0:
            penalty = r1(self.critic, [x.float() for x in real_maps])
            loss = loss + R1_EVERY * self.stage.r1 * penalty
            figures["r1"] = penalty
        return loss, {key: value.detach() for key, value in figures.items()}

    def _window(self, side_px: int, random: np.random.Generator) -> tuple[slice, ...]:
        """A random square of (B, C, H, W), the same for all images; 0 is the whole crop."""
        side = side_px or self.stage.crop_px
        top, left = random.integers(self.stage.crop_px - side + 1, size=2)
        return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def _both(critic: nn.Module, real: list[Tensor], fake: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Scores of real and decoded maps in one pass: a wrapped critic is called once a step."""
    scores: Tensor = critic([torch.cat(pair) for pair in zip(real, fake, strict=True)])
    middle = len(scores) // 2
    return scores[:middle], scores[middle:]

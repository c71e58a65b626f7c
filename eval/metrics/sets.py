"""FID and KID of patches: how far a set of decoded pictures is from the set of their originals.

The protocol of HiFiC (Mentzer et al. 2020, arXiv 2006.09965): every picture is cut into patches of
256x256 pixels side by side, once from its corner and once from 128 pixels further down and right;
what does not fill a patch is dropped. Features are those of the Inception network that the original
FID used, by the package torch-fidelity, resized as there; the distances are the package
torchmetrics'.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eval.metrics.pictures import check, content
from eval.metrics.weights import file_sha256

PATCH = 256
BATCH = 8  # patches through the network at once
SEED = 0
# torch-fidelity unpickles the file with nothing refused, so no other file may reach it.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
PACKAGES = {"torchmetrics": "torchmetrics", "torch_fidelity": "torch-fidelity"}
FILE = "pt_inception-2015-12-05-6726825d.pth"


def patches(picture: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the (256, 256, 3) patches of an (H, W, 3) picture, row by row."""
    height, width = picture.shape[:2]
    for start in (0, PATCH // 2):
        for top in range(start, height - PATCH + 1, PATCH):
            for left in range(start, width - PATCH + 1, PATCH):
                yield picture[top : top + PATCH, left : left + PATCH]


class _Given(nn.Module):
    """Stands in for torchmetrics' network: it is handed features instead of pictures."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


class PatchDistances:
    """FID and KID between originals and one codec's pictures of them.

    Originals' features are kept over `reset`, so that the next codec costs half: 8 kB per patch.

    Args:
        network: (N, 3, 256, 256) uint8 -> (N, features).
        source: what the network is.
        subsets: of KID, each drawn at random from a fixed seed.
        subset_size: patches in each.
    """

    def __init__(
        self, network: nn.Module, source: str, *, subsets: int = 100, subset_size: int = 1000
    ) -> None:
        self.source = source
        self._network = network
        self._subsets = subsets
        self._subset_size = subset_size
        self._kept: dict[object, torch.Tensor] = {}
        self._real: list[torch.Tensor] = []
        self._fake: list[torch.Tensor] = []

    def reset(self) -> None:
        """Begin a new set of decoded pictures."""
        self._real, self._fake = [], []

    def update(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> int:
        """Add a pair of (H, W, 3) uint8 pictures.

        Returns:
            How many patches they have; none where a side is shorter than 256 pixels.
        """
        check(original, decoded)
        if min(original.shape[:2]) < PATCH:
            return 0
        key = content(original)
        if key not in self._kept:
            self._kept[key] = self._features(original)
        self._real.append(self._kept[key])
        self._fake.append(self._features(decoded))
        return len(self._fake[-1])

    @torch.inference_mode()
    def _features(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        cut = list(patches(picture))
        batches = (np.stack(cut[n : n + BATCH]) for n in range(0, len(cut), BATCH))
        return torch.cat(
            [self._network(torch.from_numpy(b).permute(0, 3, 1, 2).contiguous()) for b in batches]
        )

    @torch.inference_mode()
    def result(self) -> dict[str, Any]:
        """Measure the set.

        Returns:
            "fid", "kid" and "kid_std" (the standard deviation over KID's subsets), each None where
            there are too few patches for it; "patches"; and "notes", a list of lines on what is
            absent or not to be trusted.
        """
        count = sum(len(part) for part in self._fake)
        result: dict[str, Any] = {"fid": None, "kid": None, "kid_std": None, "patches": count}
        notes: list[str] = []
        if count < 2:
            notes.append(f"no FID: {count} patches of {PATCH}x{PATCH}, it needs at least 2")
        else:
            real, fake = torch.cat(self._real), torch.cat(self._fake)
            result["fid"] = self._fid(real, fake)
            if count <= real.shape[1]:
                notes.append(
                    f"FID of {count} patches says little: it estimates the covariance of "
                    f"{real.shape[1]} features and wants more patches than that"
                )
        if count < self._subset_size:
            notes.append(
                f"no KID: {count} patches, its subsets have {self._subset_size}: measure more or "
                "larger images"
            )
        else:
            result["kid"], result["kid_std"] = self._kid(real, fake)
        return {**result, "notes": notes}

    # Both get float64, which torchmetrics recommends and keeps.

    def _fid(self, real: torch.Tensor, fake: torch.Tensor) -> float:
        from torchmetrics.image.fid import FrechetInceptionDistance

        metric = FrechetInceptionDistance(feature=_Given(real.shape[1])).set_dtype(torch.float64)
        metric.update(real.double(), real=True)
        metric.update(fake.double(), real=False)
        return max(0.0, float(metric.compute()))  # equal sets come out a little below zero

    def _kid(self, real: torch.Tensor, fake: torch.Tensor) -> tuple[float, float]:
        from torchmetrics.image.kid import KernelInceptionDistance

        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")  # it says that it keeps the features
            torch.manual_seed(SEED)
            metric = KernelInceptionDistance(
                feature=_Given(real.shape[1]), subsets=self._subsets, subset_size=self._subset_size
            )
            metric.update(real.double(), real=True)
            metric.update(fake.double(), real=False)
            mean, deviation = metric.compute()
        return float(mean), float(deviation)


def load(inception: Path | None) -> PatchDistances | str:
    """Load FID and KID on an Inception weights file.

    Args:
        inception: torch-fidelity's file, or None.

    Returns:
        The distances, or a line with what is missing and what to do.
    """
    if inception is None:
        return f"FID and KID need {FILE}: name it with --inception"
    if not inception.is_file():
        return f"{inception}: no such file; FID and KID need {FILE}"
    found = file_sha256(inception)
    if found != SHA256:
        return f"{inception}: not {FILE}: its SHA-256 begins with {found[:8]}, not {SHA256[:8]}"
    return _load(inception)


def _load(inception: Path) -> PatchDistances | str:
    for package, distribution in PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            return (
                f"FID and KID need {distribution}, which is not installed: "
                f"pip install {distribution} -c constraints.txt"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages about each other's age
            from torchmetrics.image.fid import NoTrainInceptionV3

            network = NoTrainInceptionV3(
                name="inception-v3-compat",
                features_list=["2048"],
                feature_extractor_weights_path=str(inception),
                antialias=False,  # resize as TensorFlow did, as published figures have it
            )
    # A torchvision of another build than torch's fails with RuntimeError, deep in these imports.
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        return (
            f"FID and KID: torchmetrics and torch-fidelity do not run here ({reason}): they need a "
            "torchvision built for this torch, see constraints.txt"
        )
    versions = [f"{n} {importlib.metadata.version(n)}" for n in PACKAGES.values()]
    return PatchDistances(network, f"{', '.join(versions)}, {FILE}")

"""What a model is worth on photos it was not trained on: distances, PSNR, codes in use, per tier.

Figures are of decoded 8-bit images at the codec's own path (`Nets`). Choose on the validation
photos only. "squeeze" and "vgg19" are losses too, so a model may have learned to please them;
"mobilenet" never is one and judges between models; "alex" (LPIPS) is the yardstick for reporting
and never for choosing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vqcodec.bitstream import container
from vqcodec.codec import encode
from vqcodec.errors import InputError
from vqcodec.nets.load import Nets
from vqcodec.packs.store import Pack
from vqcodec.payload import decode_index_map
from vqcodec.training.perceptual import perceptual
from vqcodec.training.photos import read_photos

METRICS = ("squeeze", "vgg19", "mobilenet", "alex")


@dataclass(frozen=True)
class Row:
    """Means over photos for one tier.

    Attributes:
        name: of the codebook, "tier 4" or "base".
        tier: its id; of "base", the condition under which the network ran.
        codebook_size: K_T.
        n_photos: photos measured.
        distances: by metric: "squeeze" and "alex" are LPIPS, "vgg19" and "mobilenet" distances of
            unit-length features.
        psnr_db: mean of the photos' PSNR.
        used_share: share of the codebook that occurs at all in these photos.
        entropy_bits: of the indices' histogram over all photos, per index (log2 K at most).
        decode_ms: median time of the decoder per megapixel; noisy on a busy machine.
        coded_bits: of the photos' payloads, per index, in the smallest coding that the pack has;
            None of what is not a pack.
    """

    name: str
    tier: int
    codebook_size: int
    n_photos: int
    distances: dict[str, float]
    psnr_db: float
    used_share: float
    entropy_bits: float
    decode_ms: float
    coded_bits: float | None = None

    def __str__(self) -> str:
        """One line of the table."""
        figures = " ".join(f"{name} {value:.4f}" for name, value in self.distances.items())
        return (
            f"{self.name:6} K {self.codebook_size:4d} {figures} psnr {self.psnr_db:.2f} dB "
            f"used {self.used_share:.1%} entropy {self.entropy_bits:.2f} bits "
            + ("" if self.coded_bits is None else f"coded {self.coded_bits:.3f} bits ")
            + f"decode {self.decode_ms:.0f} ms/MP"
        )


def measure(
    nets: Nets,
    data: Path,
    weights: Path,
    *,
    tiers: Sequence[int],
    most: int | None = 40,
    crop_px: int = 256,
    metrics: Sequence[str] = METRICS,
    pictures: Path | None = None,
    progress: Callable[[str], None] | None = None,
    names: Mapping[int, str] | None = None,
    pack: Pack | None = None,
    rdo: float | None = None,
) -> list[Row]:
    """Measure a model.

    Args:
        nets: the model, from a pack or a run.
        data: folder or tar of photos.
        weights: folder of the perceptual nets.
        tiers: tiers to measure, of those that have a codebook.
        most: photos to take.
        crop_px: side of the centre crop that is measured, a multiple of the stride.
        metrics: of `METRICS`.
        pictures: folder for side-by-side PNGs of original and decoded crops, if any.
        progress: called with each photo's name.
        names: of the rows by tier, where they are not "tier T".
        pack: what `nets` is of; photos are then coded as the codec codes them.
        rdo: weight of the bits, as in `vqcodec.encode`.

    Raises:
        InputError: no photos, no weights for a metric, or no codebook for any of the tiers.
    """
    known = [tier for tier in tiers if tier in nets.codebooks]
    if not known:
        wants, has = (", ".join(map(str, sorted(some))) for some in (tiers, nets.codebooks))
        raise InputError(
            f"the model has no codebook for tier {wants}; it has: {has or 'none'}.", field="tiers"
        )
    labels = {tier: f"tier {tier}" for tier in known} | dict(names or {})
    judges = {name: perceptual(name, weights) for name in metrics}
    sums: dict[int, list[list[float]]] = {tier: [] for tier in known}
    counts = {tier: np.zeros(len(nets.codebooks[tier]), np.int64) for tier in known}
    coded = {tier: [0, 0] for tier in known}  # bits, indices
    times: dict[int, list[float]] = {tier: [] for tier in known}
    for name, pixels in read_photos(data, most=most):
        crop = _centre(pixels, crop_px)
        truth = _tensor(crop)
        with torch.inference_mode():
            wanted = {key: judge.features(truth) for key, judge in judges.items()}
            for tier in known:
                indices, n_bytes = _coded(nets, pack, crop, tier, rdo)
                coded[tier][0] += 8 * n_bytes
                coded[tier][1] += indices.size
                counts[tier] += np.bincount(indices.ravel(), minlength=len(counts[tier]))
                begun = time.perf_counter()
                decoded = nets.to_pixels(indices, tier)
                times[tier].append((time.perf_counter() - begun) * 1e9 / decoded[..., 0].size)
                ours = _tensor(decoded)
                row = [
                    float(judge.distance(judge.features(ours), wanted[key]))
                    for key, judge in judges.items()
                ]
                sums[tier].append([*row, _psnr(crop, decoded)])
                if pictures is not None:
                    side = np.concatenate([crop, decoded], 1)
                    label = labels[tier].replace(" ", "")
                    Image.fromarray(side).save(pictures / f"{Path(name).stem}-{label}.png")
        if progress:
            progress(name)
    if not any(sums.values()):
        raise InputError(f"{data}: no photos found.", path=data)
    return [
        replace(
            _row(labels[tier], tier, sums[tier], counts[tier], list(judges), times[tier]),
            coded_bits=coded[tier][0] / coded[tier][1] if pack else None,
        )
        for tier in known
    ]


def _coded(
    nets: Nets, pack: Pack | None, crop: NDArray[np.uint8], tier: int, rdo: float | None
) -> tuple[NDArray[np.int32], int]:
    """Indices of a crop, and the size of their payload; 0 where there is no pack to code with."""
    if pack is None:
        return nets.to_indices(crop, tier), 0
    data = encode(crop, tier=tier, model=pack.path, rdo=rdo)
    parsed = container.parse(data)
    tables = pack.tables(tier, parsed.header.coding)
    return decode_index_map(parsed.payloads(), parsed.header, *tables), len(parsed.payloads()[0])


def _row(
    name: str,
    tier: int,
    rows: list[list[float]],
    counts: NDArray[np.int64],
    metrics: list[str],
    times: list[float],
) -> Row:
    means = np.mean(rows, 0)
    share = counts[counts > 0] / counts.sum()
    return Row(
        name=name,
        tier=tier,
        codebook_size=len(counts),
        n_photos=len(rows),
        distances=dict(zip(metrics, map(float, means[:-1]), strict=True)),
        psnr_db=float(means[-1]),
        used_share=float((counts > 0).mean()),
        entropy_bits=float(-(share * np.log2(share)).sum()),
        decode_ms=float(np.median(times)),
    )


def _centre(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The centre, at most side x side, cut to multiples of 16."""
    height, width = (min(size, side) // 16 * 16 for size in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def _psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = float(np.square(a.astype(np.float64) - b).mean())
    return 10 * math.log10(255**2 / max(error, 1e-9))

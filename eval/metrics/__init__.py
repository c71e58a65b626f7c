"""How close decoded 8-bit pictures come to their originals: PSNR, MS-SSIM, LPIPS and DISTS.

Nothing is rounded, clipped or resized: what is measured is what a viewer would get. Distances of
whole sets of pictures (FID, KID) are in `eval.metrics.sets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Every metric in the order of tables, and whether more of it is better.
NAMES = {
    "psnr_db": True,
    "ms_ssim": True,
    "lpips_alex": False,
    "lpips_squeeze": False,
    "lpips_vgg": False,
    "dists": False,
}


class Metric(Protocol):
    """A measure of two pictures.

    Attributes:
        name: one of NAMES.
        source: what computes it and from which weights; figures of two sources are not compared.
        higher_is_better: False for distances.
        min_side: the shortest side in pixels on which it is defined.
    """

    name: str
    source: str
    higher_is_better: bool
    min_side: int

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
        """Measure a pair of (H, W, 3) uint8 pictures.

        Returns:
            The figure, or None where a side is shorter than `min_side` or the figure is infinite.

        Raises:
            ValueError: the arrays are no pair of pictures.
        """


def load(names: Sequence[str] | None, weights: Path | None) -> tuple[list[Metric], dict[str, str]]:
    """Load metrics, as far as what they need is at hand.

    Weights come from the folder, else from the installed packages, else from PyTorch's own
    download, which is kept in its cache. AlexNet and SqueezeNet are fetched when needed, VGG-16
    (528 MB) only where a metric on it is named.

    Args:
        names: of the metrics, or None for all.
        weights: a folder with weights in safetensors files, or None.

    Returns:
        The metrics in the order of NAMES, and for each that is absent a line with what to do.

    Raises:
        ValueError: a name is unknown.
        FileNotFoundError: there is no such folder.
    """
    unknown = sorted(set(names or ()) - NAMES.keys())
    if unknown:
        raise ValueError(f"no metric {unknown[0]!r}: choose from {', '.join(NAMES)}")
    if weights is not None and not weights.is_dir():
        raise FileNotFoundError(f"{weights}: no such folder of weights")

    # torch is slow to import, and asking for NAMES must not wait for it.
    from eval.metrics.classic import MsSsim, Psnr
    from eval.metrics.dists import load_dists
    from eval.metrics.lpips import load_lpips
    from eval.metrics.weights import Shelf, WeightsAbsentError

    # Not all that could be measured, but what was asked for, is worth half a gigabyte.
    shelf = Shelf(weights, large=names is not None)
    makers: dict[str, Callable[[], Metric]] = {
        "psnr_db": Psnr,
        "ms_ssim": MsSsim,
        "lpips_alex": lambda: load_lpips("alex", shelf),
        "lpips_squeeze": lambda: load_lpips("squeeze", shelf),
        "lpips_vgg": lambda: load_lpips("vgg", shelf),
        "dists": lambda: load_dists(shelf),
    }
    loaded: list[Metric] = []
    absent: dict[str, str] = {}
    for name in NAMES:
        if names is None or name in names:
            try:
                loaded.append(makers[name]())
            except WeightsAbsentError as error:
                absent[name] = str(error)
    return loaded, absent

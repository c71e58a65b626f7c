"""Write the golden files of a released pack: `python -m tests.golden.make_pack photo-3`.

A small photo at the lowest and the highest tier, and the pictures that the pack paints of them.
They are made once per released pack; a new pack has a new name and its own folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from eval.images import sample_photo

HERE = Path(__file__).parent
TIERS = (1, 9)


def photo() -> NDArray[np.uint8]:
    """A corner of scikit-learn's china.jpg, (150, 200, 3): no multiple of the stride."""
    return np.ascontiguousarray(sample_photo()[100:250, 150:350])


def main(name: str) -> None:
    """Write tests/golden/<name>/."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    for tier in TIERS:
        data = vqcodec.encode(photo(), tier=tier, model=name, device="cpu")
        (folder / f"tier{tier}.vqc").write_bytes(data)
        picture = vqcodec.decode(data, model=name, device="cpu")
        Image.fromarray(picture).save(folder / f"tier{tier}.png", optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The tiers' frequency tables in a pack's weights.

Read without torch and without the rest of the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from vqcodec.entropy.frequencies import check_table
from vqcodec.errors import PackError


def read_frequencies(weights: Path, tier: int, codebook_size: int) -> NDArray[np.uint16]:
    """Read one table.

    Args:
        weights: the pack's safetensors file.
        tier: its id.
        codebook_size: K, as the manifest says.

    Returns:
        (K,) table that sums to 2**16, every entry at least 1.

    Raises:
        PackError: no safetensors file, no such table, or one that breaks the rules.
    """
    key = f"tier.{tier}.frequencies"
    try:
        with safe_open(weights, framework="numpy") as file:
            table = np.asarray(file.get_tensor(key))
        if table.shape != (codebook_size,):
            raise ValueError(f"shape {table.shape}, expected ({codebook_size},)")
        check_table(table)
    except (OSError, SafetensorError, ValueError) as error:
        raise PackError(
            f"{weights}: {key}: {error}; get the pack again", path=weights, field=key
        ) from error
    return table

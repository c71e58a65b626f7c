"""Average the weights of runs that began alike: what two processors learned apart, in one model.

Runs of the same recipe from the same start, with different seeds, end in the same basin; their mean
is better than each (Wortsman et al. 2022, "Model soups", arXiv 2203.05482). It is how this project
uses a second core or machine without any of them waiting for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vqcodec.errors import InputError
from vqcodec.training import checkpoint


def average(runs: Sequence[Path | str], out: Path) -> None:
    """Write the mean of several `ema.safetensors`.

    Args:
        runs: runs (or their `ema.safetensors`) that share their network and start, at least two.
        out: file to write.

    Raises:
        InputError: fewer than two, a file that cannot be read, or files of different networks.
    """
    if len(runs) < 2:
        raise InputError("averaging takes two runs or more.")
    starts = [checkpoint.load_start(checkpoint.find_start(run)) for run in runs]
    first = starts[0]
    for run, start in zip(runs[1:], starts[1:], strict=True):
        alike = (start.kind, dict(start.config)) == (first.kind, dict(first.config))
        if not alike or start.codebooks.keys() != first.codebooks.keys():
            raise InputError(f"{run}: holds another network or other tiers than {runs[0]}.")
    model = first.tokenizer()
    with torch.no_grad():
        states = [start.tokenizer().state_dict() for start in starts]
        mean = {key: torch.stack([s[key] for s in states]).mean(0) for key in states[0]}
    model.load_state_dict(mean)
    checkpoint.save_ema(model, out, averaged=len(runs))

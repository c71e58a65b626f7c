"""Rate control: the largest tier whose whole file is not larger than a target.

Comes before any network: tiers go in, and a function that makes a tier's file. Making one runs the
encoder, so no tier is made twice, and those that are known to fit are not made to find that out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vqcodec.errors import TargetError


def largest_within(
    target: int,
    tiers: Sequence[int],
    make: Callable[[int], bytes],
    at_most: Callable[[int], float],
) -> bytes:
    """Make the file of the largest tier that fits.

    Args:
        target: bytes that the file may have.
        tiers: to choose from, ascending; files should grow with the tier.
        make: turns a tier into its whole file; where it cannot, its TargetError counts as a file
            that is too large.
        at_most: bytes that a tier's file has at most, as far as is known without making it.

    Returns:
        A file of at most `target` bytes; that of the next tier up was larger.

    Raises:
        TargetError: even the smallest tier's file is larger.
    """
    files: dict[int, bytes] = {}
    failures: dict[int, TargetError] = {}
    # tiers[low] fits and tiers[high] does not. Table coding saves little over the bound of fixed
    # coding, so the answer lies close above: steps that double, then halves.
    low, high, step = sum(at_most(tier) <= target for tier in tiers) - 1, len(tiers), 1
    while high - low > 1:
        at = min(low + step, (low + high) // 2)
        try:
            files[at] = make(tiers[at])
        except TargetError as error:
            failures[at] = error
        if at in files and len(files[at]) <= target:
            low = at
        else:
            high = at
        step *= 2
    if low < 0:
        if 0 in failures:
            raise failures[0]
        raise TargetError(
            f"tier {tiers[0]} takes {len(files[0]):,} bytes, more than the target of {target:,}. "
            "Scale the image down or allow more.",
            expected=target,
            found=len(files[0]),
        )
    return files[low] if low in files else make(tiers[low])

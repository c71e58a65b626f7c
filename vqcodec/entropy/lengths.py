"""Does the length of a range-coded payload fit what came out of it?

For payloads whose end was found by trying (FORMAT.md section 4A); a wrong one decodes, too, to
noise.
"""

from __future__ import annotations

from typing import Final

from vqcodec.errors import FormatError

_BITS_BELOW: Final = 16
_BITS_ABOVE: Final = 24
_SHARE_ABOVE: Final = 0.01
_BITS_PER_INDEX: Final = 1 / 128


def check_length(payload: bytes, n: int, ideal_bits: float) -> None:
    """Refuse a payload that no encoder writes for these indices.

    Args:
        payload: as it was decoded.
        n: indices that came out.
        ideal_bits: the sum of their code lengths.

    Raises:
        FormatError: it is more than 2 bytes shorter than the ideal, or longer by more than 3 bytes,
            1 % and 1/128 bit per index.
    """
    # An encoder writes the shortest string in an interval of 2**-ideal, narrowed by rounding. Such
    # a string exists with at most one bit above the ideal, plus up to a byte for whole bytes; one
    # that is k bits shorter exists with a chance of 2**-k only, so that 2 bytes refuse one right
    # payload in 65,536. Rounding narrows by at most a 2**-8 share per index (the range has at
    # least 2**32 units, of which cells take whole multiples of 2**24), and FORMAT.md 7.1 keeps
    # that of tables below 1 %.
    excess = 8 * len(payload) - ideal_bits
    most = _BITS_ABOVE + _SHARE_ABOVE * ideal_bits + _BITS_PER_INDEX * n
    if not -_BITS_BELOW <= excess <= most:
        raise FormatError(
            f"a payload of {len(payload)} bytes for {n} indices that take {ideal_bits / 8:.0f}: "
            "its end was taken for another"
        )

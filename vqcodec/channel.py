"""A channel to test with: packets that get lost, alone or in bursts, and bits that flip.

In come the bytes of an intact `.vqc` file, out go those that the channel lets through. Everything
follows from the seed and is the same on every machine: it takes nothing but `random.Random(seed)`'s
`random()`, which Python promises to keep, comparisons and the four operations on floats.

Source: Gilbert 1960 and Elliott 1963 for the channel of two states.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC

IID: Final = "iid"
GILBERT_ELLIOTT: Final = "gilbert-elliott"
MODELS: Final = (IID, GILBERT_ELLIOTT)
"""How losses come: each packet on its own, or in bursts."""

DEFAULT_BURST: Final = 3.0
"""Mean length of a burst in packets."""

_GOLDEN = 0.6180339887498949
_LOSSES = 2**64
"""Added to a seed, so that losses do not follow from the numbers that flips came from."""

_MOST_BITS_SKIPPED = 4096


@dataclass(frozen=True)
class Passage:
    """A file after the channel, and what happened to it.

    Attributes:
        data: magic and packets that are left, bits flipped.
        n_packets: packets that went in.
        lost: places of the lost ones in the file, 0 to n_packets - 1.
        n_flips: bits flipped in what is left, the magic included.
    """

    data: bytes
    n_packets: int
    lost: frozenset[int]
    n_flips: int


def split(data: bytes) -> list[bytes]:
    """Return the packets of an intact file in file order, bytes as they stand.

    Raises:
        FormatError: not a file, or not an intact one (subclasses say why).
    """
    parsed = container.parse(data)
    parsed.payloads()  # refuses what is damaged, missing or there twice
    return [data[p.offset : p.offset + p.size_bytes] for p in parsed.packets]


def sending_order(n_packets: int) -> list[int]:
    """Return the order in which packets are sent, so that a burst leaves scattered holes.

    Packets of neighbouring number carry neighbouring columns of the picture. Sent in file order, a
    burst of losses would take out a broad strip; so the next packet is always about a golden
    section of the file further, round and round, and stays clear of those just sent.

    Args:
        n_packets: of the file, 0 or more.

    Returns:
        Places 0 to n_packets - 1, each once: multiples modulo n_packets of the step that has no
        common divisor with it and is nearest to 0.618 n_packets. Up to three packets have no
        better order than their own.
    """
    if n_packets <= 3:
        return list(range(n_packets))
    steps = (step for step in range(2, n_packets) if math.gcd(step, n_packets) == 1)
    step = min(steps, key=lambda step: abs(step - _GOLDEN * n_packets))
    return [place * step % n_packets for place in range(n_packets)]


def check(loss: float, model: str = IID, burst: float = DEFAULT_BURST) -> None:
    """Refuse, with a ValueError that says what to give, a channel that cannot be.

    Args:
        loss: share of packets lost in the long run, 0 to 1.
        model: one of `MODELS`.
        burst: mean length of a burst in packets; model "gilbert-elliott" alone looks at it.
    """
    if model not in MODELS:
        raise ValueError(f"'{model}' is no model of losses; give {' or '.join(MODELS)}")
    if not 0 <= loss <= 1:
        raise ValueError(f"a loss of {loss:g} is no share; give 0 to 1")
    if model == IID:
        return
    if not 1 <= burst < math.inf:
        raise ValueError(f"a burst of {burst:g} packets is no mean length; give 1 or more")
    if loss == 1:
        raise ValueError(f"bursts that lose everything have no mean length; give the model {IID}")
    if loss > burst * (1 - loss) * (1 + 1e-9):  # 0.8 with bursts of 4 may be, rounded or not
        least = math.ceil(100 * loss / (1 - loss) - 1e-6) / 100
        raise ValueError(
            f"bursts of {burst:g} packets cannot lose a share of {loss:g}, for at least one packet "
            f"lies between two; give a burst of {least:g} or more, or the model {IID}"
        )


def lost(
    n_packets: int,
    loss: float,
    model: str = IID,
    burst: float = DEFAULT_BURST,
    seed: int = 0,
) -> set[int]:
    """Draw the packets that get lost.

    The losses meet the packets in `sending_order`. With "iid" each is lost on its own. With
    "gilbert-elliott" the channel is good or bad for whole packets: bad loses all, good none; after
    each packet good turns bad with probability loss / (burst * (1 - loss)) and bad turns good with
    1 / burst. It begins bad with probability loss, so that every packet is lost as often as any.

    Args:
        n_packets: of the file.
        loss: share of packets lost in the long run, 0 to 1.
        model: one of `MODELS`.
        burst: mean length of a burst in packets.
        seed: 0 or more.

    Returns:
        Places in the file, 0 to n_packets - 1.

    Raises:
        ValueError: a channel that cannot be, see `check`, or a seed below 0.
    """
    check(loss, model, burst)
    draw = _generator(seed, _LOSSES).random
    order = sending_order(n_packets)
    if model == IID:
        return {place for place in order if draw() < loss}
    to_bad, to_good = loss / (burst * (1 - loss)), 1 / burst
    places = set()
    is_bad = draw() < loss
    for place in order:
        if is_bad:
            places.add(place)
        is_bad = draw() >= to_good if is_bad else draw() < to_bad
    return places


def flip_bits(data: bytes, rate: float, seed: int = 0) -> tuple[bytes, int]:
    """Flip each bit on its own with the same probability.

    Args:
        data: any bytes.
        rate: probability of each bit, 0 to 1.
        seed: 0 or more.

    Returns:
        The bytes, and how many of their bits were flipped.

    Raises:
        ValueError: a rate that is no probability, or a seed below 0.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a bit error rate of {rate:g} is no probability; give 0 to 1")
    flipped = bytearray(data)
    n_flips = 0
    for bit in _hits(8 * len(data), rate, _generator(seed)):
        flipped[bit // 8] ^= 128 >> bit % 8
        n_flips += 1
    return bytes(flipped), n_flips


def passage(
    data: bytes,
    *,
    loss: float = 0.0,
    model: str = IID,
    burst: float = DEFAULT_BURST,
    bit_errors: float = 0.0,
    seed: int = 0,
) -> Passage:
    """Send a file through the channel: lose packets, then flip bits of what is left.

    Args:
        data: an intact file.
        loss: share of packets lost in the long run, 0 to 1.
        model: one of `MODELS`.
        burst: mean length of a burst in packets.
        bit_errors: probability of each bit, the magic's included, to be flipped.
        seed: 0 or more. The packets lost are the same at every bit error rate.

    Returns:
        What is left and what happened; the magic alone where every packet was lost.

    Raises:
        FormatError: not an intact file (subclasses say why).
        ValueError: a channel that cannot be, or a seed below 0.
    """
    packets = split(data)
    gone = lost(len(packets), loss, model, burst, seed)
    left = b"".join(packet for place, packet in enumerate(packets) if place not in gone)
    flipped, n_flips = flip_bits(MAGIC + left, bit_errors, seed)
    return Passage(flipped, len(packets), frozenset(gone), n_flips)


def impair(
    data: bytes,
    *,
    loss: float = 0.0,
    model: str = IID,
    burst: float = DEFAULT_BURST,
    bit_errors: float = 0.0,
    seed: int = 0,
) -> bytes:
    """Return what the channel leaves of a file; arguments and errors are `passage`'s."""
    return passage(data, loss=loss, model=model, burst=burst, bit_errors=bit_errors, seed=seed).data


def _generator(seed: int, offset: int = 0) -> random.Random:
    """Return the generator of a seed; Python's own would take -1 for 1."""
    if seed < 0:
        raise ValueError(f"seed {seed} is below 0; give 0 or more")
    return random.Random(seed + offset)


def _hits(size: int, rate: float, generator: random.Random) -> Iterator[int]:
    """Yield, ascending, the places below `size` that an event of this rate hits.

    One draw gives the whole gap to the next hit: it is longer than g with probability
    (1 - rate) ** (g + 1). The powers come from multiplications, as a logarithm may end in another
    digit on another machine; a gap beyond the table is drawn on, since gaps have no memory.
    """
    if rate == 0:
        return
    negative_powers = _negative_powers(rate)
    place = -1
    while True:
        gap = bisect_left(negative_powers, -generator.random())
        place += gap + (gap < len(negative_powers))
        if place >= size:
            return
        if gap < len(negative_powers):
            yield place


def _negative_powers(rate: float) -> list[float]:
    """Return -(1 - rate) ** 1, 2, ...: ascending, for bisection."""
    powers, power = [], 1.0
    for _ in range(_MOST_BITS_SKIPPED):
        power *= 1 - rate
        powers.append(-power)
    return powers

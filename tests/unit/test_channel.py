"""The channel: the same everywhere for a seed, as lossy and as bursty as asked, scattered."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.synthetic import vqc
from vqcodec import channel
from vqcodec.bitstream.layout import MAGIC, PACKET_LAYOUTS
from vqcodec.errors import ChecksumError, NotVqcError, TruncatedError, VqcError

BURSTS = channel.GILBERT_ELLIOTT


@pytest.mark.parametrize(
    ("seed", "alone", "bursts"),
    [
        (0, {5, 14, 15}, {7, 14}),
        (1, {0, 12}, set(range(19)) - {6}),
        (2, {6, 9, 11, 12, 13, 16}, {4, 10, 11, 12, 16, 17}),
    ],
)
def test_a_seed_gives_these_losses_on_every_machine(
    seed: int, alone: set[int], bursts: set[int]
) -> None:
    assert channel.lost(20, 0.2, seed=seed) == alone
    assert channel.lost(20, 0.2, BURSTS, 3, seed) == bursts


def test_a_seed_gives_these_flips_on_every_machine() -> None:
    flipped, n_flips = channel.flip_bits(bytes(1000), 1e-3, seed=7)
    places = [bit for bit in range(8000) if flipped[bit // 8] << bit % 8 & 128]
    assert places == [1126, 3017, 3447, 6071, 6695, 7701]
    assert n_flips == 6


@pytest.mark.parametrize("n_packets", [20, 7])
@pytest.mark.parametrize("loss", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("model", channel.MODELS)
def test_losses_are_as_many_as_asked_for(model: str, loss: float, n_packets: int) -> None:
    n_seeds, burst = 3000, 3.0
    sets = [channel.lost(n_packets, loss, model, burst, seed) for seed in range(n_seeds)]
    share = sum(map(len, sets)) / n_packets / n_seeds
    # In bursts a file is worth fewer packets drawn alone; the bound is five sigma for whole bursts.
    sigma = (loss * (1 - loss) / (n_seeds * n_packets)) ** 0.5
    assert abs(share - loss) < 5 * sigma * (1 if model == channel.IID else (2 * burst) ** 0.5)
    for place in (0, n_packets - 1):  # no place is favoured, the first sent neither
        here = sum(place in lost for lost in sets) / n_seeds
        assert abs(here - loss) < 5 * (loss * (1 - loss) / n_seeds) ** 0.5


@pytest.mark.parametrize("burst", [1.0, 3.0, 8.0])
def test_bursts_are_as_long_as_asked_for(burst: float) -> None:
    n_packets = 50_000
    lost = channel.lost(n_packets, 0.2, BURSTS, burst, seed=1)
    sent = [place in lost for place in channel.sending_order(n_packets)]
    n_bursts = sum(is_lost and not before for before, is_lost in pairwise([False, *sent]))
    mean = len(lost) / n_bursts
    # The length of a burst is geometric: its variance is burst * (burst - 1).
    assert abs(mean - burst) <= 5 * (burst * (burst - 1) / n_bursts) ** 0.5


def test_flips_are_as_many_as_asked_for() -> None:
    n_bits = 8 * 2**18
    for rate in (1e-4, 0.01, 0.5):
        flipped, n_flips = channel.flip_bits(bytes(n_bits // 8), rate, seed=3)
        assert n_flips == int.from_bytes(flipped, "big").bit_count()
        assert abs(n_flips - rate * n_bits) < 5 * (rate * n_bits) ** 0.5


def test_the_ends_of_the_scale_are_exact() -> None:
    assert channel.lost(20, 0) == set()
    assert channel.lost(20, 0, BURSTS) == set()
    assert channel.lost(20, 1) == set(range(20))
    assert channel.lost(0, 0.5) == set()
    assert channel.flip_bits(b"\x0f\xa5", 0) == (b"\x0f\xa5", 0)
    assert channel.flip_bits(b"\x0f\xa5", 1) == (b"\xf0\x5a", 16)
    assert channel.flip_bits(b"", 0.5) == (b"", 0)


@pytest.mark.parametrize("n_packets", range(257))
def test_the_order_of_sending_has_every_packet_once(n_packets: int) -> None:
    order = channel.sending_order(n_packets)
    assert sorted(order) == list(range(n_packets))
    if n_packets <= 3:
        assert order == list(range(n_packets))


@pytest.mark.parametrize("n_packets", [count for count, _ in PACKET_LAYOUTS if count >= 10])
def test_packets_sent_together_lie_apart(n_packets: int) -> None:
    order = channel.sending_order(n_packets)
    assert min(abs(after - before) for before, after in pairwise(order)) >= n_packets // 4
    for start in range(n_packets - 2):
        burst = sorted(order[start : start + 3])
        assert min(after - before for before, after in pairwise(burst)) > 1


@pytest.mark.parametrize(
    ("channel_asked", "remedy"),
    [
        ((0.8, BURSTS, 3), "give a burst of 4 or more, or the model iid"),
        ((1.0, BURSTS, 3), "give the model iid"),
        ((0.2, BURSTS, 0.5), "give 1 or more"),
        ((0.2, BURSTS, float("inf")), "give 1 or more"),
        ((-0.1,), "give 0 to 1"),
        ((float("nan"),), "give 0 to 1"),
        ((0.2, "rain"), "give iid or gilbert-elliott"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(channel_asked: tuple, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        channel.check(*channel_asked)
    with pytest.raises(ValueError, match=remedy):
        channel.lost(20, *channel_asked)


def test_the_least_burst_that_is_named_is_taken() -> None:
    channel.check(0.8, BURSTS, 4)
    # Half of all, one by one: every other packet sent.
    order = channel.sending_order(20)
    assert channel.lost(20, 0.5, BURSTS, 1) in (set(order[::2]), set(order[1::2]))


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="give 0 or more"):
        channel.lost(20, 0.2, seed=-1)
    with pytest.raises(ValueError, match="no probability"):
        channel.flip_bits(b"", 1.5)


def test_the_packets_left_are_as_they_were() -> None:
    whole = vqc(20)
    packets = channel.split(whole)
    assert MAGIC + b"".join(packets) == whole
    found = channel.passage(whole, loss=0.2, seed=0)
    assert found.lost == {5, 14, 15}
    assert (found.n_packets, found.n_flips) == (20, 0)
    left = [packet for place, packet in enumerate(packets) if place not in found.lost]
    assert found.data == MAGIC + b"".join(left)
    assert channel.impair(whole, loss=0.2, seed=0) == found.data
    assert channel.impair(whole, loss=1) == MAGIC
    assert channel.impair(whole) == whole


def test_bit_errors_change_no_loss_and_spare_nothing() -> None:
    whole = vqc(20)
    found = channel.passage(whole, loss=0.2, bit_errors=0.5, seed=0)
    left = channel.impair(whole, loss=0.2, seed=0)
    changed = int.from_bytes(found.data, "big") ^ int.from_bytes(left, "big")
    assert found.lost == {5, 14, 15}
    assert found.n_flips == changed.bit_count()
    assert len(found.data) == len(left)
    assert any(channel.impair(whole, bit_errors=0.1, seed=s)[:4] != MAGIC for s in range(9))


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda whole: whole[:-1], ChecksumError),
        (lambda whole: channel.impair(whole, loss=0.2), TruncatedError),
        (lambda whole: b"no file", NotVqcError),
    ],
)
def test_only_intact_files_go_in(spoil, error: type[VqcError]) -> None:
    with pytest.raises(error):
        channel.impair(spoil(vqc(20)))

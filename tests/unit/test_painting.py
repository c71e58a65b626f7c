"""Gaps are filled as the restorer's name says, and a warning tells of what was lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vqcodec
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header
from vqcodec.errors import DamageWarning, ModelMismatchError
from vqcodec.fec import protect
from vqcodec.indices.concealment import copy_neighbours
from vqcodec.nets.load import load
from vqcodec.nets.restoring import load_restorer
from vqcodec.packs import store
from vqcodec.painting import RESTORERS, Painting, paint
from vqcodec.payload import encode_index_map

TIER, SHAPE = 4, (5, 7)


def gappy() -> np.ndarray:
    random = np.random.default_rng(4)
    indices = random.integers(0, 64, SHAPE, np.int32)
    indices[random.random(SHAPE) < 0.4] = -1
    return indices


def painted(indices: np.ndarray, pack: Path, restorer: str | None) -> Painting:
    rest = {"device": "cpu", "threads": None, "progress": None}
    return paint(indices, store.load(pack), TIER, restorer=restorer, **rest)


def test_none_puts_the_most_frequent_index_everywhere(tiny_pack: Path) -> None:
    pack = store.load(tiny_pack)
    wanted = np.where(gappy() < 0, pack.frequencies(TIER).argmax(), gappy())
    found = painted(gappy(), tiny_pack, "none")
    assert np.array_equal(found.indices, wanted)
    assert np.array_equal(found.pixels, load(pack, device="cpu").to_pixels(wanted, TIER))
    assert (found.restorer, found.entropy_bits) == ("none", None)


def test_mean_puts_the_word_nearest_to_the_mean_everywhere(tiny_pack: Path) -> None:
    pack = store.load(tiny_pack)
    words = load(pack, device="cpu").codewords(TIER).astype(np.float64)
    mean = np.average(words, axis=0, weights=pack.frequencies(TIER))
    nearest = np.linalg.norm(words - mean, axis=1).argmin()
    found = painted(gappy(), tiny_pack, "mean")
    assert np.array_equal(found.indices, np.where(gappy() < 0, nearest, gappy()))


def test_neighbour_copies_and_is_what_a_pack_without_a_restorer_does(tiny_pack: Path) -> None:
    for asked in ("neighbour", None):
        found = painted(gappy(), tiny_pack, asked)
        assert np.array_equal(found.indices, copy_neighbours(gappy()))
        assert found.restorer == "neighbour"


def test_the_network_is_what_a_pack_that_has_one_does(tiny_restorer_pack: Path) -> None:
    pack = store.load(tiny_restorer_pack)
    restored = load_restorer(pack, device="cpu").restore(gappy(), TIER)
    pixels = load(pack, device="cpu").from_latents(restored.latents, TIER)
    for asked in ("transformer", None):
        found = painted(gappy(), tiny_restorer_pack, asked)
        assert np.array_equal(found.indices, restored.indices)
        assert np.array_equal(found.pixels, pixels)
        assert (found.restorer, found.entropy_bits) == ("transformer", restored.entropy_bits)
    assert painted(gappy(), tiny_restorer_pack, "neighbour").restorer == "neighbour"


def test_a_network_that_is_not_there_is_not_replaced_unasked(tiny_pack: Path) -> None:
    with pytest.raises(ModelMismatchError, match="has no restorer; take --restorer neighbour"):
        painted(gappy(), tiny_pack, "transformer")


@pytest.mark.parametrize("restorer", [*RESTORERS, None])
def test_a_map_without_gaps_is_painted_as_it_is(tiny_pack: Path, restorer: str | None) -> None:
    whole = np.abs(gappy())
    found = painted(whole, tiny_pack, restorer)
    assert np.array_equal(found.indices, whole)
    assert (found.restorer, found.entropy_bits) == (None, None)


def lossy(pack: Path, *lost: int) -> bytes:
    """A file of 4 data packets and 2 of parity, some lost."""
    found = store.load(pack)
    header = Header(TIER, "fixed", 4, found.weights_id, 100, 75)
    indices = np.abs(gappy())
    payloads = encode_index_map(indices, header, found.frequencies(TIER))
    data = container.write(header, payloads, protect(payloads, 2))
    kept = [packet for packet in container.parse(data).packets if packet.index not in lost]
    return MAGIC + b"".join(data[p.offset : p.offset + p.size_bytes] for p in kept)


def test_nothing_is_said_of_a_whole_file(tiny_pack: Path) -> None:
    data = lossy(tiny_pack)
    assert vqcodec.decode(data, model=tiny_pack, device="cpu").shape == (75, 100, 3)
    decoded = vqcodec.decode_with_losses(data, model=tiny_pack, device="cpu")
    assert decoded.losses.is_whole
    assert not decoded.erased.any()


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ((0,), "1 of 4 packets lost, 1 of them rebuilt from parity"),
        ((0, 1, 2), r"3 of 4 packets lost, 80\.0% of the picture painted by guess"),
        ((5,), "damaged, and nothing of the picture is lost"),
    ],
)
def test_a_warning_tells_of_losses(tiny_pack: Path, lost: tuple[int, ...], told: str) -> None:
    with pytest.warns(DamageWarning, match=f"^{told}$") as caught:
        pixels = vqcodec.decode(lossy(tiny_pack, *lost), model=tiny_pack, device="cpu")
    assert caught[0].filename == __file__, "it points at the caller"
    decoded = vqcodec.decode_with_losses(lossy(tiny_pack, *lost), model=tiny_pack, device="cpu")
    assert np.array_equal(decoded.pixels, pixels)
    assert np.array_equal(decoded.indices[~decoded.erased], np.abs(gappy())[~decoded.erased])
    assert int(decoded.erased.sum()) == decoded.losses.n_erased


def test_a_restorer_that_does_not_exist_is_the_callers_mistake(tiny_pack: Path) -> None:
    with pytest.raises(ValueError, match="'magic' is not one of transformer, neighbour"):
        vqcodec.decode(lossy(tiny_pack), model=tiny_pack, restorer="magic")

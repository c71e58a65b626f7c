"""Damaged files are restored with a warning or refused, and `verify` tells them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

import vqcodec
from tests.fuzz.test_mutations import mutate
from tests.unit.pillow.made import PICTURE, V1, bytes_of, stream, without
from vqcodec import errors
from vqcodec.bitstream import container
from vqcodec.errors import DamageWarning


def test_lost_packets_are_restored_with_a_warning() -> None:
    data = without(bytes_of("packets-20"), 3, 7)
    with Image.open(stream(data)) as image:
        assert image.info["vqcodec"]["is_whole"] is False
        with pytest.warns(DamageWarning, match=r"^2 of 20 packets lost, .*guess$") as caught:
            image.load()
        assert [warning.filename for warning in caught] == [__file__]
        found = image.info["vqcodec"]
        decoded = vqcodec.decode_with_losses(data)
        assert np.array_equal(np.asarray(image), decoded.pixels)
    assert found["losses"]["missing"] == (3, 7)
    assert found["erased_share"] == pytest.approx(decoded.erased.mean())
    assert 0 < found["erased_share"] < 0.2
    assert (found["is_whole"], found["restorer"]) == (False, decoded.restorer)
    assert found["restorer"] is not None


def test_what_parity_rebuilds_is_not_guessed() -> None:
    with Image.open(stream(without(bytes_of("fec-20-4"), 0, 1))) as image:
        assert (image.info["vqcodec"]["n_packets"], image.info["vqcodec"]["n_parity"]) == (20, 4)
        with pytest.warns(DamageWarning, match="2 of them rebuilt from parity"):
            image.load()
        found = image.info["vqcodec"]
        assert np.array_equal(np.asarray(image), vqcodec.decode(bytes_of("fec-20-4")))
    assert (found["losses"]["n_rebuilt"], found["losses"]["missing"]) == (2, ())
    assert (found["erased_share"], found["restorer"]) == (0, None)


def test_where_warnings_are_errors_a_damaged_image_is_never_loaded() -> None:
    with Image.open(stream(without(bytes_of("packets-20"), 3))) as image:
        for _ in range(2):
            with pytest.raises(DamageWarning):  # pytest makes errors of warnings here
                image.load()
        with pytest.warns(DamageWarning):
            assert image.getpixel((0, 0))


def test_the_size_is_that_of_an_intact_packet() -> None:
    data = bytearray(bytes_of("packets-20"))
    size = Image.open(stream(bytes(data))).size
    data[8] ^= 0x40  # width, in the first packet alone
    with Image.open(stream(bytes(data))) as image:
        assert image.size == size
        with pytest.warns(DamageWarning):
            assert np.asarray(image).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("is_set", [False, True])
def test_load_truncated_images_changes_nothing(
    is_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", is_set)
    with Image.open(stream(PICTURE.read_bytes()[:-1])) as image:
        assert image.size == (200, 300)
        with pytest.raises(OSError, match="VQC image: packet 0 at byte 4: checksum") as caught:
            image.load()
        assert isinstance(caught.value.__cause__, errors.ChecksumError)
    cut = bytes_of("packets-20")[:-1]
    with Image.open(stream(cut)) as image, pytest.warns(DamageWarning, match="1 of 20"):
        image.load()


def test_every_cut_is_no_image_or_fails_at_loading_or_is_restored() -> None:
    data = bytes_of("packets-2")
    seen = []
    for size in range(len(data)):
        try:
            with Image.open(stream(data[:size])) as image, warnings.catch_warnings():
                warnings.simplefilter("ignore", DamageWarning)
                image.load()
            assert not image.info["vqcodec"]["is_whole"]
            seen.append("restored")
        except UnidentifiedImageError:
            seen.append("unknown")
        except OSError:
            seen.append("failed")
    first = container.parse(data).packets[1].offset
    # 12 bytes tell the size, a whole packet gives a picture; between them nothing can be loaded.
    assert seen[:16] == ["unknown"] * 16
    assert set(seen[16:first]) == {"failed"}
    assert set(seen[first:]) == {"restored"}


def test_changed_bytes_let_no_foreign_exception_out() -> None:
    rng = np.random.default_rng(5)
    seeds = [bytes_of(name) for name in ("one-pixel", "packets-2", "fec-2-1", "context-one-pixel")]
    counts = dict.fromkeys(("loaded", "unknown", "failed"), 0)
    for number in range(300):
        data = mutate(seeds[number % len(seeds)], rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamageWarning)
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            try:
                with Image.open(stream(data)) as image:
                    assert np.asarray(image).shape == (image.height, image.width, 3)
                counts["loaded"] += 1
            except UnidentifiedImageError:
                counts["unknown"] += 1
            except (OSError, Image.DecompressionBombError):
                counts["failed"] += 1
    assert min(counts.values()) > 10


@pytest.mark.parametrize("name", ["tier8-picture", "packets-20", "fec-20-4", "context-picture"])
def test_intact_files_verify_without_a_pack(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, journeys: list
) -> None:
    monkeypatch.setenv("VQCODEC_MODELS", str(tmp_path))
    with Image.open(V1 / f"{name}.vqc") as image:
        opened = image.fp
        image.verify()
        assert opened.closed
        assert image.fp is None
    assert journeys == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (PICTURE.read_bytes()[:-1], "packet 0 at byte 4: checksum"),
        (without(bytes_of("packets-20"), 3), "1 of 20 packets missing"),
        (without(bytes_of("fec-20-4"), 22), "1 of 20.4 packets missing"),
        (bytes_of("packets-20") + b"x", "packet 19 at byte"),
    ],
)
def test_damaged_files_do_not_verify(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.vqc"
    path.write_bytes(data)
    with Image.open(path) as image:
        opened = image.fp
        with pytest.raises(OSError, match=told) as caught:
            image.verify()
        assert isinstance(caught.value.__cause__, errors.FormatError)
        assert opened.closed


def test_verify_comes_directly_after_open() -> None:
    with Image.open(PICTURE) as image:
        image.load()
        with pytest.raises(RuntimeError, match="directly after open"):
            image.verify()

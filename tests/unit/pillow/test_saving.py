"""Files are those of `encode`; on an error nothing is left."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vqcodec
from tests.unit.pillow.made import PICTURE, picture
from vqcodec import errors


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, {}),
        ({"tier": 3}, {"tier": 3}),
        ({"tier": None, "target_bytes": 60}, {"target_bytes": 60}),
        ({"tier": 2, "packets": 4, "fec": 0.5}, {"tier": 2, "n_packets": 4, "fec": 0.5}),
        ({"tier": 9, "mtu": 20}, {"tier": 9, "mtu": 20}),
        ({"tier": 4, "coding": "fixed"}, {"tier": 4, "coding": "fixed"}),
        ({"device": "cpu", "n_packets": 2}, {"n_packets": 2}),
        ({"tier": 5, "optimize": True, "subsampling": 0, "quality": 80}, {"tier": 5}),
    ],
)
def test_files_are_those_of_encode(options: dict, same: dict, tmp_path: Path) -> None:
    expected = vqcodec.encode(np.asarray(picture()), model="tiny", **same)
    path, target = tmp_path / "a.VQC", io.BytesIO(b"")
    picture().save(path, model="tiny", **options)
    picture().save(target, "VQC", model="tiny", **options)
    assert path.read_bytes() == target.getvalue() == expected
    with path.open("w+b") as file:
        picture().save(file, "vqc", model="tiny", **options)
        assert path.read_bytes() == expected  # it is flushed
    with Image.open(path) as image:
        assert image.size == (33, 48)
        assert np.array_equal(np.asarray(image), vqcodec.decode(expected))


def test_the_context_model_is_asked_as_encode_asks_it(tmp_path: Path) -> None:
    for rdo in (0, 0.5):
        options: dict[str, Any] = {"model": "tiny-context", "coding": "context", "rdo": rdo}
        picture().save(tmp_path / "a.vqc", **options)
        expected = vqcodec.encode(np.asarray(picture()), **options)
        assert (tmp_path / "a.vqc").read_bytes() == expected


def test_an_opened_file_is_saved_again_over_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.vqc"
    path.write_bytes(PICTURE.read_bytes())
    with Image.open(path) as image:
        pixels = np.asarray(image)
        image.save(path, tier=1, model="tiny")
        assert path.read_bytes() == vqcodec.encode(pixels, tier=1, model="tiny")
    with Image.open(path) as image:
        target = io.BytesIO()
        image.save(target, "PNG")
        assert np.array_equal(np.asarray(Image.open(target)), np.asarray(image))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tier": 0}, "tier 0 is not one of 1 to 12"),
        ({"tier": 13}, "tier 13 is not one of 1 to 12"),
        ({"tier": "8"}, "tier 8 is not one of 1 to 12"),
        ({"tier": 12}, "'tiny' has no tier 12"),
        ({"coding": "huffman"}, "coding 'huffman'"),
        ({"coding": "context"}, "no context model"),
        ({"tier": 1, "target_bytes": 1000}, "both choose the tier"),
        ({"target_bytes": 0}, "target_bytes is 0"),
        ({"target_bpp": 0.03}, "give target_bytes"),
        ({"packets": 5}, "5 packets"),
        ({"packets": 4, "n_packets": 4}, "give one of them"),
        ({"packets": 4, "mtu": 100}, "give one"),
        ({"fec": 0.2}, "parity takes 2 data packets"),
        ({"rdo": -1}, "rdo"),
    ],
)
def test_a_bad_option_is_a_valueerror_and_leaves_no_file(
    options: dict, told: str, tmp_path: Path
) -> None:
    target = io.BytesIO()
    with pytest.raises(ValueError, match=told):
        picture().save(tmp_path / "a.vqc", **{"model": "tiny", **options})
    with pytest.raises(ValueError, match=told):
        picture().save(target, "VQC", **{"model": "tiny", **options})
    assert list(tmp_path.iterdir()) == []
    assert target.getvalue() == b""


@pytest.mark.parametrize(
    ("options", "told", "cause"),
    [
        ({"model": "nowhere"}, "'nowhere' not found", errors.ModelNotFoundError),
        ({"target_bytes": 3}, "3", errors.TargetError),
        ({"mtu": 100_000, "fec": 0.5}, "fits one packet", errors.FileError),
        ({"device": "cuda:77"}, "cuda:77", errors.BackendError),
    ],
)
def test_what_cannot_be_made_is_an_oserror_and_leaves_no_file(
    options: dict, told: str, cause: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=f"^cannot write as VQC: .*{told}") as caught:
        picture().save(tmp_path / "a.vqc", **{"model": "tiny", **options})
    assert isinstance(caught.value.__cause__, cause)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [{"quality": 80}, {"lossless": True}])
def test_options_that_would_be_missed_are_warned_of(option: dict, tmp_path: Path) -> None:
    (name,) = option
    with pytest.warns(UserWarning, match=f"^{name}=.* has no meaning in a VQC file") as caught:
        picture().save(tmp_path / "a.vqc", model="tiny", **option)
    assert [warning.filename for warning in caught] == [__file__]
    picture().save(tmp_path / "b.vqc", model="tiny", tier=8, **option)  # warns no more
    assert (tmp_path / "a.vqc").read_bytes() == (tmp_path / "b.vqc").read_bytes()
    picture().save(tmp_path / "a.vqc", model="tiny", quality=None, lossless=False)


def test_animations_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        picture().save(tmp_path / "a.vqc", save_all=True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_image_is_refused(tmp_path: Path) -> None:
    for mode in ("RGB", "I;16", "LA"):
        with pytest.raises(ValueError, match="empty image"):
            Image.new(mode, (0, 5)).save(tmp_path / "a.vqc", model="tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_side_that_the_format_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot write as VQC: 65536x1 pixels") as caught:
        Image.new("L", (65536, 1)).save(tmp_path / "a.vqc", model="tiny")
    assert isinstance(caught.value.__cause__, errors.ImageError)
    assert list(tmp_path.iterdir()) == []

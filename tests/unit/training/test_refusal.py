"""Images of evaluation sets are known again, however they come; others are not refused."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vqcodec.errors import BackendError, InputError
from vqcodec.training import refusal
from vqcodec.training.refusal import Refused, load_refused, write_hashes

FLAT = 0x8000000000000000  # phash of every picture of one colour other than black


def scene(seed: int) -> Image.Image:
    """A made-up picture of soft blobs and some grain, 360 x 240."""
    random = np.random.default_rng(seed)
    blobs = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    pixels = np.asarray(blobs.resize((360, 240), Image.Resampling.BICUBIC))
    return Image.fromarray((pixels + random.normal(0, 8, pixels.shape)).clip(0, 255).astype("u1"))


def recompressed(image: Image.Image, scale: float, quality: int) -> NDArray[np.uint8]:
    size = round(image.width * scale), round(image.height * scale)
    file = io.BytesIO()
    image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An evaluation set of three pictures."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for seed in range(3):
        scene(seed).save(folder / f"scene{seed}.png")
    return folder


def test_a_resized_recompressed_and_mirrored_copy_is_refused(folder: Path) -> None:
    refused = load_refused([folder])
    for seed in range(3):
        copy = recompressed(scene(seed), 0.6, 40)
        assert refused.match(copy) == f"mine/scene{seed}"
        assert refused.match(copy[:, ::-1]) == f"mine/scene{seed}"


def test_other_pictures_are_not_refused(folder: Path) -> None:
    refused = load_refused([folder])
    assert [refused.match(np.asarray(scene(seed))) for seed in range(3, 23)] == [None] * 20
    assert Refused([]).match(np.asarray(scene(0))) is None


def test_the_limit_is_six_bits_and_the_nearest_image_is_named(folder: Path) -> None:
    write_hashes({"mine": folder}, folder / "list.tsv")
    word = int((folder / "list.tsv").read_text().splitlines()[2].split("\t")[2], 16)
    ones = [bit for bit in range(64) if word >> bit & 1]
    zeros = [bit for bit in range(64) if not word >> bit & 1]

    def at(distance: int) -> int:
        turned = ones[: distance // 2] + zeros[: distance // 2]
        return word ^ sum(1 << bit for bit in turned)

    pixels = np.asarray(scene(0))
    assert Refused([("six", at(6))]).match(pixels) == "six"
    assert Refused([("eight", at(8))]).match(pixels) is None
    assert Refused([("six", at(6)), ("two", at(2)), ("four", at(4))]).match(pixels) == "two"


def test_flat_pictures_match_nothing_and_are_told(tmp_path: Path) -> None:
    plain = {
        "black": np.zeros((64, 64), np.uint8),
        "grey": np.full((64, 64), 128, np.uint8),
        "ramp": np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1)),
        "white": np.full((64, 64), 255, np.uint8),
    }
    folder = tmp_path / "flat"
    folder.mkdir()
    for name, pixels in plain.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    scene(0).save(folder / "scene.png")
    refused = load_refused([folder])
    assert refused.unguarded == [f"flat/{name}" for name in plain]
    assert refused.match(np.asarray(scene(0))) == "flat/scene"
    by_hash = Refused([("grey", FLAT), ("black", 0)])
    assert (by_hash.names, by_hash.unguarded) == ([], ["grey", "black"])
    for pixels in plain.values():
        photo = np.repeat(pixels[..., None], 3, axis=2)
        assert refused.match(photo) is None
        assert by_hash.match(photo) is None
    (folder / "scene.png").unlink()
    with pytest.raises(InputError, match="black is too flat"):
        write_hashes({"flat": folder}, tmp_path / "list.tsv")


def test_a_folder_that_is_missing_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        load_refused([tmp_path / "none"])
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="no image"):
        load_refused([tmp_path])


def test_a_missing_imagehash_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(BackendError, match=r"vqcodec\[train\]"):
        load_refused().match(np.asarray(scene(0)))


def test_the_shipped_list_is_whole() -> None:
    lines = refusal.SHIPPED.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert [group for group, _, _ in rows] == ["kodak"] * 24 + ["clic"] * 10
    assert all(re.fullmatch("[0-9a-f]{16}", word) for _, _, word in rows)
    refused = load_refused()
    assert len(set(refused.names)) == 34
    assert refused.unguarded == []


def test_the_shipped_list_is_made_from_the_real_images(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / refusal.SHIPPED.name
    write_hashes({group: shared_data / group for group in ("kodak", "clic")}, out)
    assert out.read_text() == refusal.SHIPPED.read_text()


def test_kodak_at_half_size_is_refused(shared_data: Path) -> None:
    refused = load_refused()
    for path in sorted((shared_data / "kodak").glob("*.png")):
        with Image.open(path) as image:
            copy = recompressed(image, 0.5, 50)
        assert refused.match(copy) == f"kodak/{path.stem}"
        assert refused.match(copy[:, ::-1]) == f"kodak/{path.stem}"

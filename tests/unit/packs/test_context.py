"""Context models in packs: read, absent, and broken in every way."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vqcodec.errors import ModelMismatchError, PackError
from vqcodec.packs import store
from vqcodec.packs.context import context_tiers, read_context

PACKS = Path(__file__).parents[2] / "packs"
TENSORS = load_file(PACKS / "tiny-context" / "weights.safetensors")
BIAS = TENSORS["context.1.bias"]
OFFSETS = TENSORS["context.offsets"]
LARGE = np.iinfo(np.int32)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def test_every_tier_has_its_model() -> None:
    pack = store.load(PACKS / "tiny-context")
    for entry in pack.manifest.tiers:
        model = pack.context(entry.tier)
        assert model is not None
        assert model.size == entry.codebook_size
        frequencies, same = pack.tables(entry.tier, "context")
        assert len(frequencies) == same.size
        assert pack.tables(entry.tier, "table")[1] is None


def test_a_pack_without_a_model_says_so_once_it_is_needed() -> None:
    pack = store.load(PACKS / "tiny")
    assert pack.context(3) is None
    assert pack.tables(3, "fixed")[1] is None
    with pytest.raises(ModelMismatchError, match="'tiny' has no context model for tier 3"):
        pack.tables(3, "context")
    with pytest.raises(ModelMismatchError, match="no tier 12"):
        pack.context(12)


def test_files_of_other_modes_do_not_pay_for_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.golden.make import example
    from vqcodec.bitstream import container
    from vqcodec.bitstream.packets import Header
    from vqcodec.payload import encode_index_map
    from vqcodec.verification import verify

    pack = store.load(PACKS / "tiny-context")
    read: list[int] = []

    def counted(path: Path, tier: int, size: int) -> object:
        read.append(tier)
        return read_context(path, tier, size)

    monkeypatch.setattr(store, "read_context", counted)
    for coding, expected in (("fixed", []), ("table", []), ("context", [3])):
        header = Header(3, coding, 2, pack.weights_id, 100, 70)
        tables = pack.tables(3, coding)
        payloads = encode_index_map(example(header, "picture"), header, *tables)
        read.clear()
        assert verify(container.write(header, payloads), model=pack.path) == []
        assert read == expected


def test_weights_are_compared_before_a_model_is_read(tmp_path: Path) -> None:
    shutil.copytree(PACKS / "tiny-context", tmp_path / "torn")
    path = tmp_path / "torn" / "weights.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(PackError, match="sha256"):
        store.load(tmp_path / "torn").context(1)


def test_a_tier_without_its_bias_has_no_model(weights: Path) -> None:
    save_file({k: v for k, v in TENSORS.items() if k != "context.2.bias"}, weights)
    assert read_context(weights, 2, 16) is None
    assert read_context(weights, 1, 8) is not None


@pytest.mark.parametrize(
    "key",
    [
        *[f"context.{key}" for key in ("offsets", "special", "shifts", "neck.weight", "neck.bias")],
        *[f"context.{key}" for key in ("first.weight", "block.0.weight", "block.0.bias")],
        *["context.1.bias", "context.1.learned", "context.1.logit_bias", "tier.1.codewords"],
    ],
)
def test_each_tensor_must_be_there_in_its_type_and_shape(weights: Path, key: str) -> None:
    good = TENSORS[key]
    broken = {
        **({} if key == "context.1.bias" else {"missing": None}),
        "float": good.astype(np.float64 if key == "tier.1.codewords" else np.float32),
        "wide": good.astype(np.int64),
        "flat": good.ravel() if good.ndim > 1 else good[None],
        "long": np.concatenate([good, good]),
        "short": good[:-1],
        "empty": good[:0],
        "thin": good[:, :-1] if good.ndim > 1 else good[::2],
        "nothing": good[..., :0],
    }
    if key == "context.offsets":  # M is free, as far as the first layer agrees
        assert read_context(save(weights, {key: good}), 1, 8) is not None
    for name, tensor in broken.items():
        with pytest.raises(PackError, match=r"context model of tier 1: .*; get the pack again"):
            assert read_context(save(weights, {key: tensor}), 1, 8), name


def test_codewords_may_be_exact(weights: Path) -> None:
    exact = TENSORS["tier.1.codewords"].astype(np.float32)
    models = [
        read_context(save(weights, {"tier.1.codewords": words}), 1, 8)
        for words in (TENSORS["tier.1.codewords"], exact)
    ]
    neighbours = np.arange(10)[:, None].repeat(len(OFFSETS), 1).clip(0, 9)
    first, second = (model.rows(neighbours) for model in models if model is not None)
    assert np.array_equal(first, second)


def save(path: Path, changes: dict[str, np.ndarray | None]) -> Path:
    tensors = {**TENSORS, **changes}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items() if v is not None}, path)
    return path


def offset(dy: int, dx: int) -> np.ndarray:
    return np.concatenate([OFFSETS[:-1], np.array([[dy, dx]], np.int8)])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        *[
            ({"context.offsets": offset(*pair)}, r"offset \(.*\) is not visited before")
            for pair in [(0, 0), (0, 1), (1, -5), (-1, 2), (-2, 4), (-13, 0), (0, -13), (-7, 13)]
        ],
        ({"context.offsets": offset(-128, -128)}, "is not visited before"),
        ({"context.1.bias": BIAS + 2**24}, r"first: sums reach \d+, must stay below 2\*\*24"),
        ({"context.1.bias": np.full_like(BIAS, LARGE.min)}, "first: sums reach"),
        ({"context.neck.bias": np.full(8, LARGE.max, np.int32)}, "neck: sums reach"),
        ({"context.block.0.bias": np.full(16, -(2**24), np.int32)}, "block 0: sums reach"),
        ({"context.1.logit_bias": np.full(8, 2**24 - 1, np.int32)}, "logits: sums reach"),
        ({"context.shifts": np.array([0, 8, 8], np.uint8)}, "first: shift 0"),
        ({"context.shifts": np.array([6, 8, 0], np.uint8)}, "neck: shift 0"),
        ({"context.shifts": np.array([6, 25, 8], np.uint8)}, "block 0: sums reach"),
        ({"context.shifts": np.array([6, 8, 255], np.uint8)}, "neck: sums reach"),
        ({"context.shifts": np.array([6, 8], np.uint8)}, "context.shifts"),
        ({"context.shifts": np.array([6, 8, 8, 8], np.uint8)}, "context.shifts"),
        ({"context.block.1.weight": np.zeros((16, 16), np.int8)}, "a weight or a bias too many"),
        (
            {
                "context.block.2.weight": np.zeros((16, 16), np.int8),
                "context.block.2.bias": np.zeros(16, np.int32),
                "context.shifts": np.array([6, 8, 8, 8], np.uint8),
            },
            r"context.block.1.weight: missing",
        ),
        ({"context.neck.weight": np.zeros((16, 3), np.int8)}, "3 columns for codewords of 4"),
        ({"tier.1.codewords": np.full((8, 4), np.nan, np.float16)}, "not finite"),
        ({"tier.1.codewords": np.full((8, 4), -np.inf, np.float16)}, "not finite"),
        ({"tier.1.codewords": np.zeros((8, 5), np.float16)}, "context.first.weight"),
    ],
)
def test_models_that_break_the_rules_are_refused(weights: Path, changes, match) -> None:
    with pytest.raises(PackError, match=match):
        read_context(save(weights, changes), 1, 8)


def test_the_bounds_are_sharp(weights: Path) -> None:
    weight = TENSORS["context.neck.weight"].astype(np.int64)
    room = 2**24 - 1 - np.abs(weight).sum(axis=0) * 255 - 2**7
    for extra, is_good in ((0, True), (1, False)):
        path = save(weights, {"context.neck.bias": (-room - extra).astype(np.int32)})
        if is_good:
            assert read_context(path, 1, 8) is not None
        else:
            with pytest.raises(PackError, match="neck: sums reach 16777216,"):
                read_context(path, 1, 8)


def test_types_that_numpy_does_not_know_are_refused(weights: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    tensors = {key: torch.from_numpy(value.copy()) for key, value in TENSORS.items()}
    tensors["context.neck.weight"] = tensors["context.neck.weight"].to(torch.bfloat16)
    save_torch(tensors, weights)
    with pytest.raises(PackError):
        read_context(weights, 1, 8)


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, (2**40).to_bytes(8, "little")])
def test_what_is_no_safetensors_file_is_refused(weights: Path, data: bytes) -> None:
    weights.write_bytes(data)
    with pytest.raises(PackError):
        read_context(weights, 1, 8)


def test_a_pack_says_which_tiers_have_a_model(
    tiny_pack: Path, tiny_context_pack: Path, tmp_path: Path
) -> None:
    assert store.load(tiny_pack).context_tiers() == []
    assert store.load(tiny_context_pack).context_tiers() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(PackError, match="get the pack again"):
        context_tiers(tmp_path / "weights.safetensors")

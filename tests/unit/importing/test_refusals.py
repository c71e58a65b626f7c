"""What cannot become a pack is said in one line, and nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vqcodec.errors import BackendError, CheckpointError, InputError, OutputError
from vqcodec.importing import pack as packing
from vqcodec.importing.pack import Order, import_checkpoint

from .conftest import GumbelVQ, VQModel, ddconfig, make

State = dict[str, Tensor]


def without_codebook(state: State) -> State:
    return {key: value for key, value in state.items() if not key.startswith("quantize.")}


def of_a_transformer(state: State) -> State:
    names = ("tok_emb", "pos_emb", "ln_f", "head", "blocks")
    return {f"transformer.{name}.weight": torch.zeros(4) for name in names}


def with_more(state: State) -> State:
    return state | {"decoder.strange.weight": torch.zeros(2)}


def with_another_part(state: State) -> State:
    return state | {"regressor.weight": torch.zeros(2)}


def without_a_block(state: State) -> State:
    return {key: value for key, value in state.items() if "decoder.up.2.block.1." not in key}


def of_another_shape(state: State) -> State:
    return state | {"decoder.conv_in.bias": torch.zeros(7)}


def of_few_words(state: State) -> State:
    return state | {"quantize.embedding.weight": state["quantize.embedding.weight"][:7]}


def of_other_words(state: State) -> State:
    return state | {"quantize.embedding.weight": torch.zeros(64, 9)}


def of_grey_pictures(state: State) -> State:
    return state | {"encoder.conv_in.weight": torch.zeros(32, 1, 3, 3)}


def of_integers(state: State) -> State:
    return state | {"decoder.conv_in.bias": state["decoder.conv_in.bias"].to(torch.int64)}


def of_nothing_finite(state: State) -> State:
    return state | {"quantize.embedding.weight": state["quantize.embedding.weight"] / 0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_codebook, "no codebook .* Take a VQ model"),
        (of_a_transformer, "not understood: transformer.* and 2 more"),
        (with_more, "not understood: decoder.strange.weight"),
        (with_another_part, "not understood: regressor.weight"),
        (without_a_block, "missing: decoder.up.2.block.1.* and 5 more"),
        (of_another_shape, r"decoder.conv_in.bias has shape \(7,\); wanted \(128,\)"),
        (of_few_words, "a codebook of 7 words; the smallest tier has 8"),
        (of_other_words, "words of 9 numbers; the network gives 16"),
        (of_grey_pictures, "takes 1 channels"),
        (of_integers, "decoder.conv_in.bias is int64, not floats"),
        (of_nothing_finite, "quantize.embedding.weight holds values that are not finite"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_networks(
    change: Callable[[State], State], words: str, vqgan: VQModel, tmp_path: Path
) -> None:
    torch.save({"state_dict": change(dict(vqgan.state_dict()))}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=words) as caught:
        import_checkpoint(Order(tmp_path / "a.ckpt", "mine", tmp_path / "models"))
    assert caught.value.message.startswith(str(tmp_path / "a.ckpt"))
    assert "\n" not in caught.value.message
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(("ch_mult", "stride"), [((1, 1, 2), 4), ((1, 1, 1, 1, 2, 2), 32)])
def test_other_strides(ch_mult: tuple[int, ...], stride: int, tmp_path: Path) -> None:
    dd = ddconfig() | {"ch_mult": ch_mult, "attn_resolutions": ()}
    torch.save(VQModel(dd, 64, 16).state_dict(), tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=f"{stride} x {stride} pixels per index"):
        import_checkpoint(Order(tmp_path / "a.ckpt", "mine", tmp_path / "models"))


def test_a_width_that_taming_cannot_group(tmp_path: Path) -> None:
    state = make(GumbelVQ, 8, 8).state_dict()
    state = {
        k: v.repeat(2, *[1] * (v.dim() - 1))[:33] if k.endswith("conv_in.weight") else v
        for k, v in state.items()
    }
    torch.save(state, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="no multiples of 33"):
        import_checkpoint(Order(tmp_path / "a.ckpt", "mine", tmp_path / "models"))


def test_too_few_photos(photos: Path, tmp_path: Path) -> None:
    torch.save(make(stride=16, n_embed=1024).state_dict(), tmp_path / "a.ckpt")
    order = Order(tmp_path / "a.ckpt", "mine", tmp_path / "models", data=[photos])
    with pytest.raises(InputError, match="4 photos with 240 positions are too few") as caught:
        import_checkpoint(order)
    assert "512 words" in caught.value.message
    with pytest.raises(InputError, match="not found"):
        import_checkpoint(Order(tmp_path / "a.ckpt", "mine", tmp_path, data=[tmp_path / "no"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="0 photos"):
        import_checkpoint(Order(tmp_path / "a.ckpt", "mine", tmp_path, data=[tmp_path / "empty"]))
    assert not (tmp_path / "models").exists()


def test_evaluation_images_are_left_out(
    checkpoint: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vqcodec.training.refusal import load_refused

    said: list[str] = []
    monkeypatch.setattr(packing, "load_refused", lambda: load_refused([photos]))
    with pytest.raises(InputError, match="0 photos"):
        import_checkpoint(Order(checkpoint, "mine", tmp_path, data=[photos]), said.append)
    assert any("left out 4 that are evaluation images" in line for line in said)


@pytest.mark.parametrize(
    ("module", "word"),
    [("taming.modules.diffusionmodules.model", "taming-transformers"), ("sklearn", "scikit-learn")],
)
def test_a_missing_package_is_told_before_work(
    module: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module == "sklearn":
        monkeypatch.setattr(packing, "find_spec", lambda name: None)
    else:
        monkeypatch.setitem(sys.modules, "taming", None)
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BackendError, match=f"{word}.*pip install"):
        import_checkpoint(Order(tmp_path / "none.ckpt", "mine", tmp_path))


def test_a_full_disk_leaves_nothing_half_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def fail(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match="No space left"):
        import_checkpoint(Order(checkpoint, "mine", tmp_path / "models"))
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]

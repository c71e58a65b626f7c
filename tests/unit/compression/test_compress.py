"""A pack to a smaller one: calibration, the files of both, what is refused."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from vqcodec.bitstream import container
from vqcodec.codec import decode_with_losses, encode
from vqcodec.compression.calibration import code_step
from vqcodec.compression.compress import compress
from vqcodec.compression.steps import halves
from vqcodec.compression.words import full_rank
from vqcodec.errors import InputError, OutputExistsError, PackError
from vqcodec.nets.autoencoder import Autoencoder, build
from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.packs.manifest import MANIFEST_NAME
from vqcodec.training.checkpoint import load_start

needs_taming = pytest.mark.skipif(
    importlib.util.find_spec("taming") is None,
    reason="taming-transformers is not installed (extra [taming])",
)


@pytest.fixture(scope="module")
def small(wider: store.Pack, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> store.Pack:
    """Three bits a weight, calibrated."""
    out = tmp_path_factory.mktemp("small") / "wider-small"
    compress(wider, out, bits=3, data=[photos], n_steps=20, device="cpu")
    return store.load(out)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """A picture of 96 x 80 pixels."""
    return np.random.default_rng(3).integers(0, 256, (80, 96, 3), np.uint8)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("light", {"n_tiers": 3}),
        pytest.param("taming", {"ch": 32, "ch_mult": [1, 1, 1, 1, 2]}, marks=needs_taming),
        pytest.param(
            "taming", {"ch": 32, "ch_mult": [1, 1, 2], "gumbel_words": 8}, marks=needs_taming
        ),
    ],
)
def test_the_steps_of_a_network_are_the_network(kind: str, config: dict[str, object]) -> None:
    torch.manual_seed(0)
    net: Autoencoder = build(kind, config).eval().requires_grad_(False)
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    tiers = torch.tensor([1, 3])
    latent = image = torch.randn(2, 3, 64, 32)
    encoder, decoder = halves(net)
    for step in encoder:
        latent = step.all(latent, tiers)
    wanted = net.encode(image, tiers)
    if kind == "light":  # it scales to the sphere afterwards
        latent = torch.nn.functional.normalize(latent, dim=1) * net.latent_dim**0.5
    if net.config.get("gumbel_words"):  # and this one takes the nearest of its words
        wanted = net.quant_conv(net.encoder(image))
    torch.testing.assert_close(latent, wanted)
    picture = latent
    for step in decoder:
        picture = step.all(picture, tiers)
    torch.testing.assert_close(picture, net.decode(latent, tiers))
    state = net.state_dict()
    keys = [
        ".".join(filter(None, (s.name, k, "weight")))
        for s in (*encoder, *decoder)
        for k in s.kernels()
    ]
    assert keys
    assert set(keys) <= set(state)


def test_calibration_lowers_the_error_and_what_is_stored_is_what_ran(wider: store.Pack) -> None:
    original, nets = (load(wider, device="cpu").net for _ in range(2))
    truth = halves(original)[1]
    steps = halves(nets)[1]
    at = next(n for n, step in enumerate(steps) if step.kernels())
    step = steps[at]
    torch.manual_seed(5)
    x, tiers = torch.randn(8, 48, 8, 8), torch.ones(8, dtype=torch.int64)
    wanted = truth[at].all(x, tiers)
    state = {key: value.clone() for key, value in step.module.state_dict().items()}

    def error(n_steps: int) -> float:
        step.module.load_state_dict(state)
        with torch.no_grad():
            coded = code_step(step, x, wanted, tiers, full_rank(2), n_steps=n_steps)
        for name, layer in step.kernels().items():
            assert torch.equal(layer.weight, coded[name].rows().view_as(layer.weight))
        return float((step.all(x, tiers) - wanted).square().mean())

    assert error(60) < 0.8 * error(0)


def test_files_of_both_packs_are_the_same(
    small: store.Pack, wider: store.Pack, pixels: NDArray[np.uint8]
) -> None:
    assert small.weights_id == wider.weights_id
    assert small.digest != wider.digest
    small.check()
    data = encode(pixels, tier=9, model=small.path)
    ours, theirs = (decode_with_losses(data, model=pack.path) for pack in (small, wider))
    assert np.array_equal(ours.indices, theirs.indices)
    assert container.parse(data).header.weights_id == wider.weights_id
    before, after = load_file(wider.weights_path), load_file(small.weights_path)
    tables = [key for key in before if not key.startswith("net.")]
    assert tables == [key for key in after if not key.startswith("net.")]
    assert all(torch.equal(before[key], after[key]) for key in tables)


def test_kernels_take_three_bits_and_pictures_are_nearer_than_by_rounding(
    small: store.Pack, wider: store.Pack, tmp_path: Path
) -> None:
    compress(wider, tmp_path / "int3", bits=3, method="int", device="cpu")
    coarse = store.load(tmp_path / "int3")
    stored = load_file(small.weights_path)
    kernels = load(wider, device="cpu").net.state_dict()
    coded = [key.removesuffix(".codes") for key in stored if key.endswith(".codes")]
    assert coded
    for key in coded:
        assert 8 * stored[f"{key}.codes"].numel() == pytest.approx(
            3 * kernels[key.removeprefix("net.")].numel(), rel=0.02
        )
    indices = np.random.default_rng(7).integers(0, 2048, (12, 14))
    truth = load(wider, device="cpu").to_pixels(indices, 9).astype(int)
    errors = [
        np.square(load(pack, device="cpu").to_pixels(indices, 9) - truth).mean()
        for pack in (small, coarse)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_the_same_seed_gives_the_same_pack(
    small: store.Pack, wider: store.Pack, photos: Path, tmp_path: Path
) -> None:
    compress(wider, tmp_path / "again", bits=3, data=[photos], n_steps=20, device="cpu")
    assert store.load(tmp_path / "again").digest == small.digest


def test_a_compressed_pack_is_a_start_for_training(small: store.Pack, tmp_path: Path) -> None:
    named = {"kind": "light", "config": json.dumps(dict(small.manifest.net_config))}
    save_file(load_file(small.weights_path), tmp_path / "named.safetensors", named)
    start, nets = load_start(tmp_path / "named.safetensors"), load(small, device="cpu")
    state = nets.net.state_dict()
    assert all(torch.equal(start.state[key], state[key]) for key in state)


def test_the_uncompressed_pack_decodes_where_both_are_there(
    small: store.Pack, wider: store.Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small.path, tmp_path / "a-small")
    monkeypatch.setenv("VQCODEC_MODELS", str(tmp_path))
    assert store.find_by_id(small.weights_id).manifest.compressed is not None
    shutil.copytree(wider.path, tmp_path / "wider")
    assert store.find_by_id(small.weights_id).manifest.compressed is None


@needs_taming
def test_a_taming_pack_is_compressed_at_eight_bits_and_at_three(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.compression.compress.N_CROPS", 2)
    monkeypatch.setattr("vqcodec.compression.compress.WIDE_CROP_PX", 32)
    pack = store.load(Path(__file__).parents[2] / "packs" / "tiny-f8")
    compress(pack, tmp_path / "int8", bits=8, method="int", device="cpu")
    eight = load_file(tmp_path / "int8" / "weights.safetensors")
    assert any(key.endswith(".q") for key in eight)
    compress(pack, tmp_path / "three", bits=3, data=[photos], n_steps=1, device="cpu")
    three = store.load(tmp_path / "three")
    pixels = np.random.default_rng(3).integers(0, 256, (40, 48, 3), np.uint8)
    data = encode(pixels, tier=3, model=three.path, coding="fixed")
    assert decode_with_losses(data, model=pack.path).pixels.shape == pixels.shape


def test_what_cannot_be_compressed_is_named_and_nothing_is_written(
    small: store.Pack, wider: store.Pack, photos: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(next(photos.iterdir()), few)
    out = tmp_path / "out"
    with pytest.raises(InputError, match="compressed already"):
        compress(small, out, bits=3, data=[photos])
    with pytest.raises(InputError, match="--data"):
        compress(wider, out, bits=3)
    with pytest.raises(InputError, match=r"1 photos .* needs 16"):
        compress(wider, out, bits=3, data=[few])
    with pytest.raises(ValueError, match="8 bits"):
        compress(wider, out, bits=8)
    broken = tmp_path / "broken"
    shutil.copytree(wider.path, broken)
    with (broken / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    with pytest.raises(PackError, match="sha256"):
        compress(store.load(broken), out, bits=3, data=[photos])
    assert not out.exists()
    with pytest.raises(OutputExistsError):
        compress(wider, small.path, bits=3, data=[photos])


@pytest.mark.parametrize("schema", [1, 3])
def test_schema_and_table_go_together(small: store.Pack, tmp_path: Path, schema: int) -> None:
    folder = tmp_path / "pack"
    shutil.copytree(small.path, folder)
    text = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(text.replace("schema = 2", f"schema = {schema}"))
    with pytest.raises(PackError, match="go together" if schema == 1 else "update vqcodec"):
        store.load(folder)

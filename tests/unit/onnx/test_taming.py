"""taming's network without torch: imported VQGANs of every layout give what torch gives."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from torch import Tensor

import vqcodec
from tests.golden.make_f8_picture import FILE, PICTURE
from tests.packs import make_tiny
from vqcodec.errors import BackendError, PackError
from vqcodec.nets.autoencoder import build
from vqcodec.nets.codes import to_codes
from vqcodec.nets.kernels import to_stored
from vqcodec.nets.load import Nets
from vqcodec.nets.load import load as load_torch
from vqcodec.onnx import graph, whole
from vqcodec.onnx.export import files_of
from vqcodec.onnx.graph import FLOAT, Graph
from vqcodec.onnx.load import OnnxNets, load
from vqcodec.onnx.session import Session
from vqcodec.packs import store

needs_taming = pytest.mark.skipif(
    importlib.util.find_spec("taming") is None,
    reason="taming-transformers is not installed (extra [taming])",
)
TINY_F8 = Path(__file__).resolve().parents[2] / "packs" / "tiny-f8"
SMALL = {"ch": 32, "num_res_blocks": 1, "z_channels": 8, "embed_dim": 4}
CONFIGS = {
    # Attention at two sizes; 1x1 convolutions by tier, stored as int8 where they are kernels.
    "tiers": {
        **SMALL,
        "ch_mult": [1, 2, 1, 2],
        "attn_resolutions": [8, 16],
        "resolution": 64,
        "n_tiers": 3,
    },
    "gumbel": {
        **SMALL,
        "ch_mult": [1, 1, 1, 3],
        "attn_resolutions": [32],
        "resolution": 256,
        "gumbel_words": 40,
    },
    # A side that does not halve evenly: going down it is 100, 50, 25, 12, 6, up 6, 12, 24, ...
    "f16": {
        **SMALL,
        "ch_mult": [1, 1, 2, 1, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [24, 25],
        "resolution": 100,
    },
}


def stored_of(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as the three kinds of packs have them: int8, float32, codes."""
    if name == "tiers":
        return to_stored(state, smallest=1000)
    if name == "gumbel":
        return {key: value.detach().contiguous() for key, value in state.items()}
    random = torch.Generator().manual_seed(4)
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        if value.dim() < 4 or value.numel() < 9000:
            out |= to_stored({key: value})
            continue
        per_row = -(-value[0].numel() // 5)
        parts = to_codes(
            torch.randint(16, (len(value) * per_row,), generator=random),
            torch.randn(16, 5, generator=random) * float(value.std()),
            torch.rand(len(value), generator=random) + 0.5,
            None,
        )
        out |= {f"{key}.{part}": tensor for part, tensor in parts.items()}
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], store.Pack]:
    """Make a pack of one of the configs, with random weights."""
    ready: dict[str, store.Pack] = {}

    def make(name: str) -> store.Pack:
        if name not in ready:
            ready[name] = _pack(name, tmp_path_factory.mktemp("packs") / name)
        return ready[name]

    return make


def _pack(name: str, folder: Path) -> store.Pack:
    config = CONFIGS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(31)
        net = build("taming", config)
        state = {
            key: value + 0.2 * torch.randn_like(value) * (value.dim() != 4)
            for key, value in net.state_dict().items()
        }
        if name == "gumbel":  # else one word is the likeliest everywhere
            state["gumbel.proj.weight"] *= 50
            state["gumbel.proj.bias"].zero_()
            state["quant_conv.bias"].zero_()
        tensors = {f"net.{key}": value for key, value in stored_of(name, state).items()}
        for tier in (1, 2, 3):
            size = 2 ** (tier + 2)
            tensors[f"tier.{tier}.codewords"] = torch.randn(size, 4).half()
            tensors[f"tier.{tier}.frequencies"] = make_tiny.frequencies(size)
    data = save(tensors)
    text = make_tiny.MANIFEST.format(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        config="\n".join(f"{key} = {value}" for key, value in config.items()),
        tiers="\n".join(
            f"[[tiers]]\ntier = {n}\ncodebook_size = {2 ** (n + 2)}" for n in (1, 2, 3)
        ),
        seed=31,
    )
    for old, new in (
        ('"light"', '"taming"'),
        ("default_tier = 8", "default_tier = 2"),
        ("stride = 16", f"stride = {net.stride}"),
    ):
        text = text.replace(old, new)
    folder.mkdir()
    (folder / "manifest.toml").write_text(text, encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(data)
    return store.load(folder)


@pytest.fixture(scope="module")
def both(made: Callable[[str], store.Pack]) -> Callable[[str], tuple[Nets, OnnxNets]]:
    """A pack in torch and in onnxruntime, each loaded once."""
    ready: dict[str, tuple[Nets, OnnxNets]] = {}

    def load_both(name: str) -> tuple[Nets, OnnxNets]:
        if name not in ready:
            pack = store.load(TINY_F8) if name == "tiny-f8" else made(name)
            ready[name] = (load_torch(pack, device="cpu"), load(pack, threads=1))
        return ready[name]

    return load_both


def noise(h: int, w: int, stride: int) -> NDArray[np.uint8]:
    small = np.random.default_rng(h * 100 + w).integers(0, 256, (2 * h, 2 * w, 3), np.uint8)
    return small.repeat(stride // 2, 0).repeat(stride // 2, 1)


def exact_latents(nets: Nets, pixels: NDArray[np.uint8], tier: int) -> NDArray[np.float64]:
    """The latents in float64: in float32, norms of torch round silent channels by up to 1e-3."""
    net = copy.deepcopy(nets.net).double()
    image = torch.from_numpy(pixels.astype(np.float32)).div(127.5).sub(1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        return net.encode(image.double(), tier)[0].permute(1, 2, 0).numpy()


def agree(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> bool:
    """Within 2 levels on 99.9 % of the values."""
    return float((np.abs(found.astype(int) - wanted) <= 2).mean()) >= 0.999


@needs_taming
@pytest.mark.parametrize("name", ["tiny-f8", *CONFIGS])
def test_the_two_backends_agree_at_any_size(
    both: Callable[[str], tuple[Nets, OnnxNets]], name: str
) -> None:
    in_torch, in_onnx = both(name)
    for (h, w), tier in (((2, 3), 1), ((7, 5), 3), ((1, 8), 2)):
        pixels = noise(h, w, in_onnx.stride)
        latents = in_onnx.to_latents(pixels, tier)
        assert np.allclose(latents, exact_latents(in_torch, pixels, tier), atol=1e-5)
        indices = in_torch.to_indices(pixels, tier)
        assert np.array_equal(in_onnx.to_indices(pixels, tier), indices)
        painted = in_torch.to_pixels(indices, tier)
        assert agree(in_onnx.to_pixels(indices, tier), painted)
        assert agree(in_onnx.from_latents(latents, tier), in_torch.from_latents(latents, tier))
        assert painted.std() > 5, "a picture of one colour would prove nothing"


@needs_taming
def test_tiers_have_convolutions_of_their_own(
    both: Callable[[str], tuple[Nets, OnnxNets]],
) -> None:
    _, in_onnx = both("tiers")
    pixels = noise(4, 4, 8)
    latents = [in_onnx.to_latents(pixels, tier) for tier in (1, 2, 3)]
    assert not np.allclose(latents[0], latents[1], atol=1e-2)
    pictures = [in_onnx.from_latents(latents[0], tier) for tier in (1, 3)]
    assert not agree(*pictures)


@needs_taming
def test_a_gumbelvq_gives_words(both: Callable[[str], tuple[Nets, OnnxNets]]) -> None:
    in_torch, in_onnx = both("gumbel")
    words = in_torch.net.gumbel.embed.weight.numpy()  # type: ignore[union-attr]
    latents = in_onnx.to_latents(noise(5, 6, 8), 1).reshape(-1, 4)
    assert (latents[:, None] == words).all(2).any(1).all()
    assert len(np.unique(latents, axis=0)) > 3


@needs_taming
@pytest.mark.parametrize("name", CONFIGS)
def test_exported_graphs_agree_too(
    made: Callable[[str], store.Pack],
    both: Callable[[str], tuple[Nets, OnnxNets]],
    name: str,
) -> None:
    files = files_of(made(name))
    assert files == files_of(made(name))
    told = json.loads(files["model.json"])
    in_torch, _ = both(name)
    assert (told["stride"], told["latent_dim"]) == (in_torch.stride, 4)
    assert (told["whole_only"], told["whole"]) == (True, 768 * 512 // in_torch.stride**2)
    assert (told["encoder_halo"], told["decoder_halo"]) == (0, 0)
    decoder, tier = Session(files["decoder.onnx"], 1), np.array([2], np.int32)
    for file in ("encoder.onnx", "decoder.onnx"):
        onnx.checker.check_model(files[file], full_check=True)
    for h, w in ((3, 5), (6, 4)):
        latent = np.random.default_rng(h).standard_normal((1, 4, h, w)).astype(np.float32)
        (image,) = decoder.run(latent=latent, tier=tier)
        found = np.rint((np.clip(image[0], -1, 1) + 1) * 127.5).transpose(1, 2, 0)
        wanted = in_torch.from_latents(np.ascontiguousarray(latent[0].transpose(1, 2, 0)), 2)
        assert agree(found.astype(np.uint8), wanted)


@needs_taming
@pytest.mark.parametrize(("writer", "reader"), [("torch", "onnx"), ("onnx", "torch")])
def test_each_backend_reads_the_others_files(
    made: Callable[[str], store.Pack], writer: str, reader: str
) -> None:
    pixels = noise(6, 9, 8)[:45, :67]
    options = {"model": made("tiers").path, "tier": 3, "threads": 1}
    data = vqcodec.encode(pixels, **options, backend=writer)
    assert data == vqcodec.encode(pixels, **options, backend=reader)
    pictures = [
        vqcodec.decode(data, model=options["model"], threads=1, backend=name)
        for name in (writer, reader)
    ]
    assert pictures[0].shape == (45, 67, 3)
    assert agree(*pictures)


def test_the_golden_picture_of_stride_8() -> None:
    found = vqcodec.decode(FILE.read_bytes(), model=TINY_F8, backend="onnx", threads=1)
    with Image.open(PICTURE) as image:
        assert agree(found, np.asarray(image))


COMMANDS = """
import sys
for name in ("torch", "taming"):
    sys.modules[name] = None  # its import fails, and find_spec says that it is not there
from click.testing import CliRunner
from vqcodec.cli.main import cli
for line in {lines!r}:
    done = CliRunner().invoke(cli, line)
    print(done.output)
    assert done.exit_code == 0, (line, done.exception)
"""


def test_the_commands_need_neither_torch_nor_taming(tmp_path: Path, root: Path) -> None:
    pack, out = str(TINY_F8), str(tmp_path / "out")
    picture, file = str(tmp_path / "picture.png"), str(tmp_path / "picture.vqc")
    Image.fromarray(noise(4, 6, 8)).save(picture)
    lines = [
        ["models", "export", pack, "--onnx", out],
        ["encode", picture, "-m", pack, "-o", file],
        ["decode", file, "-m", pack, "--backend", "onnx", "-o", str(tmp_path / "decoded.png")],
        ["decode", file, "-m", pack, "-o", str(tmp_path / "again.png")],
    ]
    program = [sys.executable, "-c", COMMANDS.format(lines=lines)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "decoded.png").read_bytes()
    told = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    assert (told["name"], told["stride"], told["whole_only"]) == ("tiny-f8", 8, True)


def test_what_is_larger_than_the_whole_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = load(store.load(TINY_F8), threads=1)
    assert nets.whole == 128 * 128
    large = np.zeros((129, 128), np.int32)
    for refused in (
        lambda: nets.to_pixels(large, 1),
        lambda: nets.from_latents(np.zeros((129, 128, 4), np.float32), 1),
        lambda: nets.to_indices(np.zeros((1032, 1024, 3), np.uint8), 1),
        lambda: nets.to_latents(np.zeros((1032, 1024, 3), np.uint8), 1),
    ):
        with pytest.raises(BackendError, match=r"1024 x 1032 pixels .* 1,048,576 .*torch"):
            refused()
    monkeypatch.setattr(nets, "whole", 24)  # any shape of so many positions
    assert nets.to_pixels(np.zeros((2, 12), np.int32), 1).shape == (16, 96, 3)


def test_attention_is_the_same_in_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    maps = {key: random.standard_normal((1, 6, 7, 5)).astype(np.float32) for key in "qkv"}
    q, k, v = (torch.from_numpy(maps[key]).flatten(2)[0].t()[None, None] for key in "qkv")
    wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v)[0, 0].t().reshape(6, 7, 5)
    for pairs in (1 << 24, 600, 35, 1):  # 1, 3, 35 and, of a place each, 1,225 runs
        monkeypatch.setattr(whole, "_PAIRS", pairs)
        made = Graph("attention", dict.fromkeys("qkv", ((1, 6, "h", "w"), FLOAT)))
        y = whole.attend(made, "q", "k", "v", 6)
        model = made.to_bytes({"y": (y, (1, 6, "h", "w"), FLOAT)})
        onnx.checker.check_model(model, full_check=True)
        (found,) = Session(model, 1).run(**maps)
        assert np.allclose(found[0], wanted.numpy(), atol=1e-5)


def test_norms_are_exact_on_large_maps() -> None:
    made = Graph("norm", {"x": ((1, 32, "h", "w"), FLOAT)})
    weight, bias = (made.constant(np.full(32, value, np.float32)) for value in (1, 0))
    y = whole.normalise(made, "x", weight, bias, 32)
    session = Session(made.to_bytes({"y": (y, (1, 32, "h", "w"), FLOAT)}), 1)
    x = np.random.default_rng(0).standard_normal((1, 32, 500, 600), np.float32) + np.float32(5)
    (found,) = session.run(x=x)
    exact = x[0].astype(np.float64)
    exact -= exact.mean((1, 2), keepdims=True)
    exact /= np.sqrt(np.square(exact).mean((1, 2), keepdims=True) + 1e-6)
    assert np.abs(found[0] - exact).max() < 5e-6


def test_more_weights_than_a_file_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_BYTES", 100_000)
    with pytest.raises(BackendError, match=r"encoder has more than 100,000 bytes .*torch"):
        files_of(store.load(TINY_F8))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("ch = 32", "ch = 48", "multiple of 32"),
        ("num_res_blocks = 1", "num_res_blocks = 2", r"block\.1\.norm1\.weight is missing"),
        ("z_channels = 4", "z_channels = 8", "shape"),
        ("embed_dim = 4", "embed_dim = 4\ngumbel_words = 8", r"gumbel\.proj\.weight is missing"),
        ("embed_dim = 4", "embed_dim = 4\nn_tiers = 3", "tier 6, and the net tells 3 apart"),
        ("ch_mult = [1, 1, 1, 1]", "ch_mult = [1, 1, 1]", "stride 8, the net has 4"),
        ("attn_resolutions = []", "attn_resolutions = [8]", r"attn\.0\.norm\.weight is missing"),
        ("resolution = 64", "resolution = 8", "resolution is 8"),
    ],
)
def test_packs_that_do_not_fit_are_refused(tmp_path: Path, old: str, new: str, word: str) -> None:
    folder = tmp_path / "pack"
    folder.mkdir()
    text = (TINY_F8 / "manifest.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "manifest.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes((TINY_F8 / "weights.safetensors").read_bytes())
    with pytest.raises(PackError, match=word):
        files_of(store.load(folder))


def test_tensors_of_no_half_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    (tmp_path / "manifest.toml").write_bytes((TINY_F8 / "manifest.toml").read_bytes())
    tensors = load_file(TINY_F8 / "weights.safetensors")
    save_file(
        tensors | {"net.loss.weight": np.ones(1, np.float16)}, tmp_path / "weights.safetensors"
    )
    with pytest.raises(PackError, match=r"net\.loss\.weight is unknown"):
        load(store.load(tmp_path))

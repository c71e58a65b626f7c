"""Single layers as graphs: Winograd's convolution, kernels as packs store them, nearest words."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from vqcodec.errors import PackError
from vqcodec.nets.codes import from_codes, to_codes
from vqcodec.nets.kernels import to_stored
from vqcodec.nets.quantizer import nearest as nearest_torch
from vqcodec.onnx import winograd
from vqcodec.onnx.graph import FLOAT, Graph
from vqcodec.onnx.nearest import nearest
from vqcodec.onnx.session import Session
from vqcodec.onnx.stored import Stored


def kernel_of(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (4, 4), (5, 3), (8, 13)])
def test_winograd_is_the_convolution_at_any_size(size: tuple[int, int]) -> None:
    shape = (3, 5, 3, 3)
    stored = to_stored({"w": kernel_of(shape)}, smallest=1)
    bias = np.arange(3, dtype=np.float16)
    graph = Graph("layer", {"x": ((1, 5, "h", "w"), FLOAT)})
    tensors = {key: value.numpy() for key, value in stored.items()} | {"b": bias}
    taken = Stored(tensors, "")
    weight = taken.take(graph, "w", shape)
    y = winograd.convolve(graph, "x", weight, taken.take(graph, "b", (3,)), shape)
    taken.check_all_taken()
    model = graph.to_bytes({"y": (y, (1, 3, "h", "w"), FLOAT)})
    onnx.checker.check_model(model, full_check=True)
    x = np.random.default_rng(0).standard_normal((1, 5, *size)).astype(np.float32)
    (found,) = Session(model, 1).run(x=x)
    kernel = stored["w.q"].float() * stored["w.scale"].float().view(-1, 1, 1, 1)
    wanted = F.conv2d(torch.from_numpy(x), kernel, torch.from_numpy(bias).float(), padding=1)
    assert found.shape == (1, 3, *size)
    assert np.allclose(found, wanted.numpy(), atol=2e-4)


def test_winograd_is_for_wide_layers_at_stride_1() -> None:
    assert winograd.fits((64, 64, 3, 3), 1)
    for shape, stride in (((64, 64, 3, 3), 2), ((64, 48, 3, 3), 1), ((64, 64, 1, 1), 1)):
        assert not winograd.fits(shape, stride)


def taken_alone(tensors: dict[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """What a graph makes of one stored kernel."""
    graph = Graph("kernel", {})
    value = Stored(tensors, "net.").take(graph, "w", shape)
    (found,) = Session(graph.to_bytes({"y": (value, shape, FLOAT)}), 1).run()
    return found


@pytest.mark.parametrize(("n_words", "dim", "rank"), [(8, 4, 4), (256, 8, 3), (4096, 5, 5)])
def test_kernels_in_codes_are_what_torch_makes_of_them(n_words: int, dim: int, rank: int) -> None:
    shape = (6, 7, 3, 3)  # rows of 63 weights: the last sub-vector is cut
    random = torch.Generator().manual_seed(n_words)
    parts = to_codes(
        torch.randint(n_words, (6 * -(-63 // dim),), generator=random),
        torch.randn(n_words, rank, generator=random),
        torch.rand(6, generator=random),
        None if rank == dim else torch.randn(dim, rank, generator=random),
    )
    wanted = from_codes("w", parts, shape).numpy()
    found = taken_alone({f"net.w.{key}": part.numpy() for key, part in parts.items()}, shape)
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6)


def coded(**changed: np.ndarray | None) -> dict[str, np.ndarray]:
    parts = {
        "codes": np.zeros(3, np.uint8),
        "words": np.ones((256, 6), np.float16),
        "scale": np.ones(3, np.float16),
    }
    return {f"net.w.{k}": v for k, v in (parts | changed).items() if v is not None}


HALF = np.float16


@pytest.mark.parametrize(
    ("tensors", "word"),
    [
        ({}, "net.w is missing"),
        ({"net.w": np.ones((3, 6), np.int8)}, "net.w is int8"),
        ({"net.w": np.ones((3, 5), HALF)}, r"shape \(3, 5\)"),
        ({"net.w": np.full((3, 6), np.nan, HALF)}, "not finite"),
        ({"net.w.q": np.ones((3, 6), np.int8)}, "net.w.scale is missing"),
        ({"net.w.q": np.ones((3, 6), HALF), "net.w.scale": np.ones(3, HALF)}, "must be int8"),
        ({"net.w.q": np.ones((3, 6), np.int8), "net.w.scale": np.ones(2, HALF)}, "scale has shape"),
        (coded(words=None), "words must hold floats"),
        (coded(words=np.ones((255, 6), HALF)), "255 rows"),
        (coded(words=np.ones((256, 70), HALF)), "does not fit"),
        (coded(restore=np.ones((6, 5), HALF)), "does not fit"),
        (coded(codes=np.zeros(4, np.uint8)), "wanted 3 bytes"),
        (coded(codes=np.zeros(3, np.int8)), "wanted 3 bytes"),
        (coded(scale=None), "scale is missing"),
    ],
)
def test_broken_tensors_are_refused(tensors: dict[str, np.ndarray], word: str) -> None:
    with pytest.raises(PackError, match=word):
        Stored(tensors).take(Graph("kernel", {}), "w", (3, 6))


def test_what_the_network_does_not_know_is_refused() -> None:
    with pytest.raises(PackError, match=r"net\.more is unknown"):
        Stored({"net.more": np.ones(1, HALF)}).check_all_taken()


def test_absurd_sizes_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(PackError, match="more than"):
        Stored({}).take(Graph("kernel", {}), "w", (1 << 15, 1 << 15))


def test_the_nearest_word_is_torchs_and_of_equals_the_lowest() -> None:
    random = np.random.default_rng(1)
    words = random.standard_normal((70, 6)).astype(np.float32)
    words[40:60] = words[10:30]  # twice there
    latents = np.concatenate([random.standard_normal((500, 6)), words]).astype(np.float32)
    found = nearest(latents, words)
    wanted = nearest_torch(torch.from_numpy(latents), torch.from_numpy(words)).numpy()
    assert np.array_equal(found, wanted)
    assert not ((found >= 40) & (found < 60)).any()
    assert nearest(latents[:0], words).shape == (0,)

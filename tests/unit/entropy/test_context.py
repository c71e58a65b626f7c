"""The integer network is exact: by whatever library, kernel, thread count and batch it is run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import decoder
from tests.unit.entropy.models import (
    digest_of_rows,
    large_tensors,
    model_of,
    neighbours_for,
    random_model,
    random_tensors,
)
from vqcodec.entropy.context import exp_table, quantized

ROOT = Path(__file__).parents[3]


def network_of(tensors: dict[str, np.ndarray]) -> decoder.Network:
    own = ("bias", "learned", "logit_bias")
    named = {f"1.{key}" if key in own else key: value for key, value in tensors.items()}
    return decoder.Network(named, tensors["codewords"], 1)


@given(
    st.sampled_from([1, 2, 8, 100, 1024]),
    st.integers(0, 2**32),
    st.sampled_from([3, 20, 90]),
    st.sampled_from([(1, 1, 1, 1), (6, 3, 12, 5), (9, 4, 30, 4)]),
    st.integers(0, 3),
)
@settings(max_examples=40)
def test_rows_are_those_of_the_reference(size, seed, scale, dims, n_blocks) -> None:
    tensors = random_tensors(size, seed=seed, scale=scale, dims=dims, n_blocks=n_blocks)
    model, network = model_of(tensors), network_of(tensors)
    neighbours = neighbours_for(model, 5, seed)
    for row, seen in zip(model.rows(neighbours), neighbours.tolist(), strict=True):
        left = network.left(seen)
        assert (row[1:-1] + 1).tolist() == np.diff(left).tolist()
        assert row[0] == 0
        assert row.sum() == 2**24 - (size + 2)


def test_sums_up_to_the_bound_are_exact() -> None:
    tensors = large_tensors(64)
    model, network = model_of(tensors), network_of(tensors)
    # The worst inputs of the first layer are embeddings of -128 and 127 in the weights' signs.
    signs = np.sign(tensors["first.weight"][:, 0].reshape(24, 40)).astype(int)
    tensors["special"][:] = np.where(signs[0] > 0, 127, -128)
    model, network = model_of(tensors), network_of(tensors)
    neighbours = neighbours_for(model, 200)
    neighbours[0], neighbours[1] = 64, 65
    rows = model.rows(neighbours)
    assert len(np.unique(rows, axis=0)) > 150, "the model saturates: nothing is tested"
    for row, seen in zip(rows[:40], neighbours[:40].tolist(), strict=True):
        assert (row[1:-1] + 1).tolist() == np.diff(network.left(seen)).tolist()


@pytest.mark.parametrize("size", [8, 300, 4096])
def test_one_by_one_is_as_all_at_once(size) -> None:
    for model in (random_model(size), model_of(large_tensors(size))):
        neighbours = neighbours_for(model, 70)
        whole = model.rows(neighbours)
        assert np.array_equal(np.concatenate([model.rows(row[None]) for row in neighbours]), whole)
        assert np.array_equal(model.rows(neighbours[::-1].astype(np.int32))[::-1], whole)
        assert model.rows(neighbours[:0]).shape == (0, size + 2)


PROBE = """
import ctypes, hashlib, json
from pathlib import Path
import numpy as np
from tests.unit.entropy.models import digest_of_rows

kernel = None
for path in sorted((Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*")):
    library = ctypes.CDLL(str(path))
    for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename"):
        if hasattr(library, name):
            getattr(library, name).restype = ctypes.c_char_p
            kernel = getattr(library, name)().decode()
print(json.dumps([kernel, digest_of_rows()]))
"""


@pytest.fixture(scope="module")
def digest() -> str:
    return digest_of_rows()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENBLAS_NUM_THREADS", "1"),
        ("OPENBLAS_NUM_THREADS", "2"),
        ("OPENBLAS_CORETYPE", "Prescott"),
        ("OPENBLAS_CORETYPE", "Nehalem"),
        ("OPENBLAS_CORETYPE", "Haswell"),
        ("OPENBLAS_CORETYPE", "SkylakeX"),
        ("NPY_DISABLE_CPU_FEATURES", "X86_V4 X86_V3"),
    ],
)
def test_kernels_and_threads_make_no_difference(variable, value, digest) -> None:
    if variable != "OPENBLAS_NUM_THREADS" and platform.machine() != "x86_64":
        pytest.skip(f"{variable}={value} is of x86_64, this machine is {platform.machine()}")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "OMP"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE],
        env={**environment, variable: value},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        pytest.skip(f"{variable}={value}: this machine cannot run it (signal {-done.returncode})")
    assert done.returncode == 0, done.stderr
    kernel, found = json.loads(done.stdout)
    same = {"Prescott": ("Katmai", "Prescott")}  # one set of kernels, and the first of its names
    if variable == "OPENBLAS_CORETYPE" and kernel not in same.get(value, (value,)):
        pytest.skip(f"asked for {value}, got {kernel}: not in this numpy, or not on this machine")
    assert found == digest


class TorchModel(torch.nn.Module):
    """The network once more, in torch's float32; `rows` from its logits by integers."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        super().__init__()
        words = np.concatenate([quantized(tensors["codewords"]), tensors["special"]])
        self.embedding = torch.from_numpy(words.astype(np.float32))
        self.shifts = tensors["shifts"].tolist()
        keys = np.concatenate([words[:-2], tensors["learned"]], axis=1)
        self.keys = torch.from_numpy(keys.T.astype(np.float32).copy())
        self.rest = {
            key: torch.from_numpy(value.astype(np.float32))
            for key, value in tensors.items()
            if "bias" in key or "weight" in key
        }

    def layer(self, x, weight: str, bias: str, number: int, low: int, high: int):
        shift = self.shifts[number]
        sums = torch.nn.functional.linear(x, self.rest[weight].T.contiguous(), self.rest[bias])
        return ((sums + 2 ** (shift - 1)) / 2**shift).floor().clamp(low, high)

    def forward(self, neighbours):
        x = self.embedding[neighbours].flatten(1)
        h = self.layer(x, "first.weight", "bias", 0, 0, 255)
        for n in range(len(self.shifts) - 2):
            more = self.layer(h, f"block.{n}.weight", f"block.{n}.bias", 1 + n, 0, 255)
            h = (h + more).clamp_max(255)
        u = self.layer(h, "neck.weight", "neck.bias", -1, -127, 127)
        return u @ self.keys + self.rest["logit_bias"]


def rows_of(logits: torch.Tensor) -> np.ndarray:
    z = logits.numpy().astype(np.int64)
    f = np.array(exp_table())[np.minimum(z.max(axis=1, keepdims=True) - z >> 4, 575)]
    ratio = (2**24 - z.shape[1] - 2 << 20) // f.sum(axis=1, keepdims=True)
    return f * ratio >> 20


# Switching oneDNN on and off, torch also sets a switch that warns.
@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN:UserWarning")
@pytest.mark.parametrize("way", ["eager", "without oneDNN", "aot_eager"])
@pytest.mark.parametrize("size", [8, 1024])
def test_torch_computes_the_same_integers(way, size) -> None:
    for tensors in (random_tensors(size, dims=(21, 32, 256, 64)), large_tensors(size)):
        model, twin = model_of(tensors), TorchModel(tensors)
        neighbours = neighbours_for(model, 50)
        run = torch.compile(twin, backend="aot_eager") if way == "aot_eager" else twin
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=way != "without oneDNN"):
            logits = run(torch.from_numpy(neighbours))
        assert np.array_equal(rows_of(logits), model.rows(neighbours)[:, 1:-1])


def test_codewords_are_rounded_in_steps_with_halves_to_even() -> None:
    found = quantized(np.array([[0.328125, 0.359375, -0.328125, 9, -9, 1e-7]], np.float16))
    assert found.tolist() == [[10, 12, -10, 127, -127, 0]]


def test_a_wrong_model_is_the_callers_mistake() -> None:
    tensors = random_tensors(8)
    with pytest.raises(ValueError, match="shift 0"):
        model_of({**tensors, "shifts": np.array([0, 8, 8], np.uint8)})
    with pytest.raises(ValueError, match="sums reach"):
        model_of({**tensors, "bias": tensors["bias"] + 2**24})


def test_a_result_that_is_no_number_does_not_pass_in_silence() -> None:
    # The flag of the product itself is ignored; this is what stands behind it.
    model = model_of(random_tensors(8))
    model._keys[0, 3] = np.nan
    with pytest.raises(RuntimeWarning, match="invalid value"):
        model.rows(np.zeros((2, len(model.offsets)), np.int32))

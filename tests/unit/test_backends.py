"""Which backend runs the networks, and that neither needs the other."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vqcodec
from vqcodec import backends
from vqcodec.channel import lost
from vqcodec.errors import BackendError
from vqcodec.packs import store
from vqcodec.painting import paint

HERE = {"torch", "onnx", "onnxruntime"}


@pytest.mark.parametrize(
    ("installed", "asked", "chosen"),
    [
        (HERE, "auto", "torch"),
        ({"torch"}, "auto", "torch"),
        ({"onnx", "onnxruntime"}, "auto", "onnx"),
        (HERE, "onnx", "onnx"),
        (HERE, "torch", "torch"),
    ],
)
def test_auto_takes_torch_where_it_is(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], asked: str, chosen: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in installed or None)
    assert backends.resolve(asked) == chosen


@pytest.mark.parametrize(
    ("installed", "asked", "says"),
    [
        (set(), "auto", r"neither is installed. Run .*'vqcodec\[torch\]', or .*'vqcodec\[onnx\]'"),
        ({"onnx"}, "auto", "neither is installed"),
        ({"onnx", "onnxruntime"}, "torch", r"needs torch, .* Run pip install 'vqcodec\[torch\]'"),
        ({"torch", "onnx"}, "onnx", r"needs onnxruntime, .* pip install 'vqcodec\[onnx\]'"),
    ],
)
def test_what_is_missing_is_told_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], asked: str, says: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in installed or None)
    with pytest.raises(BackendError, match=says):
        backends.resolve(asked)


def test_another_backend_is_the_callers_mistake(tiny_pack: Path) -> None:
    with pytest.raises(ValueError, match="backend 'jax' is not one of auto, torch, onnx"):
        vqcodec.encode(np.zeros((16, 16, 3), np.uint8), model=tiny_pack, backend="jax")


@pytest.mark.parametrize("restorer", [None, "neighbour", "mean", "none"])
def test_gaps_are_painted_alike(tiny_restorer_pack: Path, restorer: str | None) -> None:
    indices = np.random.default_rng(0).integers(-1, 8, (7, 9), np.int32)
    pack = store.load(tiny_restorer_pack)
    rest = {"restorer": restorer, "device": "cpu", "threads": 1, "progress": None}
    one, other = (paint(indices, pack, 3, **rest, backend=name) for name in ("torch", "onnx"))
    assert (one.backend, other.backend) == ("torch", "onnx")
    assert np.array_equal(one.indices, other.indices)
    assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 2


JOURNEY = """
import sys
for name in {absent}:
    sys.modules[name] = None  # its import fails, and find_spec says that it is not there
import numpy as np
import vqcodec
pixels = np.arange(48 * 32 * 3, dtype=np.uint8).reshape(48, 32, 3)
data = vqcodec.encode(pixels, model={model!r}, tier=3, n_packets=2, threads=1)
lost = vqcodec.impair(data, loss=0.5, seed={seed})
found = vqcodec.decode_with_losses(lost, model={model!r}, threads=1)
assert found.erased.any() and found.restorer == "transformer", found
print(found.backend, found.pixels.shape)
loaded = {{name for name, module in sys.modules.items() if module is not None}}
assert not loaded & {absent}, loaded
"""


@pytest.mark.parametrize(
    ("backend", "absent"), [("onnx", {"torch"}), ("torch", {"onnx", "onnxruntime"})]
)
def test_neither_backend_needs_the_other(
    backend: str, absent: set[str], tiny_restorer_pack: Path, root: Path
) -> None:
    seed = next(seed for seed in range(99) if len(lost(2, 0.5, seed=seed)) == 1)
    text = JOURNEY.format(absent=absent, model=str(tiny_restorer_pack), seed=seed)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{backend} (48, 32, 3)\n"


WITHOUT = """
import sys
for name in ("torch", "onnx", "onnxruntime"):
    sys.modules[name] = None
from vqcodec.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decode", "{file}", "-o", "{out}"], "neither is installed"),
        (["decode", "{file}", "-o", "{out}", "--backend", "onnx"], "needs onnx, which"),
        (["models", "export", "{pack}", "--onnx", "{out}"], "needs onnx, which"),
        (["models", "compress", "{pack}", "--bits", "8", "--method", "int", "--out", "{out}"],
         "needs torch, which"),
    ],
    ids=["auto", "onnx", "export", "compress"],
)  # fmt: skip
def test_without_either_the_command_says_what_to_install(
    arguments: list[str], says: str, tiny_pack: Path, root: Path, tmp_path: Path
) -> None:
    names = {
        "file": root / "tests" / "golden" / "v1" / "tier1-picture.vqc",
        "pack": tiny_pack,
        "out": tmp_path / "out.png",
    }
    command = [argument.format(**names) for argument in arguments]
    if command[0] == "decode":
        command += ["-m", str(tiny_pack)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *command],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()

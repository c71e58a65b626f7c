"""`import vqcodec` and the commands that look at files run without torch; each in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PROBE = """
import json, sys
import vqcodec
light = sorted(set(sys.modules) & {"torch", "numpy", "PIL"})
from vqcodec.cli.main import main
try:
    main(json.loads(sys.argv[1]))
except SystemExit as end:
    code = end.code
heavy = sorted(set(sys.modules) & {"torch", "onnx", "onnxruntime"})
print(json.dumps([light, code or 0, heavy]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["encode", "--help"],
        ["decode", "--help"],
        ["info", "{golden}"],
        ["verify", "{golden}"],
        ["verify", "{context}"],
        ["models", "list"],
        ["view", "--help"],
    ],
    ids=" ".join,
)
def test_light_commands_load_no_torch(
    arguments: list[str], root: Path, tiny_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1 = root / "tests" / "golden" / "v1"
    files = {"golden": v1 / "tier1-picture.vqc", "context": v1 / "context-packets-4.vqc"}
    command = [argument.format(**files) for argument in arguments]
    monkeypatch.setenv("VQCODEC_MODELS", str(tiny_pack.parent))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(command)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    imported, code, heavy = json.loads(done.stderr.splitlines()[-1])
    assert imported == []
    assert code == 0, done.stderr
    assert heavy == []


MAPS = """
import sys
from pathlib import Path
import numpy as np
from vqcodec.bitstream.packets import Header
from vqcodec.packs import store
from vqcodec.payload import decode_index_map, encode_index_map

header = Header(3, "context", 4, 0, 200, 100)
tables = store.load(Path(sys.argv[1])).tables(3, "context")
indices = np.arange(13 * 7, dtype=np.int32).reshape(7, 13) % 32
payloads = encode_index_map(indices, header, *tables)
assert np.array_equal(decode_index_map(payloads, header, *tables), indices)
assert "torch" not in sys.modules
"""


def test_the_context_model_runs_without_torch(root: Path, tiny_pack: Path) -> None:
    folder = tiny_pack.with_name("tiny-context")
    subprocess.run([sys.executable, "-c", MAPS, str(folder)], cwd=root, check=True)


OPENED = """
import sys
import vqcodec.pillow
from PIL import Image

with Image.open(sys.argv[1]) as image:
    print(image.size, image.mode, image.info["vqcodec"]["tier"])
    image.verify()
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"torch", "numpy", "onnx", "onnxruntime", "safetensors", "click"}, loaded
with Image.open(sys.argv[2]) as image:
    assert image.format == "PNG"
del sys.modules["vqcodec.pillow"]
import vqcodec.pillow
assert Image.ID.count("VQC") == 1
"""


def test_pillow_opens_files_without_networks_or_a_pack(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (2, 1)).save(tmp_path / "a.png")
    monkeypatch.setenv("VQCODEC_MODELS", str(tmp_path))
    golden = root / "tests" / "golden" / "v1" / "tier8-picture.vqc"
    command = [sys.executable, "-c", OPENED, str(golden), str(tmp_path / "a.png")]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout == "(200, 300) RGB 8\n"

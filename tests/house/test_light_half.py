"""`import vqcodec` and the commands that look at files run without torch; each in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import json, sys
import vqcodec
light = sorted(set(sys.modules) & {"torch", "numpy", "PIL"})
from vqcodec.cli.main import main
try:
    main(json.loads(sys.argv[1]))
except SystemExit as end:
    code = end.code
print(json.dumps([light, code or 0, "torch" in sys.modules]), file=sys.stderr)
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
        ["models", "list"],
    ],
    ids=" ".join,
)
def test_light_commands_load_no_torch(
    arguments: list[str], root: Path, tiny_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = root / "tests" / "golden" / "v1" / "tier1-picture.vqc"
    command = [argument.format(golden=golden) for argument in arguments]
    monkeypatch.setenv("VQCODEC_MODELS", str(tiny_pack.parent))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(command)],
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    imported, code, has_torch = json.loads(done.stderr.splitlines()[-1])
    assert imported == []
    assert code == 0, done.stderr
    assert not has_torch

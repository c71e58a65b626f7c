"""Transcripts of the command line, word for word: stdout, stderr, exit code and new files.

A file in `snapshots/` holds commands and what they must say: stderr after `! `, new files after
`+ `, the exit code after `= `. To rewrite them after a wanted change:
`UPDATE_SNAPSHOTS=1 pytest tests/cli/test_snapshots.py`, then read the diff.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from vqcodec.packs import store

SNAPSHOTS = Path(__file__).parent / "snapshots"


def transcript(
    commands: list[str], run: Callable, folder: Path, redact: Callable[[str], str]
) -> str:
    """Run commands one after the other in one folder and write down what they say."""
    parts = []
    for command in commands:
        words, _, source = command.partition(" < ")
        stdin = (folder / source).read_bytes() if source else b""
        before = {path for path in folder.rglob("*") if path.is_file()}
        result = run(*shlex.split(words)[1:], stdin=stdin)
        after = {path for path in folder.rglob("*") if path.is_file()}
        assert before <= after
        lines = [f"$ {command}"]
        lines += redact(result.stdout).splitlines()
        lines += [f"! {line}".rstrip() for line in redact(result.stderr).splitlines()]
        lines += [f"+ {path.relative_to(folder)}" for path in sorted(after - before)]
        lines += [f"= {result.exit_code}", ""]
        parts += lines
        if result.exit_code:
            assert "Traceback" not in result.stderr
            assert result.stderr.strip() or "verify" in command
    return "\n".join(parts)


@pytest.fixture
def redact(tiny_pack: Path) -> Callable[[str], str]:
    """Cut out what differs between machines and between makings of the tiny pack."""
    pack = store.load(tiny_pack)

    def cut(text: str) -> str:
        text = text.replace(f"{tiny_pack}-context", "TINY_CONTEXT")
        text = text.replace(str(tiny_pack), "TINY").replace(pack.digest, "SHA256")
        text = re.sub(rf"\b{pack.weights_id:04x}\b", "TINY_ID", text)
        text = re.sub(r"checksum [0-9a-f]{6}, stored [0-9a-f]{6}", "checksum CRC, stored CRC", text)
        text = re.sub(r"\b\d+\.\d\d s$", "SECONDS s", text, flags=re.M)
        text = re.sub(r'"seconds": [\d.]+', '"seconds": SECONDS', text)
        return re.sub(r'"image_bytes": \d+', '"image_bytes": BYTES', text)

    return cut


@pytest.mark.parametrize("name", sorted(path.stem for path in SNAPSHOTS.glob("*.exact")))
def test_the_command_line_says_exactly(
    name: str, run: Callable, folder: Path, redact: Callable[[str], str]
) -> None:
    path = SNAPSHOTS / f"{name}.exact"
    expected = path.read_text(encoding="utf-8")
    commands = [line[2:] for line in expected.splitlines() if line.startswith("$ ")]
    found = transcript(commands, run, folder, redact)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(found, encoding="utf-8")
    else:
        assert found == expected

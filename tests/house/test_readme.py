"""Every command and the Python example of the README work as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.golden.make_pack import photo

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    match.split("  #")[0].strip() for match in re.findall(r"^    (vqcodec .*)$", TEXT, re.MULTILINE)
]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the README's photos."""
    for name in ("photo.png", "photo.jpg"):
        Image.fromarray(photo()).save(tmp_path / name)
    return tmp_path


def test_the_readme_shows_every_command() -> None:
    shown = {command.split()[1] for command in COMMANDS}
    assert {"encode", "decode", "info", "verify", "models"} <= shown


@pytest.mark.real
def test_the_commands_run_in_their_order(desk: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    environment.pop("VQCODEC_MODELS", None)
    for command in COMMANDS:
        done = subprocess.run(
            command, shell=True, cwd=desk, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert 16 < (desk / "small.vqc").stat().st_size < (desk / "photo.vqc").stat().st_size
    with Image.open(desk / "seen.png") as image:
        assert image.size == (200, 150)


@pytest.mark.real
def test_the_python_example_runs(desk: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.delenv("VQCODEC_MODELS", raising=False)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["picture"].shape == (150, 200, 3)
    assert 0 < float(capsys.readouterr().out) < 1


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make ([\w-]+)", TEXT, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_it_stays_short() -> None:
    assert len(TEXT.splitlines()) < 150

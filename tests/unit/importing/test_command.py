"""`vqcodec models import` as typed, and what follows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from vqcodec.cli.main import cli
from vqcodec.cli.reference import JSON_FIELDS
from vqcodec.packs import store


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "_EMBEDDED", ())
    monkeypatch.delenv("VQCODEC_MODELS", raising=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_a_checkpoint_becomes_a_pack_that_encodes(
    checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    given = ("--name", "mine", "--data", photos, "--licence", "MIT", "--threads", 1)
    result = run("models", "import", checkpoint, *given)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("last.ckpt: VQGAN, f16, 64 words of 16 numbers")
    assert lines[-2:] == [
        "models/mine: written and intact",
        "use it: vqcodec encode photo.jpg --model models/mine",
    ]
    assert run("models", "check", "models/mine").exit_code == 0
    assert "licence      MIT" in run("models", "show", "models/mine").stdout
    picture = tmp_path / "photo.png"
    with Image.open(photos / "2.png") as photo:
        photo.crop((0, 0, 90, 70)).save(picture)
    for n, options in enumerate(
        (
            ("-t", 1),
            ("--coding", "table"),
            ("--packets", 4, "--fec", 50),
            ("--target-bytes", 40),
            ("--mtu", 60),
        )
    ):
        file = tmp_path / f"{n}.vqc"
        result = run("encode", picture, "-o", file, "--model", "models/mine", *options)
        assert result.exit_code == 0, result.stderr
        result = run("decode", file, "-o", tmp_path / f"{n}.png", "--model", "models/mine")
        assert result.exit_code == 0, result.stderr
        with Image.open(tmp_path / f"{n}.png") as seen:
            assert seen.size == (90, 70)


def test_its_json_names_the_pack(checkpoint: Path, tmp_path: Path) -> None:
    result = run("models", "import", checkpoint, "--name", "a", "--out", "packs", "--json", "-q")
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert set(record) == {"schema", *JSON_FIELDS[record["schema"]]}
    assert record["schema"] == "vqcodec.models.import/1"
    assert (record["name"], record["path"], record["stride"]) == ("a", "packs/a", 16)
    assert [entry["codebook_size"] for entry in record["tiers"]] == [8, 16, 32, 64]
    again = run("models", "import", checkpoint, "--name", "a", "--out", "packs")
    assert again.exit_code == 3
    assert "packs/a: a model pack is there already" in again.stderr
    forced = run("models", "import", checkpoint, "--name", "a", "--out", "packs", "-f")
    assert forced.exit_code == 0
    assert store.load(Path("packs/a")).digest == record["weights_sha256"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.ckpt", "--name", "a"], 3, "none.ckpt: not found."),
        (["notes.txt", "--name", "a"], 3, "notes.txt: not a checkpoint"),
        (["notes.txt", "--name", "../a"], 2, "'../a' is no pack's name"),
        (["notes.txt"], 2, "--name"),
        (["notes.txt", "--name", "a", "--data", "none"], 3, "none: not found."),
        (["{checkpoint}", "--name", "a", "--config", "none.yaml"], 3, "none.yaml: cannot"),
        (
            ["{checkpoint}", "--name", "a", "--config", "notes.json"],
            3,
            "notes.json: not valid",
        ),
    ],
)
def test_failures_are_one_line(
    arguments: list[str], code: int, words: str, checkpoint: Path, tmp_path: Path
) -> None:
    for name in ("notes.txt", "notes.json"):
        (tmp_path / name).write_text("nothing of the kind\n")
    result = run("models", "import", *(word.format(checkpoint=checkpoint) for word in arguments))
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert line.startswith("vqcodec: error: ")
    assert words in line
    assert not (tmp_path / "models").exists()

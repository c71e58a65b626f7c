"""`vqcodec models compress` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vqcodec.cli.main import cli
from vqcodec.cli.reference import JSON_FIELDS
from vqcodec.packs import store

FOLDER = Path(__file__).parents[2] / "packs"


def run(*words: str | Path) -> Result:
    """Type it."""
    return CliRunner().invoke(cli, ["models", "compress", *map(str, words)])


def test_a_pack_by_its_folder_becomes_one_that_show_explains(
    wider: store.Pack, tmp_path: Path
) -> None:
    out = tmp_path / "wider-int4"
    result = run(wider.path, "--bits", "4", "--method", "int", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert set(record) == {"schema", *JSON_FIELDS[record["schema"]]}
    assert record["schema"] == "vqcodec.models.compress/1"
    assert record["compressed_from"] == record["of"] == "tiny"
    assert record["name"] == "wider-int4"
    assert f"of tiny's {wider.manifest.weights_size_bytes:,}" in result.stderr
    shown = CliRunner().invoke(cli, ["models", "show", str(out)])
    assert "compressed   tiny, int at 4 bits" in shown.stdout
    assert "Compressed: int at 4 bits, from tiny" in (out / "CARD.md").read_text()
    again = run(wider.path, "--bits", "4", "--method", "int", "--out", out)
    assert again.exit_code == 3
    assert "--force" in again.stderr


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["no-such-pack", "--bits", "4"], 5, "not found"),
        ([FOLDER / "tiny", "--bits", "8"], 2, "knows 2, 3 or 4 bits"),
        ([FOLDER / "tiny", "--bits", "5"], 2, "--bits"),
        ([FOLDER / "tiny", "--bits", "3"], 3, "nothing to compress"),
        ([FOLDER / "tiny", "--bits", "3", "--data", "no-such-folder"], 3, "nothing to compress"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str | Path], code: int, text: str, tmp_path: Path
) -> None:
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == code
    assert text in result.stderr
    assert not (tmp_path / "out").exists()


def test_photos_are_asked_for_and_looked_for(wider: store.Pack, tmp_path: Path) -> None:
    for more, text in (([], "--data"), (["--data", tmp_path / "none"], "none")):
        result = run(wider.path, "--bits", "3", "--out", tmp_path / "out", *more)
        assert result.exit_code == 3
        assert text in result.stderr
    assert "no pack's name" in run(wider.path, "--bits", "3", "--out", tmp_path / "a b").stderr
    assert not (tmp_path / "out").exists()

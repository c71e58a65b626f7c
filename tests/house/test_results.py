"""The committed results are the released pack's, and what the README shows is made of them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from eval import readme, rows
from eval.provenance import ROOT
from vqcodec.packs import store

NAMES = list(readme.RESULTS)


def results(name: str) -> dict[str, Any]:
    return json.loads(readme.RESULTS[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_results_are_of_the_pack_that_ships(name: str) -> None:
    found, pack = results(name), store.find()
    assert found["schema"] == rows.SCHEMA
    assert found["provenance"]["model"] == {"name": pack.name, "sha256": pack.digest}
    assert re.fullmatch(r"[0-9a-f]{40}", found["provenance"]["commit"])  # no "+changes"
    assert found["failed"] == []
    assert {row["point"] for row in found["rows"] if row["codec"] == rows.OURS} == set(range(1, 10))


@pytest.mark.parametrize("name", NAMES)
def test_means_are_those_of_the_rows(name: str) -> None:
    found = results(name)
    assert rows.summarise(rows.Row(**row) for row in found["rows"]) == [
        {key: value for key, value in entry.items() if key != "sets"} for entry in found["summary"]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_a_machine_is_published(name: str) -> None:
    text = readme.RESULTS[name].read_text(encoding="utf-8")
    assert re.findall(r'(?<=["\s(])/[A-Za-z]\S*', text) == []  # absolute ones


def test_the_readme_shows_the_results() -> None:
    text = readme.README.read_text(encoding="utf-8")
    shown = text.split(readme.BEGIN)[1].split(readme.END)[0].strip()
    assert shown == readme.section(), "run 'python -m eval readme'"


@pytest.mark.parametrize("name", NAMES)
def test_the_figure_was_drawn_from_the_results(name: str) -> None:
    drawn = readme.figure(name).read_text(encoding="utf-8")
    assert f"results {readme.digest(readme.RESULTS[name])}" in drawn, "run 'python -m eval readme'"


def test_the_packs_manifest_tells_the_same_quality() -> None:
    told = tomllib.loads((store.find().path / "manifest.toml").read_text(encoding="utf-8"))
    ours = [entry for entry in results("Kodak")["summary"] if entry["codec"] == rows.OURS]
    for key, digits in {"lpips_alex": 4, "psnr_db": 2, "ms_ssim": 4}.items():
        means = [round(entry["metrics"][key]["mean"], digits) for entry in ours]
        assert told["quality"][key] == pytest.approx(means, abs=1.5 * 10**-digits)
    assert told["quality"]["bpp"] == pytest.approx(
        [entry["bpp"]["mean"] for entry in ours], abs=1e-4
    )


def test_results_are_small_enough_to_keep() -> None:
    folder = ROOT / "eval" / "results"
    assert sum(path.stat().st_size for path in Path(folder).iterdir()) < 4 * 2**20

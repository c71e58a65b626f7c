"""The committed results are the released pack's, and what the README shows is made of them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from eval import bits, loss, loss_plan, loss_rows, readme, rows, savings
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
    tiers = {entry.tier for entry in pack.manifest.tiers}
    assert {row["point"] for row in found["rows"] if row["codec"] == rows.OURS} == tiers
    assert found["settings"].get("rdo") is None  # as the command does without the option


@pytest.mark.parametrize("name", NAMES)
def test_other_codecs_were_asked_for_the_rates_of_today(name: str) -> None:
    assert results(name)["settings"]["rates_bpp"] == list(rows.RATES_BPP)


def test_bits_are_of_the_pack_that_ships() -> None:
    if not readme.BITS.exists():
        pytest.skip(f"there is no {readme.BITS.name}")
    found, pack = json.loads(readme.BITS.read_text(encoding="utf-8")), store.find()
    assert found["schema"] == bits.SCHEMA
    assert found["provenance"]["model"] == {"name": pack.name, "sha256": pack.digest}
    assert re.fullmatch(r"[0-9a-f]{40}", found["provenance"]["commit"])  # no "+changes"
    assert found["failed"] == []
    assert found["settings"]["images"] == results("Kodak")["settings"]["images"]
    assert [entry["tier"] for entry in found["summary"]] == [e.tier for e in pack.manifest.tiers]
    made = [
        savings.Row(
            **{**row, "sizes": {file: savings.Size(**n) for file, n in row["sizes"].items()}}
        )
        for row in found["rows"]
    ]
    assert savings.summarise(made) == found["summary"]
    assert not re.findall(r'(?<=["\s(])/[A-Za-z]\S*', readme.BITS.read_text(encoding="utf-8"))


def test_losses_are_of_the_pack_that_ships() -> None:
    if not readme.LOSS.exists():
        pytest.skip(f"there is no {readme.LOSS.name}")
    text, pack = readme.LOSS.read_text(encoding="utf-8"), store.find()
    found = json.loads(text)
    settings, network = found["settings"], pack.manifest.restorer
    assert found["schema"] == loss.SCHEMA
    assert found["provenance"]["model"] == {"name": pack.name, "sha256": pack.digest}
    assert settings["restorer_sha256"] == (None if network is None else network.sha256)
    assert re.fullmatch(r"[0-9a-f]{40}", found["provenance"]["commit"])  # no "+changes"
    assert (found["failed"], found["columns"]) == ([], list(loss_rows.COLUMNS))
    assert settings["images"] == results("Kodak")["settings"]["images"]
    assert [row["image"] for row in found["rows"]] == settings["images"]
    below = {entry["tier"]: entry["file_tier"] for entry in settings["parity"]}
    kinds = [name for name in loss_plan.RESTORERS if name not in found["absent"]]
    tiers = [entry.tier for entry in pack.manifest.tiers]
    cells = loss_plan.plan(
        settings["tiers"], tiers, kinds, settings["seeds"], settings["few"], below
    )
    made = loss_rows.summarise(cells, [row["figures"] for row in found["rows"]])
    assert made == found["summary"]
    assert len(text) < 300_000
    assert not re.findall(r'(?<=["\s(])/[A-Za-z]\S*', text)


@pytest.mark.parametrize("name", list(readme.BEFORE))
def test_the_curve_before_is_of_another_pack_on_the_same_images(name: str) -> None:
    older = json.loads(readme.BEFORE[name].read_text(encoding="utf-8"))
    assert older["schema"] == rows.SCHEMA
    assert older["settings"]["images"] == results(name)["settings"]["images"]
    assert older["provenance"]["model"]["sha256"] != store.find().digest


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
    assert f"{readme.figure_note(name)}<" in drawn, "run 'python -m eval readme'"


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

"""The README's section, made of results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import compare, loss_plan, loss_rows, readme, savings
from eval.rows import Row, as_json, summarise


def results(codecs: dict[str, float], tiers: int = 9) -> dict[str, Any]:
    """Curves whose LPIPS at point p is a number minus p / 100, at p / 100 bpp."""
    rows = [
        Row(
            "a", 100, 100, codec, point, f"tier {point}", 125 * point, point / 100,
            metrics={"psnr_db": 20.0 + point, "ms_ssim": None, "lpips_alex": lpips - point / 100},
        )
        for codec, lpips in codecs.items()
        for point in range(1, 1 + tiers)
    ]  # fmt: skip
    for row in rows:
        row.metrics["ms_ssim"] = 0.5
    summary = summarise(rows)
    return {
        "provenance": {
            "commit": "0123456789", "model": {"name": "m"}, "cpu": "a processor", "cores": 2,
        },
        "settings": {"images": ["a"], "published": None},
        "summary": summary,
        "comparison": compare.compare(summary, 1),
        "rows": [as_json(row) for row in rows],
    }  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kodak.json"
    path.write_text(json.dumps(results({"vqcodec": 0.5, "vvc": 0.7})), encoding="utf-8")
    text = f"before\n\n{readme.BEGIN}\nold\n{readme.END}\n\nafter\n"
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.setattr(readme, "FIGURES", tmp_path)
    monkeypatch.setattr(readme, "RESULTS", {"Kodak": path})
    monkeypatch.setattr(readme, "BEFORE", {})
    monkeypatch.setattr(readme, "BITS", tmp_path / "bits-kodak.json")
    monkeypatch.setattr(readme, "LOSS", tmp_path / "loss-kodak.json")
    return tmp_path


def test_the_section_is_replaced_and_the_rest_stays(desk: Path) -> None:
    written = readme.update()
    text = (desk / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n\n{readme.BEGIN}\n")
    assert text.endswith(f"{readme.END}\n\nafter\n")
    assert "old" not in text
    assert "| tier | bytes | bpp | LPIPS | VVC | PSNR, dB | MS-SSIM |" in text
    assert "| 3 | 375 | .0300 | .470 | .670 | 23.0 | .500 |" in text
    assert "commit 0123456" in text
    assert [path.name for path in written] == ["README.md", "rd-kodak.svg"]


def test_eleven_tiers_of_our_own_rates_have_a_line_each(desk: Path) -> None:
    found = results({"vqcodec": 0.5}, tiers=11)
    mine = [Row(**{**row, "bpp": 0.9 * row["bpp"]}) for row in found["rows"]]
    theirs = [Row(**row) for row in results({"vvc": 0.7})["rows"]]
    summary = summarise([*mine, *theirs])
    found |= {"summary": summary, "comparison": compare.compare(summary, 1)}
    (desk / "kodak.json").write_text(json.dumps(found), encoding="utf-8")
    lines = readme.section().splitlines()
    assert [line.split(" | ")[0] for line in lines if line[:3] in ("| 1", "| 9")] == [
        "| 1", "| 9", "| 10", "| 11",
    ]  # fmt: skip
    assert "| 1 | 125 | .0090 | .490 | - | 21.0 | .500 |" in lines  # below VVC's smallest
    # VVC between .08 and .09 bpp at .081, in the logarithm of the rate
    share = np.log(8.1 / 8) / np.log(9 / 8)
    value = f"{0.62 - 0.01 * share:.3f}".removeprefix("0")
    assert f"| 9 | 1,125 | .0810 | .410 | {value} | 29.0 | .500 |" in lines
    assert "| 11 | 1,375 | .0990 | .390 | - | 31.0 | .500 |" in lines


def test_a_second_table_shows_some_tiers(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk / "clic.json"
    path.write_text(json.dumps(results({"vqcodec": 0.5, "vvc": 0.7}, tiers=11)), encoding="utf-8")
    monkeypatch.setattr(readme, "RESULTS", {**readme.RESULTS, "CLIC": path})
    lines = readme.section().split("CLIC, ")[1].splitlines()
    shown = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    assert shown == ["| tier", "| 1", "| 4", "| 8", "| 11"]


def test_bits_are_shown_where_they_were_counted(desk: Path) -> None:
    assert "context" not in readme.section()
    rows = [
        savings.Row(
            "a", 10, 100, tier, 2 ** (tier + 2), 20,
            {
                file: savings.Size(size, size)
                for file, size in {
                    "fixed": 10 * tier, "context": 8 * tier, "fixed/4": 9, "context/4": 9,
                    "fixed/20": 9, "context/20": 9,
                }.items()
            },
            "",
        )
        for tier in range(1, 12)
    ]  # fmt: skip
    found = {
        "provenance": results({"vqcodec": 1})["provenance"],
        "settings": {"images": ["a"]},
        "summary": savings.summarise(rows),
    }
    readme.BITS.write_text(json.dumps(found), encoding="utf-8")
    lines = readme.section().splitlines()
    told = "20.0 % at tier 1, 20.0 % at tier 4, 20.0 % at tier 8, 20.0 % at tier 11"
    assert told in lines[-2]
    assert "`python -m eval bits`, commit 0123456, model m" in lines[-1]
    assert "[all rows](bits-kodak.json)" in lines[-1]


def test_losses_are_shown_where_they_were_measured(desk: Path) -> None:
    cells = loss_plan.plan([4], [4], loss_plan.RESTORERS, 2, 1, {4: 2})

    def figures(cell: loss_plan.Cell) -> list[float | None]:
        lpips = 0.3 + cell.loss / 10 - 0.02 * (cell.restorer == "transformer")
        accuracy = cell.loss if cell.channel else None
        return [100, lpips + 0.01 * cell.has_parity, None, 20, None, accuracy, None, 0, 0]

    found = {
        "provenance": results({"vqcodec": 1})["provenance"],
        "settings": {
            "images": ["a"], "tiers": [4], "packets": 20, "parity": [{"tier": 4, "file_tier": 2}],
        },
        "absent": {},
        "summary": loss_rows.summarise(cells, [[figures(cell) for cell in cells]]),
    }  # fmt: skip
    readme.LOSS.write_text(json.dumps(found), encoding="utf-8")
    lines = readme.section().splitlines()
    assert lines[-5:] == [
        "| tier | packets lost | transformer | neighbour | parity | "
        "indices right, transformer | indices right, neighbour |",
        "|---|---|---|---|---|---|---|",
        "| 4 | 10 % | -.010 | +.010 | +.000 | 10 % | 10 % |",
        "| 4 | 20 % | +.000 | +.020 | +.010 | 20 % | 20 % |",
        "| 4 | 50 % | +.030 | +.050 | +.040 | 50 % | 50 % |",
    ]
    assert "undamaged: tier 4 .300; parity: tier 2 in the bytes of tier 4." in lines[-8]
    assert "`python -m eval loss`, commit 0123456, model m" in lines[-7]


def test_it_says_the_same_twice(desk: Path) -> None:
    readme.update()
    first = [path.read_bytes() for path in sorted(desk.iterdir())]
    readme.update()
    assert [path.read_bytes() for path in sorted(desk.iterdir())] == first


def test_the_figure_names_the_results_it_shows(desk: Path) -> None:
    readme.update()
    note = f"results {readme.digest(desk / 'kodak.json')}"
    assert note in (desk / "rd-kodak.svg").read_text(encoding="utf-8")
    shutil.copy(desk / "kodak.json", desk / "other.json")
    with (desk / "other.json").open("a") as file:
        file.write("\n")
    assert readme.digest(desk / "other.json") not in note


def test_an_older_packs_curve_is_in_the_figure(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme.update()
    now = (desk / "rd-kodak.svg").read_text(encoding="utf-8")
    older = results({"vqcodec": 0.6, "vvc": 0.7})
    older["provenance"]["model"]["name"] = "photo-0"
    (desk / "older.json").write_text(json.dumps(older), encoding="utf-8")
    monkeypatch.setattr(readme, "BEFORE", {"Kodak": desk / "older.json"})
    readme.update()
    then = (desk / "rd-kodak.svg").read_text(encoding="utf-8")
    assert now.count("stroke-dasharray") < then.count("stroke-dasharray")
    assert f"before {readme.digest(desk / 'older.json')}" in then


def test_a_readme_without_marks_is_left_alone(desk: Path) -> None:
    (desk / "README.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        readme.update()
    assert (desk / "README.md").read_text(encoding="utf-8") == "nothing"

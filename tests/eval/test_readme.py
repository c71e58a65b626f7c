"""The README's section, made of results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eval import compare, readme
from eval.rows import Row, as_json, summarise


def results(codecs: dict[str, float]) -> dict[str, Any]:
    """Curves whose LPIPS at point p is a number minus p / 100, at p / 100 bpp."""
    rows = [
        Row(
            "a", 100, 100, codec, point, f"tier {point}", 125 * point, point / 100,
            metrics={"psnr_db": 20.0 + point, "ms_ssim": None, "lpips_alex": lpips - point / 100},
        )
        for codec, lpips in codecs.items()
        for point in range(1, 10)
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


def test_a_readme_without_marks_is_left_alone(desk: Path) -> None:
    (desk / "README.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the marks"):
        readme.update()
    assert (desk / "README.md").read_text(encoding="utf-8") == "nothing"

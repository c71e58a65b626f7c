"""What a run remembers of the runs before it."""

from __future__ import annotations

from pathlib import Path

from eval.journal import Journal, key
from eval.rows import Row


def row(**changes: object) -> Row:
    values = {"image": "a", "height_px": 4, "width_px": 4, "codec": "jpeg", "point": 1}
    return Row(**values | {"setting": "quality 1", "size_bytes": 9, "bpp": 4.5} | changes)


def test_rows_are_found_again_by_another_journal(tmp_path: Path) -> None:
    rows = [row(metrics={"psnr_db": 20.5, "ms_ssim": None}), row(point=2)]
    Journal(tmp_path).add("k", rows)
    assert Journal(tmp_path).find("k") == rows
    assert Journal(tmp_path).find("other") is None


def test_a_later_entry_stands_for_an_earlier_one(tmp_path: Path) -> None:
    Journal(tmp_path).add("k", [row()])
    Journal(tmp_path).add("k", [row(size_bytes=10)])
    assert Journal(tmp_path).find("k") == [row(size_bytes=10)]


def test_rows_whose_file_has_gone_are_measured_again(tmp_path: Path) -> None:
    kept = tmp_path / "a.jpg"
    kept.touch()
    Journal(tmp_path).add("k", [row(file="a.jpg")])
    assert Journal(tmp_path).find("k") is not None
    kept.unlink()
    assert Journal(tmp_path).find("k") is None


def test_half_a_line_costs_only_what_it_held(tmp_path: Path) -> None:
    Journal(tmp_path).add("first", [row()])
    Journal(tmp_path).add("torn", [row()])
    path = tmp_path / "measured.jsonl"
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    Journal(tmp_path).add("third", [row()])
    journal = Journal(tmp_path)
    assert journal.find("first")
    assert journal.find("third")
    assert journal.find("torn") is None


def test_lines_of_something_else_are_passed_over(tmp_path: Path) -> None:
    lines = ["[]", "null", '{"key": "k"}', '{"key": "k", "rows": [{"image": "a"}]}', "\x00"]
    (tmp_path / "measured.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert Journal(tmp_path).find("k") is None


def test_the_key_changes_with_everything_that_decides() -> None:
    base = {"samples": "1", "codec": "jpeg 1", "asked": [1, 2], "metrics": {"psnr_db": "x"}}
    changed = [
        base | {"samples": "2"},
        base | {"codec": "jpeg 2"},
        base | {"asked": [1]},
        base | {"metrics": {"psnr_db": "y"}},
    ]
    assert len({key(**parts) for parts in (base, *changed)}) == 5
    assert key(**base) == key(**dict(reversed(base.items())))

"""Means per curve, and the curve over any scale."""

from __future__ import annotations

import pytest

from eval.rows import Row, complete, summarise


def row(image: str, codec: str, point: int, psnr: float | None = 20.0, bpp: float = 0.1) -> Row:
    metrics = {"psnr_db": psnr}
    return Row(image, 10, 10, codec, point, "quality 1", 100, bpp, metrics=metrics)


def test_means_have_deviations_and_counts() -> None:
    rows = [row("a", "webp", 1, 20.0), row("b", "webp", 1, 24.0), row("a", "webp", 2, None)]
    first, second = summarise(rows)
    assert (first["codec"], first["point"], first["images"]) == ("webp", 1, 2)
    assert first["metrics"]["psnr_db"]["mean"] == 22
    assert first["metrics"]["psnr_db"]["std"] == pytest.approx(8**0.5, abs=1e-6)
    assert second["metrics"]["psnr_db"] is None
    assert first["bpp"] == {"mean": 0.1, "std": 0, "n": 2}


def test_codecs_keep_their_order_and_points_are_sorted() -> None:
    rows = [row("a", "webp", 2), row("a", "webp", 1), row("a", "avif", 1)]
    assert [(e["codec"], e["point"]) for e in summarise(rows)] == [
        ("webp", 1), ("webp", 2), ("avif", 1),
    ]  # fmt: skip


ROWS = [
    *(row(image, "avif", 2, 30.0) for image in "ab"),
    row("a", "avif/2", 1, 24.0),
    row("a", "avif/2", 2, 34.0),
    row("b", "avif/4", 1, 20.0),
    row("b", "avif/4", 2, 21.0),
]


def test_any_scale_takes_what_is_closest_to_the_image() -> None:
    means = {
        entry["point"]: entry["metrics"]["psnr_db"]["mean"]
        for entry in summarise(ROWS)
        if entry["codec"] == "avif/any"
    }
    assert means == {1: (24 + 20) / 2, 2: (34 + 30) / 2}


def test_a_codec_that_reaches_everything_at_full_size_has_no_such_curve() -> None:
    full = [row(image, "vvc", point) for image in "ab" for point in (1, 2)]
    summary = summarise([*full, row("a", "vvc/2", 1)])
    assert {entry["codec"] for entry in summary} == {"vvc", "vvc/2"}


def test_a_curve_over_any_scale_stands_for_those_of_one() -> None:
    found = complete(summarise(ROWS), "psnr_db", 2)
    assert found == {"avif": [(0.1, 30, 2)], "avif/any": [(0.1, 22, 1), (0.1, 32, 2)]}

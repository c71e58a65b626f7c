"""Curves of rate against quality."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.lines import Line2D
from PIL import Image

from eval import plots, rows, themes

IMAGES = ("a", "b")


def results(points: dict[str, list[tuple[int, float, tuple[str, ...]]]]) -> dict[str, Any]:
    """Results from (point, bpp, images that have it) per codec; values follow from the point."""
    made = [
        rows.Row(
            image=image,
            height_px=10,
            width_px=10,
            codec=codec,
            point=point,
            setting="",
            size_bytes=round(bpp * 12.5),
            bpp=bpp,
            metrics={"psnr_db": 20.0 + point, "lpips_alex": 0.6 - point / 20, "dists": None},
        )
        for codec, spots in points.items()
        for point, bpp, images in spots
        for image in images
    ]
    return {
        "settings": {"data": "set"},
        "codecs": {codec: {} for codec in points},
        "summary": rows.summarise(made),
        "comparison": None,
        "rows": [rows.as_json(row) for row in made],
    }


RUN = results(
    {
        "vqcodec": [(1, 0.01, IMAGES), (2, 0.02, IMAGES), (3, 0.03, IMAGES)],
        "avif": [(3, 0.03, ("a",)), (5, 0.05, IMAGES)],
        "avif/2": [(1, 0.012, IMAGES), (2, 0.021, IMAGES)],
        "$\\bad{$ <&> \u65e5\x01": [(1, 0.011, IMAGES)],
        "_hidden": [(2, 0.02, ("b",))],
    }
)
PUBLISHED = [
    SimpleNamespace(
        name="Paper $x$", mark="F", source="s", points={"lpips_alex": [(0.02, 0.3), (9.0, 0.1)]}
    )
]


def line_of(figure: plots.Figure, codec: str) -> Line2D:
    """A codec's line, by its place: what is measured is drawn after what is published."""
    found = [line for line in figure.axes[0].lines if line.get_zorder() in (3, 5)]
    shown = sorted(plots.curves(RUN, "psnr_db"), key=lambda name: name != "vqcodec")
    return found[shown.index(codec)]


def test_points_that_not_all_images_have_are_left_out() -> None:
    found = plots.curves(RUN, "psnr_db")
    assert found["vqcodec"] == [(0.01, 21, 1), (0.02, 22, 2), (0.03, 23, 3)]
    assert found["avif"] == [(0.05, 25, 5)]
    assert "_hidden" not in found


def test_metrics_that_no_curve_has_are_not_drawn() -> None:
    assert plots.metrics(RUN) == ["psnr_db", "lpips_alex"]


def test_ours_stands_out_and_variants_share_a_colour() -> None:
    figure = plots.draw(RUN, "psnr_db", [])
    ours, full, half = (line_of(figure, codec) for codec in ("vqcodec", "avif", "avif/any"))
    assert ours.get_linewidth() > 2 * full.get_linewidth()
    assert ours.get_color() == themes.LIGHT.ours != full.get_color()
    assert full.get_color() == half.get_color()
    assert full.get_marker() == half.get_marker() != ours.get_marker()
    assert full.get_markerfacecolor() != half.get_markerfacecolor()
    assert [text.get_text() for text in figure.axes[0].texts] == ["vqcodec"]


@pytest.mark.parametrize(("metric", "told"), [("psnr_db", "better ↑"), ("lpips_alex", "better ↓")])
def test_the_axis_says_which_way_is_better(metric: str, told: str) -> None:
    assert told in plots.draw(RUN, metric, []).axes[0].get_ylabel()


def test_published_curves_are_dashed_thin_and_marked() -> None:
    figure = plots.draw(RUN, "lpips_alex", PUBLISHED)
    dashed = figure.axes[0].lines[0]
    assert dashed.is_dashed()
    assert dashed.get_linewidth() < 1
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert texts[-1] == "Paper $x$ [F]"
    assert figure.axes[0].get_xlim()[1] < 0.1  # what was measured sets the range
    assert len(plots.draw(RUN, "psnr_db", PUBLISHED).legends) == 1


def test_an_older_packs_curve_is_dashed_beside_ours() -> None:
    before = {**RUN, "provenance": {"model": {"name": "photo-0"}}}
    figure = plots.draw(RUN, "lpips_alex", [], before=before)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0] == "vqcodec"
    older = figure.axes[0].lines[names.index("vqcodec, photo-0")]
    now = figure.axes[0].lines[0]
    assert older.is_dashed()
    assert not now.is_dashed()
    assert older.get_linewidth() < now.get_linewidth()
    assert older.get_color() == now.get_color()
    nothing = {**before, "rows": [], "summary": []}
    assert len(plots.draw(RUN, "psnr_db", [], before=nothing).axes[0].lines) == len(
        plots.draw(RUN, "psnr_db", []).axes[0].lines
    )


def test_a_note_goes_into_the_file(tmp_path: Path) -> None:
    figure = plots.draw(RUN, "psnr_db", [])
    plots.write(figure, tmp_path / "a.svg", note="results <12>")
    assert "results &lt;12&gt;" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_published_curves_alone() -> None:
    empty = {**RUN, "rows": [], "summary": []}
    assert plots.draw(empty, "lpips_alex", PUBLISHED).axes[0].lines
    assert plots.metrics(empty) == []


def test_a_wide_range_of_rates_is_drawn_on_a_logarithmic_axis() -> None:
    wide = results({"vqcodec": [(1, 0.01, IMAGES)], "jpeg": [(1, 0.2, IMAGES)]})
    axes = plots.draw(wide, "psnr_db", []).axes[0]
    assert axes.get_xscale() == "log"
    narrow = results({"vqcodec": [(1, 0.01, IMAGES), (2, 0.02, IMAGES)]})
    assert plots.draw(narrow, "psnr_db", []).axes[0].get_xscale() == "linear"


def test_files_of_every_metric_alike_twice(tmp_path: Path) -> None:
    made = plots.save(RUN, PUBLISHED, tmp_path / "new" / "plots")
    assert [path.name for path in made] == [
        "psnr_db.svg",
        "psnr_db.png",
        "lpips_alex.svg",
        "lpips_alex.png",
    ]
    again = plots.save(RUN, PUBLISHED, tmp_path / "again")
    for path, other in zip(made, again, strict=True):
        assert path.read_bytes() == other.read_bytes()
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
            assert b"<dc:date" not in path.read_bytes()
        else:
            with Image.open(path) as image:
                assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50


@pytest.mark.filterwarnings("ignore:Glyph")  # one of the names
@pytest.mark.parametrize("theme", [themes.LIGHT, themes.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width_in", [plots.WIDTH_IN, 4.3])
def test_nothing_is_cut_off(theme: themes.Theme, width_in: float) -> None:
    figure = plots.draw(RUN, "lpips_alex", PUBLISHED, theme, width_in)
    box = figure.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.get_figwidth()
    assert box.y1 <= figure.get_figheight()

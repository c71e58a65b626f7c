"""The report's page without a browser: what it holds, what it escapes, what it chooses."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from eval import report
from eval.report import choose, sections
from eval.report.album import Album

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Elements as (tag, attributes), and the text outside scripts; fails on wrong nesting."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["script"], ["style"]):
            self.text += data


def written(folder: Path, curves: Any = (), **options: Any) -> str:
    path = report.write(folder, curves=curves, **options)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def row(size: int, point: int = 1) -> dict[str, int]:
    return {"size_bytes": size, "point": point}


@pytest.fixture(scope="module")
def page(results_folder: Path, published_curves: list[SimpleNamespace]) -> str:
    return written(results_folder, published_curves)


@pytest.mark.parametrize(
    ("sizes", "wanted", "chosen"),
    [([100, 200, 300], 190, 200), ([100, 200], 150, 100), ([500], 1, 500), ([300, 100], 1000, 300)],
)
def test_nearest_in_size_and_of_two_as_near_the_smaller(
    sizes: list[int], wanted: int, chosen: int
) -> None:
    found = choose.nearest([row(size) for size in sizes], wanted)
    assert found is not None
    assert found["size_bytes"] == chosen


def test_nearest_of_equal_files_is_the_first_point_and_of_none_none() -> None:
    assert choose.nearest([row(5, 9), row(5, 2)], 5) == row(5, 2)
    assert choose.nearest([], 5) is None


@pytest.mark.parametrize(
    ("measured", "asked", "shown"),
    [
        ((1, 2, 3, 4), (1, 4, 8), [1, 4]),
        ((2, 3), (1, 4, 8), [2, 3]),
        ((2, 3, 5, 6, 7), (1, 4, 8), [2, 5, 7]),
        ((), (1,), []),
    ],
)
def test_tiers_asked_for_or_some_of_those_measured(
    measured: tuple[int, ...], asked: tuple[int, ...], shown: list[int]
) -> None:
    results = {"rows": [{"codec": "vqcodec", "point": tier} for tier in measured]}
    assert choose.tiers_of(results, "vqcodec", asked) == shown


def test_each_side_is_the_file_nearest_in_size(page: str) -> None:
    data = data_of(page)
    assert data["tiers"] == [1, 4, 8]
    for image in data["images"]:
        assert image["original"] is not None
        shown = [
            {data["codecs"][data["rows"][at][1]]: data["rows"][at][2] for at, _ in sides}
            for sides in image["tiers"]
        ]
        assert [sides["vqcodec"] for sides in shown] == [1, 4, 8]
        # 220 to 1,100 bytes of AVIF at points 2, 5, 9 (330, 660, 1,100) beside ours 200, 500, 900
        assert [sides["avif/2"] for sides in shown] == [2, 5, 9]
        assert all("vvc" not in sides for sides in shown)  # only figures
    first, second = data["images"][0], data["images"][1]
    jpeg = data["codecs"].index("jpeg/4")
    points = [
        [data["rows"][at][2] for sides in image["tiers"] for at, _ in sides
         if data["rows"][at][1] == jpeg]
        for image in (first, second)
    ]  # fmt: skip
    assert points == [[7, 7, 7], [9, 9, 9]]


def test_pictures_stand_in_the_page_once_and_whole(page: str, names: SimpleNamespace) -> None:
    data = data_of(page)
    uris = json.loads(re.search(r"const PICTURES = (\[.*?\]);", page)[1])  # type: ignore[index]
    assert len(set(re.findall(r"data:image/webp;base64,[^\"]+", "".join(uris)))) <= len(uris)
    # per image the original, three tiers, three of AVIF, one of JPEG
    assert len(uris) == 3 * 8
    tower = data["images"][2]
    ours = next(picture for at, picture in tower["tiers"][0] if data["rows"][at][1] == data["ours"])
    code = uris[ours].partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(code))) as image:
        assert image.size == (tower["width"], tower["height"]) == (70, 150)
        assert image.convert("RGB").getpixel((5, 5)) == pytest.approx(
            names.colors["vqcodec"], abs=2
        )


def test_hostile_names_are_only_text(page: str, names: SimpleNamespace) -> None:
    outline = Outline(page)
    assert names.image not in page
    assert names.codec not in page
    assert [image["name"] for image in data_of(page)["images"]][1] == names.image
    assert names.codec in data_of(page)["codecs"]
    assert names.codec in outline.text
    for tag, attributes in outline.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert tag not in ("a<b", "broken", "pillow-heif", "more", "worse")
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/svg+xml;base64,")
    assert "<broken>.png" in outline.text
    assert "pip install <pillow-heif>" in outline.text


def test_script_data_cannot_end_its_element() -> None:
    value = {"</script><!--": ["<script>", "&amp;", "\u2028", "\udc80"]}
    text = report.script_data(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_a_part_that_looks_like_a_place_is_left_alone() -> None:
    assert report.fill("{{a}} {{b}}", {"a": "{{b}}", "b": r"\1"}) == r"{{b}} \1"


def test_the_policy_names_this_pages_scripts_and_style(page: str) -> None:
    policy = next(
        str(attributes["content"])
        for tag, attributes in Outline(page).elements
        if tag == "meta" and "http-equiv" in attributes
    )
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert policy.count("sha256-") == 1 + len(SCRIPT.findall(page))
    assert "unsafe" not in policy
    assert "http" not in re.sub(r"data:[\w+/;=,-]+|http-equiv", "", page.split("</style>")[0])


def test_the_head_says_what_was_measured_with_what(page: str) -> None:
    text = Outline(page).text
    for told in ('a<b>&"c"', "0123456+changes", "<b>pack</b>", "2026-01-02", "2 cores"):
        assert told in text, told


def test_comparison_in_words(page: str) -> None:
    text = re.sub(r"\s+", " ", Outline(page).text)
    assert "61.2 % fewer bits" in text
    assert "\N{MINUS SIGN}0.110 at equal size" in text
    assert 'no overlap: <a> & "b"' in text
    # the best of a column, ties included; no column of dashes has one
    assert page.count('class="best"') == 6
    assert "Where the dashed curves come from" in text
    assert "arXiv <1> & more" in text


def test_more_bits_are_said_to_be_more() -> None:
    results = {"comparison": {"bd": [
        {"codec": "a", "metric": "psnr_db", "bd_rate_percent": 25.04, "bd_metric": -1.5,
         "from": 20, "to": 22, "refused": None}]}}  # fmt: skip
    text = sections.comparison(results, "vqcodec")
    assert '<b class="more">25.0 % more bits</b>' in text
    assert '<b class="more">\N{MINUS SIGN}1.50</b>' in text


def test_distances_of_sets_where_they_were_measured(
    make_results: Callable[..., Path], tmp_path: Path, page: str
) -> None:
    assert "Distances of whole sets" not in page
    path = make_results(tmp_path, with_pictures=False) / "results.json"
    results = json.loads(path.read_text())
    for entry in results["summary"]:
        entry["sets"] = {"fid": None, "kid": None, "kid_std": None, "notes": ["too <few>"]}
    results["summary"][1]["sets"] |= {"kid": 0.01234, "kid_std": 0.002}
    results["codecs"]["vvc"] = {"identity": None, "measured": "anchors.tsv"}
    path.write_text(json.dumps(results))
    text = Outline(written(tmp_path)).text
    assert "KID between" in text
    assert "0.0123 ± 0.0020" in text
    rate = results["summary"][1]["bpp"]["mean"]
    assert f"0.0123 ± 0.0020<small>{rate:.4f}</small>" in written(tmp_path)
    assert "FID between" not in text
    assert text.count("too <few>") == 1
    assert "(figures from anchors.tsv)" in text


def test_what_is_missing_is_told_with_remedies(page: str) -> None:
    text = Outline(page).text
    assert "Image <broken>.png failed: not an image & <worse>" in text
    assert "MS-SSIM is absent: needs a side of 161 pixels & <more>" in text
    assert "heic is absent. What helps: pip install <pillow-heif>" in text


def test_only_figures(make_results: Callable[..., Path], tmp_path: Path) -> None:
    page = written(make_results(tmp_path, with_pictures=False))
    data = data_of(page)
    assert all(image["original"] is None and image["thumb"] is None for image in data["images"])
    assert "const PICTURES = [];" in page
    assert "data:image/svg+xml" in page
    Outline(page)


def test_one_image_without_other_codecs(make_results: Callable[..., Path], tmp_path: Path) -> None:
    page = written(make_results(tmp_path, names=("tower",), with_anchors=False))
    data = data_of(page)
    assert data["tiers"] == [2]
    assert [len(sides) for sides in data["images"][0]["tiers"]] == [1]
    text = Outline(page).text
    assert "nothing to compare" in text
    assert "one image" not in text  # it stands in the figure only


def test_pictures_outside_the_folder_and_missing_ones_are_left_out(tmp_path: Path) -> None:
    inside = tmp_path / "results"
    inside.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.webp")
    Image.new("RGB", (4, 4)).save(inside / "a.webp")
    (inside / "notes.txt").write_text("text")
    album = Album(inside)
    assert album.add("a.webp") == 0
    assert album.add("./a.webp") == 0
    for path in ("../secret.webp", str(tmp_path / "secret.webp"), "b.webp", "notes.txt", "."):
        assert album.add(path) is None, path


def test_too_large_pictures_are_recompressed_until_they_fit(tmp_path: Path) -> None:
    noise = Image.effect_noise((300, 200), 60).convert("RGB")
    for number in range(3):
        noise.rotate(90 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.webp").write_bytes(b"no picture")
    album = Album(tmp_path)
    for name in ("0.png", "1.png", "2.png", "broken.webp"):
        album.add(name)
    whole, note = album.uris()
    assert note is None
    assert whole[0].startswith("data:image/png;base64,")
    small, note = album.uris(budget_bytes=120_000)
    assert note is not None
    assert "WebP, quality" in note
    assert small[0].startswith("data:image/webp;base64,")
    assert sum(map(len, small)) * 3 / 4 < 120_000 < sum(map(len, whole)) * 3 / 4
    assert small[3] == whole[3]
    assert album.thumb(3) is None


def test_the_same_results_give_the_same_page(page: str, results_folder: Path) -> None:
    before = (results_folder / "report.html").read_bytes()
    assert page.encode() == before
    assert written(results_folder) != page  # without published curves
    (results_folder / "report.html").write_bytes(before)

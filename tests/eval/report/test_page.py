"""The page around the viewer in Chromium: loading, table, curves, screens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageStat

from eval import report


def test_loads_and_hostile_names_do_nothing(
    page: Any, names: SimpleNamespace, tmp_path: Path
) -> None:
    assert page.driver.title == 'vqcodec on a<b>&"c"'
    shot = tmp_path / "page.png"
    page.driver.save_screenshot(str(shot))
    with Image.open(shot) as image:
        assert max(ImageStat.Stat(image.convert("L")).stddev) > 5
    assert names.image in page.column(0)
    assert names.codec.replace("\u2028", " ") in [c.replace("\u2028", " ") for c in page.column(1)]
    page.choose("image", " ".join(names.image.split()))
    page.wait(lambda: page.address()["image"] == names.image)
    assert page.driver.title == 'vqcodec on a<b>&"c"'
    assert page.js("return performance.getEntriesByType('resource').length") == 0


def test_the_table_sorts(page: Any) -> None:
    heads = [cell.text for cell in page.all("#rows th")]
    at = heads.index("bytes")
    before = page.column(at)
    button = page.all("#rows th button")[at]
    button.click()
    sizes = [int(text.replace(",", "")) for text in page.column(at)]
    assert sizes == sorted(sizes)
    assert page.column(at) != before
    assert page.all("#rows th")[at].get_attribute("aria-sort") == "ascending"
    button.click()
    assert [int(text.replace(",", "")) for text in page.column(at)] == sorted(sizes, reverse=True)
    assert [c.get_attribute("aria-sort") for c in page.all("#rows th")].count("descending") == 1


def test_missing_figures_stand_last_and_sorting_is_stable(page: Any) -> None:
    buttons = page.all("#rows th button")
    heads = [cell.text for cell in page.all("#rows th")]
    psnr, image = (next(k for k, head in enumerate(heads) if name in head)
                   for name in ("PSNR", "image"))  # fmt: skip
    for _ in range(2):
        buttons[psnr].click()
        column = page.column(psnr)
        known = [text for text in column if text != "\N{EN DASH}"]
        assert 0 < len(known) < len(column)
        assert column[: len(known)] == known
    falling = list(zip(page.column(image), column, strict=True))
    buttons[image].click()
    by_image = list(zip(page.column(image), page.column(psnr), strict=True))
    of_field = [text for name, text in by_image if name == "field"]
    assert of_field == [text for name, text in falling if name == "field"]
    assert [name for name, _ in by_image] != [name for name, _ in falling]


def test_the_table_filters(page: Any) -> None:
    page.choose("filter-image", "tower")
    page.choose("filter-codec", "jpeg/4")
    assert page.column(0) == ["tower"]
    assert page.column(1) == ["jpeg/4"]
    assert page["count"].text.startswith("1 of ")
    page.choose("filter-image", "all images")
    assert sorted(page.column(2)) == ["7", "9", "9", "9"]


def test_figures_beside_a_point_of_a_curve(page: Any) -> None:
    plot = page.all("[role=tabpanel]:not([hidden]) .plot")[0]
    page.show(plot)
    spots = page.js("return JSON.parse(document.getElementById('data').textContent).metrics")
    spot = next(metric for metric in spots if metric["name"] == "lpips_alex")["spots"][0]
    size = plot.size
    x, y = ((share - 0.5) * size[side] for share, side in zip(spot["wide"], ("width", "height"),
                                                              strict=True))  # fmt: skip
    page.act().move_to_element_with_offset(plot, round(x), round(y)).perform()
    page.wait(lambda: page["tip"].is_displayed())
    assert page["tip"].text.splitlines()[0] == "vqcodec, tier 1"


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen(
    browser: Any, path: Path, width: int, scheme: str, tmp_path: Path
) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    cdp = browser.driver.execute_cdp_cmd
    cdp("Emulation.setDeviceMetricsOverride", metrics)
    cdp("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.open(path)
        browser.wait(lambda: browser.all("#left-layer img"))
        assert browser.js("return document.documentElement.scrollWidth") <= width
        panel = "[role=tabpanel]:not([hidden]) .plot img"
        shown = [image for image in browser.all(panel) if image.is_displayed()]
        kind = f"{'narrow' if width < 640 else 'wide'} {scheme}"
        assert [image.get_attribute("class") for image in shown] == [kind]
        shot = tmp_path / "page.png"
        browser.driver.save_screenshot(str(shot))
        with Image.open(shot) as image:
            assert (image.convert("L").getpixel((3, 500)) < 80) == (scheme == "dark")
    finally:
        cdp("Emulation.clearDeviceMetricsOverride", {})
        cdp("Emulation.setEmulatedMedia", {"features": []})


def test_only_figures(browser: Any, make_results: Callable[..., Path], tmp_path: Path) -> None:
    browser.open(report.write(make_results(tmp_path, with_pictures=False), curves=()))
    assert browser["look-none"].is_displayed()
    assert not browser["viewer"].is_displayed()
    browser.all("#rows tbody tr")[0].click()  # there is nothing to open, and nothing breaks
    assert len(browser.column(0)) > 40


def test_one_image_without_other_codecs(
    browser: Any, make_results: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_results(tmp_path, names=("tower",), with_anchors=False)
    browser.open(report.write(folder, curves=()))
    browser.wait(lambda: browser.all("#left-layer img"))
    options = browser.offered("right")
    assert options == ["original", "vqcodec, tier 2"]
    assert not browser["strip"].is_displayed()
    assert not browser["next"].is_displayed()

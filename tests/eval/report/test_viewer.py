"""The viewer as people use it: real drags, wheels, clicks and keys in Chromium."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("selenium", reason="pip install selenium")
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys


def near(color: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 6 for a, b in zip(color, wanted, strict=True))


def test_dragging_the_border_shows_more_of_the_left_picture(
    page: Any, names: SimpleNamespace
) -> None:
    left, right = page.sides()
    assert near(left, names.colors["original"])
    assert near(right, names.colors["vqcodec"])
    clip = "return getComputedStyle(document.getElementById('left-layer')).clipPath"
    before, line = page.js(clip), page.line()
    page.act().drag_and_drop_by_offset(page["handle"], 150, 0).perform()
    assert page.js(clip) != before
    assert page.line() == pytest.approx(line + 150, abs=1)
    left, right = page.sides()
    assert near(left, names.colors["original"])
    assert near(right, names.colors["vqcodec"])
    # beyond the picture's edge the border stays on the picture
    page.act().drag_and_drop_by_offset(page["handle"], 440, 0).perform()
    assert page["handle"].get_attribute("aria-valuenow") == "100"
    assert page.line() < page["stage"].size["width"] - 100


def test_a_drag_on_the_picture_moves_the_border_too(page: Any) -> None:
    page.show(page["stage"])
    line = page.line()
    start = page.act().move_to_element_with_offset(page["stage"], -120, 60).click_and_hold()
    start.move_by_offset(-30, 0).release().perform()
    assert page.line() == pytest.approx(line - 150, abs=1.5)


def test_another_codec_and_tier(page: Any, names: SimpleNamespace) -> None:
    page.choose("left", "avif/2")
    page.wait(lambda: near(page.sides()[0], names.colors["avif/2"]))
    assert page["left-figures"].text.startswith("660 bytes")
    assert "LPIPS" in page["left-figures"].text
    assert "1.3 \N{MULTIPLICATION SIGN} our size" in page["left-figures"].text
    assert page["right-figures"].text.startswith("500 bytes")
    page.show(page.all("#tiers label")[2]).click()
    page.wait(lambda: page["right-figures"].text.startswith("900 bytes"))
    assert page["left-figures"].text.startswith("1,100 bytes")
    assert page.chosen("right") == "vqcodec, tier 8"
    options = page.offered("left")
    assert options == ["original", "vqcodec, tier 8", "avif/2", "jpeg/4"]  # vvc: only figures
    page.show(page["swap"]).click()
    page.wait(lambda: near(page.sides()[1], names.colors["avif/2"]))


def test_zoom_and_pan(page: Any) -> None:
    whole = page.zoom()
    stage = page.show(page["stage"])
    time.sleep(0.3)  # a wheel that has just scrolled the page does not zoom
    left = "return document.querySelector('#left-layer img').getBoundingClientRect().left"
    page["actual"].click()
    assert page.zoom() == 100
    assert not page.all(".layer.pixelated")
    page["fit"].click()
    assert page.zoom() == whole
    page["zoom-in"].click()
    assert page.zoom() == pytest.approx(1.5 * whole, abs=1)
    assert page.all(".layer.pixelated")
    page["zoom-out"].click()
    assert page.zoom() == whole

    # The picture's point below the pointer stays there.
    page.act().move_to_element_with_offset(stage, -50, 10).perform()
    spot = "const box = document.querySelector('#left-layer img').getBoundingClientRect();"
    spot += "const stage = document.getElementById('stage').getBoundingClientRect();"
    spot += "return (stage.left + stage.width / 2 - 50 - box.left) / box.width"
    page["zoom-in"].click()  # from here on wider than the stage
    before = page.js(spot)
    origin = ScrollOrigin.from_element(stage, -50, 10)
    for _ in range(2):
        page.act().scroll_from_origin(origin, 0, -120).perform()
    page.wait(lambda: page.zoom() > 1.9 * whole)
    assert page.js(spot) == pytest.approx(before, abs=0.005)
    at, line = page.js(left), page.line()
    start = page.act().move_to_element_with_offset(stage, -150, 10).click_and_hold()
    start.move_by_offset(40, 0).release().perform()
    assert page.js(left) == pytest.approx(at + 40, abs=1.5)
    assert page.line() == pytest.approx(line, abs=1.5)  # the border is not the picture's
    page.act().move_to_element_with_offset(stage, -150, 10).double_click().perform()
    assert page.zoom() == whole


def test_keys(page: Any, names: SimpleNamespace) -> None:
    page["handle"].send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.PAGE_UP)
    assert page["handle"].get_attribute("aria-valuenow") == "62"
    assert page["handle"].get_attribute("aria-valuetext").startswith("62 % original")
    page["handle"].send_keys(Keys.HOME)
    assert page["handle"].get_attribute("aria-valuenow") == "0"
    assert page.chosen("image") == "field"
    page["stage"].send_keys(Keys.ARROW_LEFT)
    page.wait(lambda: page.chosen("image") == "tower")
    page["stage"].send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.wait(lambda: page.address()["image"] == names.image)
    assert page.chosen("image") == names.image
    whole = page.wait(lambda: page.zoom() if page.zoom() < 600 else 0)  # a higher picture
    page["stage"].send_keys("+")
    assert page.zoom() == pytest.approx(1.5 * whole, abs=1)
    page["stage"].send_keys("1")
    assert page.zoom() == 100
    tabs = page.all("[role=tab]")
    chosen = next(tab for tab in tabs if tab.get_attribute("aria-selected") == "true")
    assert "LPIPS" in chosen.text
    chosen.send_keys(Keys.ARROW_RIGHT)
    other = page.driver.switch_to.active_element
    assert "PSNR" in other.text
    shown = [panel for panel in page.all("[role=tabpanel]") if panel.is_displayed()]
    assert [panel.get_attribute("aria-labelledby") for panel in shown] == [
        other.get_attribute("id")
    ]


def test_a_row_opens_in_the_viewer(page: Any, names: SimpleNamespace) -> None:
    page.choose("filter-image", "tower")
    page.choose("filter-codec", "jpeg/4")
    page.all("#rows tbody tr:not([hidden]) td:nth-child(5)")[0].click()
    page.wait(lambda: page.address()["image"] == "tower")
    assert page.chosen("left") == "jpeg/4"
    assert page.chosen("right").startswith("vqcodec, tier")
    assert page["left-figures"].text.startswith(page.column(4)[0] + " bytes")
    page.wait(lambda: near(page.sides()[0], names.colors["jpeg/4"]))
    assert page.js("return scrollY + innerHeight / 2") > page["stage"].location["y"]
    assert not page["notice"].is_displayed()
    # a tier that is not in the page, and a codec without pictures
    page.choose("filter-codec", "vqcodec")
    page.all("#rows tbody tr:not([hidden]) td:nth-child(1)")[4].click()
    page.wait(lambda: "shown instead: tier 4" in page["notice"].text)
    page.choose("filter-codec", "vvc")
    page.all("#rows tbody tr:not([hidden]) button")[0].click()
    page.wait(lambda: "only figures of vvc" in page["notice"].text)


def test_a_link_leads_to_what_is_seen(page: Any, path: Path, names: SimpleNamespace) -> None:
    page.choose("image", "tower")
    page.choose("right", "avif/2")
    page.choose("left", "jpeg/4")
    link = page.address()
    assert link == {"image": "tower", "tier": "4", "left": "jpeg/4", "right": "avif/2"}
    page.open(path, **{**link, "tier": "8"})
    page.wait(lambda: near(page.sides()[1], names.colors["avif/2"]))
    assert (page.chosen("image"), page.chosen("left")) == ("tower", "jpeg/4")
    assert page.address()["tier"] == "8"
    page.open(path, image="none", tier="x", left="__proto__", right="<b>")
    page.wait(lambda: page.all("#left-layer img"))
    assert (page.chosen("left"), page.chosen("right")) == ("original", "vqcodec, tier 4")

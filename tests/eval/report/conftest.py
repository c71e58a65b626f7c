"""What tests of the report share: results by the schema with hostile names, and a browser.

Figures are made up, pictures have one colour each, so that tests see which one is shown.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from PIL import Image

from eval import report, rows

HOSTILE_IMAGE = "<img src=x onerror=\"document.title='owned'\"> & 'ça' \u65e5\u672c"
HOSTILE_CODEC = "<script>document.title='owned'</script>\u2028$x$ {{data}}"
SIZES = {"field": (90, 120), HOSTILE_IMAGE: (128, 96), "tower": (150, 70)}  # height, width
COLORS = {"original": "#2040c0", "vqcodec": "#c03020", "avif/2": "#209040", "jpeg/4": "#d0b020"}
POINTS = {"vqcodec": range(1, 10), "avif/2": (2, 5, 9), "jpeg/4": (7, 9), "vvc": (1, 4, 8)}
SOURCES = {
    "psnr_db": {"source": "eval/metrics"},
    "ms_ssim": {"absent": "needs a side of 161 pixels & <more>"},
    "lpips_alex": {"source": "eval/alexnet.py"},
}
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--window-size=1200,1100""".split()
PATIENCE_S = 5


def _size(codec: str, point: int, index: int) -> int:
    """Ours 200 to 1,000 bytes; AVIF a little larger, JPEG twice, VVC a little smaller."""
    factor = {"avif/2": 1.1, "jpeg/4": 2.0, "vvc": 0.9}.get(codec, 1.0)
    return round(factor * (100 + 100 * point + index))


def _rows(names: list[str], codecs: dict[str, Any], with_pictures: bool) -> list[rows.Row]:
    made = []
    for codec, points in codecs.items():
        for index, name in enumerate(names):
            height, width = SIZES[name]
            for point in points:
                if codec == "jpeg/4" and point == 7 and index:
                    continue  # a point that only the first image reaches
                size = _size(codec, point, index)
                path = f"pictures/{name}/{codec.replace('/', '_')}-{point}.webp"
                has_picture = with_pictures and codec in COLORS
                made.append(
                    rows.Row(
                        image=name,
                        height_px=height,
                        width_px=width,
                        codec=codec,
                        point=point,
                        setting=f"tier {point}" if codec == "vqcodec" else f"quality {90 - point}",
                        size_bytes=size,
                        bpp=round(8 * size / (height * width), 6),
                        picture=path if has_picture else None,
                        metrics={
                            "psnr_db": None if codec == HOSTILE_CODEC else 18 + point / 3 + index,
                            "lpips_alex": round(0.6 - 0.03 * point + 0.001 * len(codec), 6),
                        },
                    )
                )
    return made


def _comparison(codecs: list[str]) -> dict[str, Any]:
    refused = {"bd_rate_percent": None, "from": None, "to": None, "bd_metric": None}
    bd = [
        {"codec": codec, "metric": "lpips_alex", **refused, "refused": 'no overlap: <a> & "b"'}
        for codec in codecs
        if codec not in ("vqcodec", "avif/2")
    ]
    told = {"bd_rate_percent": -61.24, "from": 0.35, "to": 0.5, "bd_metric": -0.11}
    if "avif/2" in codecs:
        bd.append({"codec": "avif/2", "metric": "lpips_alex", **told, "refused": None})
    values = {codec: [0.5, 0.4 + 0.1 * bool(at), None] for at, codec in enumerate(codecs)}
    return {
        "reference": "vqcodec",
        "bd": bd,
        "equal_bpp": {"rates_bpp": [0.1, 0.2, 0.3], "metrics": {"lpips_alex": values}},
    }


def make(
    folder: Path,
    names: tuple[str, ...] = tuple(SIZES),
    with_anchors: bool = True,
    with_pictures: bool = True,
) -> Path:
    """Write results.json and pictures/; gives the folder."""
    codecs: dict[str, Any] = {**POINTS, HOSTILE_CODEC: (3,)} if with_anchors else {"vqcodec": (2,)}
    made = _rows(list(names), codecs, with_pictures)
    if with_pictures:
        pictures = {f"pictures/{name}/original.webp": (name, "original") for name in names}
        pictures |= {row.picture: (row.image, row.codec) for row in made if row.picture}
        for path, (name, codec) in pictures.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", SIZES[name][::-1], COLORS[codec]).save(folder / path, lossless=True)
    results = {
        "schema": rows.SCHEMA,
        "provenance": {
            "date": "2026-01-02T03:04:05+00:00",
            "vqcodec": "0.2.0",
            "commit": "0123456789abcdef+changes",
            "model": {"name": "<b>pack</b>", "sha256": "ab" * 32},
            "cpu": 'A "fast" <CPU> & more',
            "cores": 2,
        },
        "settings": {"data": 'a<b>&"c"', "images": list(names), "tiers": [1, 4, 8]},
        "codecs": {codec: {"identity": f"{codec}, 1 <2>"} for codec in codecs},
        "metrics": SOURCES,
        "absent": [{"codec": "heic", "remedy": "pip install <pillow-heif>"}],
        "failed": [{"image": "<broken>.png", "error": "not an image & <worse>"}],
        "summary": rows.summarise(made),
        "comparison": _comparison(list(codecs)) if with_anchors else None,
        "rows": [rows.as_json(row) for row in made],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Path]:
    """The function `make`, for other shapes of results."""
    return make


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images, five curves."""
    return make(tmp_path_factory.mktemp("results") / "full")


@pytest.fixture(scope="session")
def names() -> SimpleNamespace:
    """Hostile names, and colours by codec as (r, g, b)."""
    colors = {
        codec: tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))
        for codec, text in COLORS.items()
    }
    return SimpleNamespace(image=HOSTILE_IMAGE, codec=HOSTILE_CODEC, colors=colors)


@pytest.fixture(scope="session")
def published_curves() -> list[SimpleNamespace]:
    """Two curves, one of another metric only."""
    return [
        SimpleNamespace(
            name="<i>Paper</i> 2024 $a$",
            mark="F",
            source="arXiv <1> & more",
            points={"lpips_alex": [(0.1, 0.3), (0.4, 0.2)]},
        ),
        SimpleNamespace(name="Other", mark="T", source="b", points={"dists": [(0.1, 0.3)]}),
    ]


class Page:
    """What the tests do with the page."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, **hash_: str) -> Page:
        """Load a page anew; what earlier pages logged is forgotten."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.as_uri() + (f"#{urlencode(hash_)}" if hash_ else ""))
        self.js("document.documentElement.style.scrollBehavior = 'auto'")
        return self

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def __getitem__(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def wait(self, is_so: Callable[[], Any]) -> Any:
        """Wait until something is so; pictures are decoded in the background."""
        end = time.monotonic() + PATIENCE_S
        while not (found := is_so()):
            assert time.monotonic() < end, "it never came to be so"
            time.sleep(0.02)
        return found

    def act(self) -> Any:
        from selenium.webdriver.common.action_chains import ActionChains

        return ActionChains(self.driver, duration=20)

    def show(self, element: Any) -> Any:
        """Scroll an element to the middle of the window; gives it."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )
        return element

    def choose(self, name: str, text: str) -> None:
        find = "return [...arguments[0].options].find((one) => one.text === arguments[1])"
        self.js(find, self[name], text).click()

    def chosen(self, name: str) -> str:
        return self.js("return arguments[0].selectedOptions[0].text", self[name])

    def offered(self, name: str) -> list[str]:
        return self.js("return [...arguments[0].options].map((one) => one.text)", self[name])

    def column(self, number: int, is_all: bool = False) -> list[str]:
        """Cells of the table of files, rows filtered out left out."""
        return self.js(
            "return [...document.querySelectorAll('#rows tbody tr')]"
            ".filter((row) => arguments[1] || !row.hidden)"
            ".map((row) => row.cells[arguments[0]].textContent)",
            number,
            is_all,
        )

    def sides(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Colours that are seen just left and right of the border."""
        with Image.open(io.BytesIO(self.show(self["stage"]).screenshot_as_png)) as image:
            shot = image.convert("RGB")
        line = self.line()
        height = shot.height // 2 - 40  # beside the grip
        return shot.getpixel((round(line) - 9, height)), shot.getpixel((round(line) + 9, height))

    def line(self) -> float:
        return self.js(
            "const box = (id) => document.getElementById(id).getBoundingClientRect();"
            "return box('handle').left + 22 - box('stage').left"
        )

    def zoom(self) -> int:
        return int(self.js("return document.getElementById('zoom').value").split()[0])

    def address(self) -> dict[str, str]:
        found = parse_qs(self.js("return location.hash.slice(1)"))
        return {name: value for name, (value,) in found.items()}


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window, or skip."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    for path in (CHROMIUM, DRIVER):
        if not path.exists():
            pytest.skip(f"{path} is absent: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_experimental_option("perfLoggingPrefs", {"enablePage": False})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver: Any) -> Iterator[Page]:
    """A browser that must leave no error in its console and ask the network for nothing."""
    yield Page(driver)
    assert driver.get_log("browser") == []
    asked = [
        message["params"]["request"]["url"]
        for entry in driver.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert asked, "nothing was logged"
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


@pytest.fixture(scope="session")
def path(results_folder: Path, published_curves: list[SimpleNamespace]) -> Path:
    """The page of `results_folder`."""
    return report.write(results_folder, curves=published_curves)


@pytest.fixture
def page(browser: Page, path: Path) -> Page:
    """The page, loaded, with its first pictures."""
    browser.open(path)
    browser.wait(lambda: browser.all("#left-layer img"))
    return browser

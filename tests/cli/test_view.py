"""`vqcodec view`: what it takes, what it refuses, and that Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vqcodec import viewing
from vqcodec.cli import view

PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from pathlib import Path; from vqcodec import viewing; "
    "from vqcodec.cli.main import main; "
    "viewing.PLACES = (Path(sys.argv.pop(1)),); main(sys.argv[1:])",
]


@pytest.fixture
def page(folder: Path) -> Path:
    """A built page."""
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text("the page")
    return folder / "page"


@pytest.fixture
def viewing_of(page: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process of its own; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROGRAM, str(page), "view", "--no-browser", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A suite that was started in the background ignores Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            if process.poll() is None:
                process.kill()


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def test_it_serves_until_ctrl_c(viewing_of: Callable, folder: Path) -> None:
    process = viewing_of("two.vqc")
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    assert read(url) == b"the page"
    assert read(url.partition("?")[0] + "file/two.vqc") == (folder / "two.vqc").read_bytes()
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    said = ["serving this machine alone; Ctrl-C ends it", "vqcodec: interrupted"]
    assert [line for line in stderr.splitlines() if line] == said
    assert process.returncode == 130


def test_json_tells_the_address(viewing_of: Callable) -> None:
    process = viewing_of("photo.png", "--json", "-q")
    record = json.loads(process.stdout.readline())
    assert record["schema"] == "vqcodec.view/1"
    assert record["path"] == "photo.png"
    assert read(record["url"]) == b"the page"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nothing.vqc", 3, "nothing.vqc: no such file"),
        ("out", 3, "out: is a folder"),
        ("void.vqc", 3, "void.vqc: is empty"),
        ("notes.txt", 3, "notes.txt: is neither a .vqc file nor a photo"),
        ("short.vqc", 4, "short.vqc: "),
    ],
)
def test_a_file_is_judged_first(
    run: Callable, page: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, said: str
) -> None:
    monkeypatch.setattr(viewing, "PLACES", (page,))
    result = run("view", "--no-browser", name)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(f"vqcodec: error: {said}")


def test_without_a_page_it_says_how_to_build_one(
    run: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "PLACES", (folder / "nowhere",))
    result = run("view", "--no-browser")
    assert result.exit_code == 6
    assert "make viewer" in result.stderr


def test_a_wrong_port_is_wrong_usage(run: Callable) -> None:
    assert run("view", "--port", "70000").exit_code == 2
    assert run("view", "--port", "0").exit_code == 2


def test_the_browser_is_opened_at_the_address(
    run: Callable, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def serve(server: viewing.ViewingServer) -> None:
        while not asked:
            pass

    monkeypatch.setattr(viewing, "PLACES", (page,))
    monkeypatch.setattr(viewing.ViewingServer, "serve_forever", serve)
    monkeypatch.setattr(view.webbrowser, "open", lambda url: bool(asked.append(url)))
    result = run("view", "damaged.vqc")
    assert asked == [result.stdout.strip()]


@pytest.mark.parametrize(
    "data", [b"RIFF1234WEBPVP8 ", b"\0\0\0 ftypavif", b"GIF89a", b"\xff\xd8\xff"]
)
def test_photos_of_browsers_are_taken(folder: Path, data: bytes) -> None:
    (folder / "a").write_bytes(data)
    assert view._read(str(folder / "a")).name == "a"


def test_what_is_left_of_a_file_is_taken(folder: Path) -> None:
    (folder / "headless.vqc").write_bytes(b"??" + (folder / "two.vqc").read_bytes()[6:])
    assert view._read("headless.vqc").data.startswith(b"??")

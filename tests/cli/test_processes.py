"""What only a process of its own shows: pipes, terminals, signals, a stdout that is full."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    "arguments", [("info", "small.vqc"), ("models", "list"), ("--help",), ("--version",)]
)
def test_a_reader_that_has_gone_ends_quietly(spawn: Callable, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = spawn(*arguments, stdout=writer)
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 3


@pytest.mark.parametrize("arguments", [("info", "small.vqc"), ("--help",)])
def test_a_stdout_that_is_full_is_said(spawn: Callable, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = spawn(*arguments, stdout=full)
    assert done.stderr == b"vqcodec: error: stdout: cannot be written: no space left on device.\n"
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("decode", "small.vqc", "-o", "-"), "stdout is a terminal; redirect it"),
        (("encode", "-", "-m", "tiny", "-o", "new.vqc"), "stdin is a terminal; pipe a file"),
    ],
)
def test_terminals_get_no_bytes_and_are_not_asked_for_any(
    spawn: Callable, unchanged: Callable, arguments: tuple[str, ...], says: str
) -> None:
    master, terminal = pty.openpty()
    try:
        done = spawn(*arguments, stdout=terminal, stdin=terminal)
    finally:
        os.close(terminal)
        os.close(master)
    assert done.returncode == 2
    assert says in done.stderr.decode()
    assert unchanged()


def test_ctrl_c_is_exit_130(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "vqcodec", "info", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A suite that was started in the background ignores Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(bytes(2**20))  # more than a pipe holds: it is being read now
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().strip() == b"vqcodec: interrupted"


def test_light_commands_answer_in_a_process_of_their_own(spawn: Callable, folder: Path) -> None:
    done = spawn("info", "-", input=(folder / "small.vqc").read_bytes())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"stdin: 48 x 32 px, 20 bytes")
    done = spawn("verify", "small.vqc")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"small.vqc: intact\n", b"")


def test_a_locale_without_the_letter_is_no_failure(spawn: Callable, folder: Path) -> None:
    (folder / "small.vqc").rename(folder / "ŝ.vqc")
    done = spawn("info", "ŝ.vqc", "-q")
    assert done.returncode == 0
    os.environ["PYTHONIOENCODING"] = "latin-1"
    try:
        done = spawn("info", "ŝ.vqc")
    finally:
        del os.environ["PYTHONIOENCODING"]
    assert done.returncode == 0
    assert done.stdout.startswith(b"\\u015d.vqc: ")


def test_a_broken_tiff_gives_one_line_though_libtiff_has_its_own(
    spawn: Callable, folder: Path
) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(stream, "TIFF", compression="tiff_adobe_deflate")
    broken = bytearray(stream.getvalue())
    broken[1000:1100] = bytes(100)
    (folder / "broken.tif").write_bytes(broken)
    done = spawn("encode", "broken.tif", "-m", "tiny")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert b"broken or cut short" in done.stderr


PROBE = """
import sys
from vqcodec.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("encode", "photo.png", "-o", "small.vqc", "-m", "tiny"), 3),
        (("encode", "nowhere.png", "notes.txt", "cut.png", "huge.png", "-m", "tiny"), 3),
        (("encode", "photo.png", "-m", "nobody"), 5),
        (("encode", "photo.png", "-t", "13"), 2),
        (("encode", "photo.png", "-m", "tiny", "-t", "12"), 5),
        (("decode", "damaged.vqc", "foreign.vqc", "-o", "out"), 5),
        (("decode", "small.vqc", "-o", "new.gif"), 3),
        (("decode", "small.vqc", "--max-pixels", "10"), 4),
    ],
)
def test_what_needs_no_network_is_refused_before_torch_loads(
    folder: Path, arguments: tuple[str, ...], exit_code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == exit_code
    assert done.stderr.splitlines()[-1] == "False"


def test_info_needs_the_standard_library_and_click_alone(folder: Path) -> None:
    heavy = "{'torch', 'numpy', 'PIL', 'constriction', 'safetensors'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", PROBE.replace('"torch" in sys.modules', heavy), "info", "small.vqc"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == "set()\n"


def test_a_misspelt_option_is_answered_with_the_right_one() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vqcodec", "encode", "x.png", "--teir", "3"],
        capture_output=True,
        text=True,
    )
    wanted = "no such option '--teir'. Did you mean '--tier'? See 'vqcodec encode --help'."
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"vqcodec: error: {wanted}\n"

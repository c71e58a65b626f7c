"""What goes wrong gives one line, its exit code, no traceback and nothing half-written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vqcodec import codec
from vqcodec.bitstream.layout import MAGIC
from vqcodec.errors import BackendError


def one_line(result) -> str:
    (line,) = result.stderr.splitlines()
    assert line.startswith("vqcodec: error: ")
    assert result.stdout == ""
    return line.removeprefix("vqcodec: error: ")


class OutOfMemoryError(RuntimeError):
    """What torch raises for a full GPU, by its name."""


@pytest.mark.parametrize(
    ("error", "exit_code", "says"),
    [
        (MemoryError(), 6, "out of memory. Close other programs, or take a smaller image."),
        (OutOfMemoryError("CUDA"), 6, "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 6, "out of memory"),
        (
            ModuleNotFoundError("no torch", name="torch"),
            6,
            "this needs torch, which is not installed. Run pip install 'vqcodec[torch]'.",
        ),
        (
            ModuleNotFoundError("no numpy", name="numpy"),
            6,
            "python module 'numpy' cannot be loaded",
        ),
        (BackendError("device 'cuda' is not here."), 6, "device 'cuda' is not here."),
        (
            ValueError("odd\nnumber"),
            1,
            "unexpected ValueError: odd number. This is a bug in vqcodec",
        ),
        (AssertionError(), 1, "unexpected AssertionError"),
        (OSError(errno.EIO, "Input/output error"), 3, "input/output error."),
    ],
)
def test_failures_of_the_networks(
    run: Callable,
    monkeypatch: pytest.MonkeyPatch,
    unchanged: Callable,
    error: Exception,
    exit_code: int,
    says: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(codec, "encode", fail)
    result = run("encode", "photo.png", "-m", "tiny")
    assert result.exit_code == exit_code
    assert one_line(result).startswith(f"photo.png: {says}")
    assert unchanged()


def test_debug_shows_the_traceback(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "encode", lambda *_, **__: 1 / 0)
    result = run("encode", "photo.png", "-m", "tiny", "--debug")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("vqcodec: error: photo.png: unexpected Zero")


def test_a_bug_outside_a_file_s_work_is_reported_too(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vqcodec.packs.store.find", lambda _: 1 / 0)
    result = run("encode", "photo.png")
    assert result.exit_code == 1
    assert one_line(result).startswith("unexpected ZeroDivisionError")


def test_ctrl_c_leaves_nothing_behind(
    run: Callable, monkeypatch: pytest.MonkeyPatch, unchanged: Callable
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(codec, "encode", interrupt)
    result = run("encode", "photo.png", "-m", "tiny")
    assert result.exit_code == 130
    assert result.stderr.strip() == "vqcodec: interrupted"
    assert unchanged()


def test_ctrl_c_while_writing_leaves_nothing_behind(
    run: Callable, monkeypatch: pytest.MonkeyPatch, unchanged: Callable
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupt)
    assert run("encode", "photo.png", "-m", "tiny").exit_code == 130
    assert unchanged()


def test_permission_is_asked_before_the_work(
    run: Callable, monkeypatch: pytest.MonkeyPatch, unchanged: Callable
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(codec, "encode", lambda *_, **__: pytest.fail("too late"))
    result = run("encode", "photo.png", "-o", "out/new.vqc", "-m", "tiny")
    assert result.exit_code == 3
    assert one_line(result) == (
        "out/new.vqc: the folder out cannot be written. Give another with -o."
    )
    assert unchanged()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission denied"), (errno.ENOSPC, "no space left on device")],
)
def test_a_write_that_fails(
    run: Callable,
    monkeypatch: pytest.MonkeyPatch,
    unchanged: Callable,
    number: int,
    words: str,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    result = run("encode", "photo.png", "-o", "small.vqc", "-f", "-m", "tiny")
    assert result.exit_code == 3
    assert one_line(result) == (
        f"small.vqc: cannot be written: {words}. Nothing was left there; give another place "
        "with -o."
    )
    assert unchanged()


def test_an_input_without_permission(
    run: Callable, monkeypatch: pytest.MonkeyPatch, unchanged: Callable
) -> None:
    def fail(name: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", name)

    monkeypatch.setattr("vqcodec.cli.inputs._open", fail)
    result = run("info", "small.vqc")
    assert result.exit_code == 3
    assert one_line(result) == (
        "small.vqc: cannot be read: permission denied. Check the name and its permissions."
    )
    assert unchanged()


def test_a_name_too_long(run: Callable, unchanged: Callable) -> None:
    name = "n" * 300
    for command in (("info", name), ("encode", "photo.png", "-o", name, "-m", "tiny")):
        result = run(*command)
        assert result.exit_code == 3
        assert "file name too long" in one_line(result)
    assert unchanged()


def test_an_endless_input_is_cut(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqcodec.cli.inputs.MAX_VQC_BYTES", 2**20)
    result = run("info", "/dev/zero")
    assert result.exit_code == 4
    assert "larger than any .vqc file" in one_line(result)


@pytest.mark.parametrize("verb", ["info", "verify", "decode"])
def test_no_changed_byte_goes_unseen(
    run: Callable, folder: Path, vqc: Callable, unchanged: Callable, verb: str
) -> None:
    whole = (folder / "small.vqc").read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        output = ["-o", "out/new.png"] if verb == "decode" else []
        result = run(verb, "-", *output, stdin=bytes(changed))
        assert "Traceback" not in result.stderr
        assert len((result.stdout + result.stderr).splitlines()) <= 6
        if verb == "info" and result.exit_code == 0:
            assert "damaged" in result.stdout
        elif verb == "decode" and place < len(MAGIC):  # the packet behind it is intact
            assert result.exit_code == 0
            assert "damaged, and nothing of the picture is lost" in result.stderr
            (folder / "out" / "new.png").unlink()
        else:
            assert result.exit_code == 4
    assert unchanged()


@pytest.mark.parametrize("verb", ["info", "verify", "decode"])
def test_no_truncation_goes_unseen(
    run: Callable, folder: Path, unchanged: Callable, verb: str
) -> None:
    whole = (folder / "small.vqc").read_bytes()
    for length in range(1, len(whole)):
        output = ["-o", "out/new.png"] if verb == "decode" else []
        result = run(verb, "-", *output, stdin=whole[:length])
        if verb == "info" and result.exit_code == 0:
            assert "damaged" in result.stdout
        else:
            assert result.exit_code == 4
    assert unchanged()


def test_several_inputs_end_with_the_highest_code(run: Callable) -> None:
    assert run("verify", "small.vqc", "nowhere.vqc").exit_code == 3
    assert run("verify", "nowhere.vqc", "damaged.vqc", "small.vqc").exit_code == 4
    assert run("verify", "foreign.vqc", "damaged.vqc", "nowhere.vqc").exit_code == 5


def test_a_broken_pack_is_exit_5(
    run: Callable, tiny_pack: Path, folder: Path, unchanged: Callable
) -> None:
    pack = folder / "packs" / "tiny"
    pack.mkdir(parents=True)
    (pack / "manifest.toml").write_bytes((tiny_pack / "manifest.toml").read_bytes())
    (pack / "weights.safetensors").write_bytes(b"other weights")
    for command in (
        ("models", "check", "packs/tiny"),
        ("encode", "photo.png", "-m", "packs/tiny"),
        ("verify", "small.vqc", "-m", "packs/tiny"),
        ("decode", "small.vqc", "-m", "packs/tiny"),
    ):
        result = run(*command)
        assert result.exit_code == 5
        assert "13 bytes, the manifest says" in one_line(result)
    (pack / "manifest.toml").write_text("schema = 99", encoding="utf-8")
    assert run("models", "check", "packs/tiny").exit_code == 5


def test_models_check_sees_packs_that_list_leaves_out(
    run: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "packs" / "torn").mkdir(parents=True)
    (folder / "packs" / "torn" / "manifest.toml").write_text("schema =", encoding="utf-8")
    monkeypatch.setenv("VQCODEC_MODELS", str(folder / "packs"))
    listed = run("models", "list")
    assert listed.exit_code == 0
    assert "no model pack found" in listed.stderr
    assert run("models", "check").exit_code == 5

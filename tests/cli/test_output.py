"""Outputs appear whole or not at all, and never over another file unless asked."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from vqcodec.cli.output import write
from vqcodec.errors import OutputError, OutputExistsError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_written_with_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(str(tmp_path / "new"), b"data", is_forced=False)
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"data"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert names(tmp_path) == ["new"]


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"theirs")
    with pytest.raises(OutputExistsError, match="Give -f"):
        write(str(tmp_path / "new"), b"ours", is_forced=False)
    assert (tmp_path / "new").read_bytes() == b"theirs"
    assert names(tmp_path) == ["new"]


@pytest.mark.parametrize("exists", [False, True])
def test_file_systems_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    if exists:
        (tmp_path / "new").write_bytes(b"theirs")
        with pytest.raises(OutputExistsError):
            write(str(tmp_path / "new"), b"ours", is_forced=False)
        assert (tmp_path / "new").read_bytes() == b"theirs"
    else:
        write(str(tmp_path / "new"), b"ours", is_forced=False)
        assert (tmp_path / "new").read_bytes() == b"ours"
    assert names(tmp_path) == ["new"]


def test_a_reserved_name_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError):
        write(str(tmp_path / "new"), b"ours", is_forced=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, is_forced: bool) -> None:
    if is_forced:
        (tmp_path / "new").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"file too large\. Nothing was left there"):
            write(str(tmp_path / "new"), bytes(10_000), is_forced=is_forced)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == (["new"] if is_forced else [])
    if is_forced:
        assert (tmp_path / "new").read_bytes() == b"old"


def test_a_device_is_written_and_not_replaced() -> None:
    write("/dev/null", b"data", is_forced=True)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="no space left on device"):
        write("/dev/full", b"data", is_forced=False)


def test_a_folder_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        write(str(tmp_path / "gone" / "new"), b"data", is_forced=False)

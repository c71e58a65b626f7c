"""Where outputs go, and how they get there whole or not at all.

`plan` gives every input its output, `check` finds out early what would go wrong, `write` puts the
bytes into a temporary file in the target's folder and gives it its name at the end.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqcodec.cli.console import guarded_stdout, reason
from vqcodec.cli.inputs import STREAM, check_exists, check_inputs, shown
from vqcodec.errors import OutputError, OutputExistsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vqcodec.cli.console import Console


@dataclass(frozen=True)
class Job:
    """One input and its output; `rival` is an earlier input that would write the same file."""

    source: str
    target: str
    rival: str | None = None

    @property
    def label(self) -> str:
        """Both ends, for the line that reports success."""
        return f"{shown(self.source)} -> {shown_target(self.target)}"


def shown_target(name: str) -> str:
    """Return an output's name as messages print it."""
    return "stdout" if name == STREAM else os.fspath(name)


def plan(sources: tuple[str, ...], output: str | None, suffix: str, *, is_json: bool) -> list[Job]:
    """Give every input its output.

    Args:
        sources: names as given, `-` for stdin.
        output: the value of `--output`: a file, a folder, `-` or None.
        suffix: of outputs that are named after their input, with its dot.
        is_json: whether stdout is taken by `--json`.

    Raises:
        click.UsageError: the options do not go together.
    """
    check_inputs(sources)
    if output == STREAM:
        _check_stdout(sources, is_json)
        return [Job(sources[0], STREAM)]
    into_folder = output is not None and (os.path.isdir(output) or output.endswith(os.sep))
    if output is not None and not into_folder:
        if len(sources) > 1:
            raise click.UsageError("with several inputs, -o must be an existing folder.")
        return [Job(sources[0], output)]
    if STREAM in sources:
        raise click.UsageError("reading stdin, give the output's name with -o, or -o - for stdout.")
    jobs: list[Job] = []
    seen: dict[str, str] = {}
    for source in sources:
        beside = Path(source)
        folder = beside.parent if output is None else Path(output)
        target = str(folder / (beside.stem + suffix))
        rival = seen.setdefault(os.path.abspath(target), source)
        jobs.append(Job(source, target, None if rival is source else rival))
    return jobs


def run(
    jobs: Sequence[Job], console: Console, work: Callable[[Job], None], *, is_forced: bool
) -> None:
    """Check all jobs, then do those that can be done; failures are reported and remembered."""
    ready = [
        job
        for job in jobs
        if console.attempt(shown(job.source), partial(check, job, is_forced=is_forced))
    ]
    for job in ready:
        console.attempt(shown(job.source), partial(work, job))


def check(job: Job, *, is_forced: bool) -> None:
    """Find out before the work whether the input is there and the output can be written.

    Raises:
        InputError: the input is missing or a folder.
        OutputError: the output's folder is missing or read-only, or the output is the input.
        OutputExistsError: the output exists, or another input of this call goes to it too.
    """
    check_exists(job.source)
    if job.target == STREAM:
        return
    path = Path(job.target)
    try:
        _check_target(job, path, is_forced)
    except OSError as error:  # a name too long, a loop of links
        raise _unwritable(job.target, error) from error


def write(target: str, data: bytes, *, is_forced: bool) -> None:
    """Write an output so that either all of it is there or nothing.

    Args:
        target: a file's name, or `-` for stdout. Devices and pipes are written directly.
        data: all of it.
        is_forced: replace a file that exists; without, it is refused even if it appeared just now.

    Raises:
        OutputExistsError: it exists.
        OutputError: it cannot be written (disk full, read-only folder).
        click.exceptions.Exit: the reader of stdout has gone.
    """
    if target == STREAM:
        with guarded_stdout():
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return
    path = Path(target)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:
                device.write(data)
        else:
            _write_whole(path, data, is_forced)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise _unwritable(target, error) from error


def _check_stdout(sources: Sequence[str], is_json: bool) -> None:
    if len(sources) > 1:
        raise click.UsageError("with several inputs, -o must be an existing folder, not stdout.")
    if is_json:
        raise click.UsageError("-o - and --json both want stdout; give -o a file.")
    if sys.stdout is not None and sys.stdout.isatty():
        raise click.UsageError("stdout is a terminal; redirect it, or give -o a file.")


def _check_target(job: Job, path: Path, is_forced: bool) -> None:
    folder = path.parent
    if not folder.is_dir():
        fact = "is no folder" if folder.exists() else "does not exist"
        raise OutputError(
            f"the folder {folder} {fact}. Create it, or give another with -o.", place=job.target
        )
    if path.is_dir():
        raise OutputError("is a folder. Give the output another name with -o.", place=job.target)
    if job.rival is not None:
        raise OutputExistsError(
            f"{shown(job.source)} and {shown(job.rival)} would both be written to it. "
            "Convert them one by one with -o.",
            place=job.target,
        )
    if path.exists():
        if job.source != STREAM and path.samefile(job.source):
            raise OutputError("is the input itself. Give another name with -o.", place=job.target)
        if not stat.S_ISREG(path.stat().st_mode):
            return
    if os.path.lexists(path) and not is_forced:
        raise _exists(job.target)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"the folder {folder} cannot be written. Give another with -o.", place=job.target
        )


def _write_whole(path: Path, data: bytes, is_forced: bool) -> None:
    """Write a temporary file beside the target, then give it the target's name in one step."""
    if is_forced and path.is_symlink():
        path = Path(os.path.realpath(path))  # keep the link, replace what it points to
    temporary = path.with_name(f".vqcodec-{os.urandom(6).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        if is_forced:
            os.replace(temporary, path)
        else:
            _name_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _name_new(temporary: Path, path: Path) -> None:
    """Rename without ever overwriting, which os.rename cannot promise: FileExistsError instead."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: reserve the name first
        path.open("xb").close()
        try:
            os.replace(temporary, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _exists(target: str) -> OutputExistsError:
    return OutputExistsError(
        "exists. Give -f to overwrite it, or another name with -o.", place=target
    )


def _unwritable(target: str, error: OSError) -> OutputError:
    return OutputError(
        f"cannot be written: {reason(error)}. Nothing was left there; give another place with -o.",
        place=target,
    )

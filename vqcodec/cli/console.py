"""What the commands say, and where: results on stdout, all else on stderr; failures to exit codes.

One `Console` lives through one command. Its `attempt` lets a command go on with the next file after
a failure; `exit_code` keeps the highest code seen.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from vqcodec.backends import PACKAGES, missing_package
from vqcodec.errors import BackendError, FileError, OutputError, VqcError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM: Final = "vqcodec"
INTERRUPTED: Final = 130
_DEBUG_KEY = "vqcodec.debug"
_PROGRESS_AFTER_S = 1.0


@dataclass
class Console:
    """Voice and memory of one command.

    Attributes:
        is_quiet: nothing on stderr but errors.
        is_verbose: details on stderr.
        is_json: results as JSON, one object per line.
        exit_code: the highest so far.
    """

    is_quiet: bool = False
    is_verbose: bool = False
    is_json: bool = False
    exit_code: int = field(default=0, init=False)

    def say(self, text: str) -> None:
        """Write one line for people to stderr, unless quiet."""
        if not self.is_quiet:
            click.echo(printable(text), err=True)

    def note(self, place: str, text: str) -> None:
        """Tell on stderr, unless quiet, what was decided for the user."""
        self.say(f"{PROGRAM}: note: {place}: {text}")

    def detail(self, text: str) -> None:
        """Write one line to stderr if verbose."""
        if self.is_verbose:
            self.say(f"{PROGRAM}: {text}")

    def result(self, text: str) -> None:
        """Write lines that were asked for to stdout.

        Raises:
            OutputError: stdout cannot be written.
            click.exceptions.Exit: its reader has gone.
        """
        with guarded_stdout():
            click.echo("\n".join(printable(line) for line in text.split("\n")))

    def record(self, schema: str, **fields: Any) -> None:
        """Write one JSON object to stdout, on one line; raises as `result` does."""
        self.result(json.dumps({"schema": f"vqcodec.{schema}/1", **fields}))

    def fail(self, exit_code: int) -> None:
        """Remember a failure."""
        self.exit_code = max(self.exit_code, exit_code)

    def attempt(self, place: str, work: Callable[[], None]) -> bool:
        """Do one file's work; report a failure and remember it, so that the next file has its turn.

        Args:
            place: the file, as messages name it.
            work: raises to fail.

        Returns:
            Whether it succeeded.
        """
        try:
            work()
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            self.fail(report(error, place))
            return False
        return True

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Callable[[int, int], None] | None]:
        """Give a `progress(done, total)` for stderr: only on a terminal, only for long work."""
        if self.is_quiet or not sys.stderr.isatty():
            yield None
            return
        begin = time.monotonic()
        width = 0

        def draw(done: int, total: int) -> None:
            nonlocal width
            if time.monotonic() - begin >= _PROGRESS_AFTER_S and done < total:
                line = f"{printable(label)}: {done} of {total} tiles"
                width = max(width, len(line))
                click.echo(f"\r{line:{width}}", err=True, nl=False)

        try:
            yield draw
        finally:
            if width:
                click.echo(f"\r{'':{width}}\r", err=True, nl=False)


def report(error: BaseException, place: str = "") -> int:
    """Print a failure as one `vqcodec: error:` line; with `--debug` its traceback first.

    Args:
        error: what was raised; a detail named `place` overrides the argument.
        place: the file at which it happened, or empty.

    Returns:
        The exit code for it.
    """
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_DEBUG_KEY):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    message, exit_code = _explain(error)
    if isinstance(error, VqcError):
        place = str(error.details.get("place", place))
    lines = (printable(line) for line in f"{place and place + ': '}{message}".splitlines())
    click.echo(f"{PROGRAM}: error: " + "\n".join(lines), err=True)
    return exit_code


def remember_debug(context: click.Context, is_debug: bool) -> None:
    """Keep `--debug` where `report` finds it."""
    context.meta[_DEBUG_KEY] = is_debug


def printable(text: str) -> str:
    r"""Return text with what no terminal should get (control characters, broken names) as \xNN."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def guarded_stdout() -> Iterator[None]:
    """Turn a failing stdout into `OutputError`, and one whose reader has gone into a quiet end."""
    try:
        yield
    except OSError as error:
        _mute_stdout()
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(FileError.exit_code) from error
        raise OutputError(f"cannot be written: {reason(error)}.", place="stdout") from error


@contextlib.contextmanager
def muted_libraries() -> Iterator[None]:
    """Keep C libraries off stderr: libtiff writes there what Pillow raises as well."""
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def reason(error: OSError) -> str:
    """Return the system's words for an error, lower case."""
    text = error.strerror or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


def _mute_stdout() -> None:
    """Send what is still buffered to nowhere: Python would fail once more when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _explain(error: BaseException) -> tuple[str, int]:
    """Say a failure in words: (message, exit code)."""
    if isinstance(error, VqcError):
        return error.message, error.exit_code
    if isinstance(error, MemoryError) or _is_torch_out_of_memory(error):
        return (
            "out of memory. Close other programs, or take a smaller image.",
            BackendError.exit_code,
        )
    if isinstance(error, ImportError) and not (error.name or "").startswith("vqcodec"):
        if error.name in PACKAGES:
            return missing_package(error.name), BackendError.exit_code
        missing = f"python module '{error.name}' cannot be loaded" if error.name else str(error)
        return f"{missing}. Run 'pip install --force-reinstall vqcodec'.", BackendError.exit_code
    if isinstance(error, OSError):
        name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return f"{name}{reason(error)}.", FileError.exit_code
    text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return (
        f"unexpected {text}. This is a bug in vqcodec: report it with the output of --debug.",
        VqcError.exit_code,
    )


def _is_torch_out_of_memory(error: BaseException) -> bool:
    """Recognise torch's out-of-memory errors by name and text, without importing torch."""
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
    )

"""Run the programs of codecs that have no library here."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from eval.codecs.base import CodecError, one_line


def run(command: Sequence[str], timeout_s: float) -> str:
    """Run a program without a shell, to its end.

    Args:
        command: the program and its arguments.
        timeout_s: after this time it is killed, with the programs that it started.

    Returns:
        What it wrote to stdout, else what it wrote to stderr.

    Raises:
        CodecError: it cannot be started, took too long or failed; with the last line that it wrote.
    """
    program = command[0]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CodecError(f"{program}: cannot be started: {error.strerror}") from error
    try:
        output, complaints = process.communicate(timeout=timeout_s)
    except BaseException as error:  # an interrupt as well: the new session does not see Ctrl-C
        _kill(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise CodecError(f"{program}: not done after {timeout_s:g} s, killed") from None
        raise
    told = [stream.decode("utf-8", "replace").strip() for stream in (complaints, output)]
    if process.returncode:
        line = next((text.splitlines()[-1] for text in told if text), "it says nothing")
        raise CodecError(f"{program}: exit code {process.returncode}: {one_line(line)}")
    return told[1] or told[0]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()

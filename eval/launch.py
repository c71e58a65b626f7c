"""Run a command; say how long it took and how much memory it held at most. Standard library only.

`python launch.py COMMAND...` prints {"exit_code", "wall_s", "cpu_s", "peak_rss_bytes"} as JSON. It
has to be a process of its own, and a lean one: Linux counts what the parent held when it started a
command into that command's peak.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main(command: list[str]) -> None:
    """Run `command` (its stdout is dropped, its stderr passed on) and print the figures."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    figures = {
        "exit_code": os.waitstatus_to_exitcode(status),
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,  # of its children too
        "peak_rss_bytes": usage.ru_maxrss * unit,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])

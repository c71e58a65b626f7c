"""Rounds in which everything has its turn, cold or warm, and the figures that come out of them.

Machines are shared and drift. So nothing is repeated on its own: each round runs everything once,
medians are taken over rounds, and a ratio has as its spread the ratios within each round.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from eval import warm

LAUNCHER = Path(__file__).with_name("launch.py")
TIMES = ("wall_s", "cpu_s")
Key = TypeVar("Key")
Cost = dict[str, float]  # "wall_s", "cpu_s", and of a cold run "peak_rss_bytes"


@dataclass(frozen=True)
class Task:
    """A picture in one direction, and the files of it."""

    verb: str
    picture: str
    coded: str
    height: int
    width: int
    decoded: str | None = None


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Attributes:
        words: that `warm.make` makes it of.
        identity: version and options, for people.
    """

    words: Mapping[str, Any]
    identity: str

    @property
    def name(self) -> str:
        """As tables have it."""
        return str(self.words["name"])

    def task(self, verb: str, picture: Path, height: int, width: int) -> Task:
        """One direction of a picture; the files lie beside it."""
        coded = picture.with_name(f"{picture.stem}-{self.name}.coded")
        return Task(verb, str(picture), str(coded), height, width)

    def command(self, task: Task) -> list[str]:
        """The command that does a task in a new process, image files included."""
        decoded = str(Path(task.coded).with_suffix(".png"))
        if self.name not in (warm.OURS, warm.ONNX):
            job = {**asdict(task), "decoded": decoded}
            return [sys.executable, "-m", "eval.warm", json.dumps(self.words), json.dumps(job)]
        tool = [
            sys.executable, "-m", "vqcodec", task.verb, "--force", "--quiet", "--device", "cpu",
            "--threads", str(self.words["threads"]),
            "--backend", "onnx" if self.name == warm.ONNX else "torch",
            *(["--model", self.words["model"]] if self.words["model"] else []),
        ]  # fmt: skip
        if task.verb == "encode":
            return [*tool, "--tier", str(self.words["tier"]), task.picture, "-o", task.coded]
        return [*tool, task.coded, "-o", decoded]


class Worker:
    """A process of its own in which a subject is warm: no measurement feels the one before.

    Args:
        subject: what to time.
    """

    def __init__(self, subject: Subject) -> None:
        self.name = subject.name
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "eval.warm", json.dumps(subject.words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
        )  # fmt: skip

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def run(self, task: Task) -> Cost:
        """Do a task in that process.

        Raises:
            RuntimeError: it failed; the last line that it wrote is in the message.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(asdict(task)), file=self._process.stdin, flush=True)
        except OSError:
            answer = ""
        else:
            answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"{self.name}: {task.verb} failed: {_last(self._errors.read())}")
        cost: Cost = json.loads(answer)
        return cost


def run_measured(command: Sequence[str]) -> Cost:
    """Run a command in a new process.

    Returns:
        {"wall_s", "cpu_s", "peak_rss_bytes"}.

    Raises:
        RuntimeError: the command failed; the last line of its stderr is in the message.
    """
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), *command],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures: Cost = json.loads(done.stdout)
    if figures.pop("exit_code"):
        raise RuntimeError(f"{' '.join(command)} failed: {_last(done.stderr)}")
    return figures


def take_turns(
    actions: Mapping[Key, Callable[[], Cost]],
    repeats: int,
    report: Callable[[str], None] = lambda line: None,
) -> dict[Key, list[Cost]]:
    """Run every action once per round.

    Args:
        actions: what to do, in this order.
        repeats: how many rounds.
        report: is told of every round.

    Returns:
        Per action what each round cost.
    """
    costs: dict[Key, list[Cost]] = {key: [] for key in actions}
    for number in range(1, repeats + 1):
        report(f"round {number} of {repeats}")
        for key, action in actions.items():
            costs[key].append(action())
    return costs


def figures(costs: Sequence[Cost], pixels: int) -> dict[str, Any]:
    """Sum up the rounds of one action.

    Returns:
        "runs"; per time, "wall_s_per_megapixel" and "cpu_s_per_megapixel", the "median", "low" and
        "high" of all rounds; "peak_rss_bytes", the most that any held, where it was measured.
    """
    found: dict[str, Any] = {"runs": len(costs)}
    for time in TIMES:
        found[f"{time}_per_megapixel"] = spread([cost[time] * 1e6 / pixels for cost in costs])
    if "peak_rss_bytes" in costs[0]:
        found["peak_rss_bytes"] = int(max(cost["peak_rss_bytes"] for cost in costs))
    return found


def ratios(theirs: Sequence[Cost], ours: Sequence[Cost]) -> dict[str, Any]:
    """Compare the rounds of two actions: how many times what ours costs does theirs cost?

    Returns:
        "wall" and "cpu": "ratio" of the medians, "low" and "high" of the ratios within a round;
        "peak_rss", a number, where memory was measured.
    """
    found: dict[str, Any] = {}
    for time in TIMES:
        pairs = [a[time] / b[time] for a, b in zip(theirs, ours, strict=True)]
        medians = [statistics.median(cost[time] for cost in costs) for costs in (theirs, ours)]
        found[time.removesuffix("_s")] = {
            "ratio": _rounded(medians[0] / medians[1]),
            "low": _rounded(min(pairs)),
            "high": _rounded(max(pairs)),
        }
    if "peak_rss_bytes" in theirs[0]:
        peaks = [max(cost["peak_rss_bytes"] for cost in costs) for costs in (theirs, ours)]
        found["peak_rss"] = _rounded(peaks[0] / peaks[1])
    return found


def exponent(pixels: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Fit seconds = c * pixels ** e by least squares of the logarithms.

    Returns:
        e, which is 1 where time is in proportion to pixels; None below two sizes.
    """
    if len(set(pixels)) < 2 or min(seconds) <= 0:
        return None
    fit = statistics.linear_regression(
        [math.log(size) for size in pixels], [math.log(taken) for taken in seconds]
    )
    return _rounded(fit.slope)


def spread(values: Sequence[float]) -> dict[str, float]:
    """The "median", "low" and "high" of what the rounds cost."""
    return {
        "median": _rounded(statistics.median(values)),
        "low": _rounded(min(values)),
        "high": _rounded(max(values)),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]

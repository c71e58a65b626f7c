"""Every image through every codec, in parallel; a run that was cut off goes on where it was.

The unit of work is one image with one codec. A worker process loads its metrics and codecs once and
runs on one thread, so that figures do not depend on how many workers there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eval import workers
from eval.codecs.base import CodecError
from eval.journal import Journal, key
from eval.measure import Plan, budgets, measure, open_codec, read
from eval.progress import Progress
from eval.rows import OURS, Row


@dataclass(frozen=True)
class Failure:
    """An image that could not be read or coded."""

    image: str
    codec: str | None
    error: str


@dataclass(frozen=True)
class Sweep:
    """What came of a run.

    Attributes:
        rows: in the order of codecs, images and points, however the work was dealt out.
        failures: by image; one that cannot be read is told of once.
        sizes: height and width of the images that can be read, by name.
        measured: how many images and codecs the journal did not know.
    """

    rows: list[Row]
    failures: list[Failure]
    sizes: dict[str, tuple[int, int]]
    measured: int


@dataclass(frozen=True)
class Task:
    """An image to take through a codec, and the journal's key for it."""

    name: str
    path: Path
    codec: str
    key: str


def _tasks(plan: Plan, paths: Sequence[Path], sources: dict[str, str]) -> tuple[list[Task], ...]:
    """Read every image once: bad ones are named before the work begins."""
    tasks, failures, sizes = [], [], {}
    for name, path in name_images(paths).items():
        try:
            pixels = read(plan, path)
        except ValueError as error:
            failures.append(Failure(path.name, None, str(error)))
            continue
        height, width = sizes[name] = pixels.shape[:2]
        samples = hashlib.sha256(f"{height} {width} ".encode() + pixels.tobytes()).hexdigest()
        for codec in plan.codecs:
            asked = list(plan.tiers) if codec == OURS else budgets(height, width)
            identity = open_codec(plan, codec).identity
            entry = key(image=name, samples=samples, codec=identity, asked=asked, metrics=sources)
            tasks.append(Task(name, path, codec, entry))
    return tasks, failures, sizes


def name_images(paths: Sequence[Path]) -> dict[str, Path]:
    """Images by name: the file's without its suffix, with it where two would be the same."""
    stems = [path.stem for path in paths]
    return {path.stem if stems.count(path.stem) == 1 else path.name: path for path in paths}


def sweep(
    plan: Plan,
    paths: Sequence[Path],
    sources: dict[str, str],
    jobs: int,
    progress: Progress,
) -> Sweep:
    """Measure every image with every codec; what the journal knows is not measured again.

    Args:
        plan: of the run.
        paths: the images.
        sources: of the metrics' weights, by metric.
        jobs: worker processes; with 1 this process does the work.
        progress: is told of every image and codec.
    """
    journal = Journal(plan.folder)
    tasks, failures, sizes = _tasks(plan, paths, sources)
    for failure in failures:
        progress.say(f"left out: {failure.error}")
    done = {task: rows for task in tasks if (rows := journal.find(task.key)) is not None}
    left = [task for task in tasks if task not in done]
    if done:
        progress.say(f"{len(done)} of {len(tasks)} measured before")
    work = {task: partial(measure, plan, task.name, task.path, task.codec) for task in left}
    with progress.over(len(left)):
        for number, (task, outcome) in enumerate(workers.run(work, jobs), start=1):
            place = f"{number}/{len(left)} {task.name}, {Path(task.codec).stem}"
            try:
                done[task] = outcome()
            except (CodecError, ValueError) as error:
                failures.append(Failure(task.path.name, task.codec, str(error)))
                progress.say(f"{place}: {error}")
                progress.step(f"{place}: failed")
            else:
                journal.add(task.key, done[task])
                progress.step(f"{place}: {len(done[task])} points")
    ordered = [task for codec in plan.codecs for task in tasks if task.codec == codec]
    rows = [row for task in ordered if task in done for row in done[task]]
    failures.sort(key=lambda failure: (failure.image, failure.codec or ""))
    return Sweep(rows, failures, sizes, measured=len(left))

"""Seconds and memory: ours, taming's networks and other codecs in turns, our scaling, our coding.

Cold is a command in a new process, from image file to image file; warm is a process that has done
the job once, from a PNG file to a coded file and from that to pixels in memory.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval import codecs, map_coding, scaling
from eval.codecs.base import Codec, CodecError, shown
from eval.rounds import Cost, Subject, Worker, figures, ratios, run_measured, take_turns
from eval.warm import ONNX, OURS, TAMING, VERBS

SCHEMA = "vqcodec.eval.speed/2"
ANCHORS = ("avif", "webp", "jpeg", "jp2k", "heic", "jxl")
COMPARED = (512, 768)  # of the picture on which all are timed, as Kodak's


def run(
    photos: Sequence[NDArray[np.uint8]],
    *,
    tier: int,
    model: str | None,
    threads: int,
    repeats: int,
    sizes: Sequence[float] = scaling.SIZES,
    anchors: Iterable[str] = ANCHORS,
    is_taming: bool = True,
    is_onnx: bool = True,
    is_compared: bool = True,
    map_shapes: Sequence[map_coding.Shape] = (),
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time everything.

    Args:
        photos: the first is what all are timed on; ours is timed on mosaics of all of them too.
        tier: one that the pack has.
        model: a pack's name or folder; None takes the default.
        threads: for ours and taming's networks; the anchors take one each.
        repeats: rounds.
        sizes: of the mosaics, in megapixels; none leaves the scaling out.
        anchors: names of `codecs.NAMES`.
        is_taming: whether to time taming's networks.
        is_onnx: whether to time ours in onnxruntime.
        is_compared: whether to time ours beside others at all.
        map_shapes: height and width of the pictures on which coding the index map alone is timed.
        report: is told what comes next.

    Returns:
        "comparison": see `compare`; "absent": {"codec", "remedy"} of what cannot run here;
        "scaling": see `scaling.measure`; "map_coding": see `map_coding.measure`. What was not asked
        for is null.

    Raises:
        RuntimeError: a codec failed.
    """
    ours = Subject({"name": OURS, "tier": tier, "model": model, "threads": threads}, f"tier {tier}")
    found = sized = coding = None
    absent: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if is_compared:
            picture = scaling.write_mosaic(photos[:1], *COMPARED, folder)
            report("settings of the anchors")
            subjects, absent = _subjects(ours, anchors, picture, is_taming, is_onnx)
            found = compare(subjects, picture, repeats, report)
        if sizes:
            sized = scaling.measure(ours, photos, sizes, repeats, folder, report)
    if map_shapes:
        coding = map_coding.measure(
            photos, map_shapes, model=model, threads=threads, repeats=repeats, report=report
        )
    return {"comparison": found, "absent": absent, "scaling": sized, "map_coding": coding}


def _subjects(
    ours: Subject, anchors: Iterable[str], picture: Path, is_taming: bool, is_onnx: bool
) -> tuple[list[Subject], list[dict[str, str]]]:
    """What to compare, ours first, and what cannot run here.

    Raises:
        RuntimeError: ours failed.
    """
    subjects, absent = [ours], []
    # The budget of the anchors; this also finds out at once what is wrong with ours.
    task = ours.task("encode", picture, *COMPARED)
    run_measured(ours.command(task))
    budget = Path(task.coded).stat().st_size
    if is_onnx and find_spec("onnxruntime") is None:
        absent.append({"codec": ONNX, "remedy": "pip install 'vqcodec[onnx]'"})
    elif is_onnx:
        version = metadata.version("onnxruntime")
        subjects.append(Subject({**ours.words, "name": ONNX}, f"ours in onnxruntime {version}"))
    if is_taming and find_spec("taming") is None:
        remedy = "pip install --no-deps taming-transformers==0.0.1"
        absent.append({"codec": TAMING, "remedy": remedy})
    elif is_taming:
        subjects.append(_taming(int(ours.words["threads"])))
    for name in anchors:
        try:
            subjects.append(_anchor(codecs.load(name), picture, budget, picture.parent))
        except (codecs.CodecAbsentError, CodecError) as error:
            absent.append({"codec": name, "remedy": str(error)})
    return subjects, absent


def compare(
    subjects: Sequence[Subject], picture: Path, repeats: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Time several codecs on one picture, in turns.

    Args:
        subjects: ours first.
        picture: PNG file of the size `COMPARED`.
        repeats: rounds.
        report: is told of every round.

    Returns:
        "width_px", "height_px"; "codecs": per name the "identity", "coded_bytes" (null for taming)
        and `rounds.figures` per run ("cold", "warm") and verb; "ratios": per name but ours, run and
        verb what `rounds.ratios` tells, theirs over ours.
    """
    height, width = COMPARED
    tasks = {
        (subject.name, verb): subject.task(verb, picture, *COMPARED)
        for subject in subjects
        for verb in VERBS
    }
    cold: dict[tuple[str, str], Callable[[], Cost]] = {}
    warm: dict[tuple[str, str], Callable[[], Cost]] = {}
    for subject in subjects:
        for verb in VERBS:
            command = subject.command(tasks[subject.name, verb])
            cold[subject.name, verb] = partial(run_measured, command)
    costs = {"cold": take_turns(cold, repeats, lambda line: report(f"cold, {line}"))}
    with contextlib.ExitStack() as stack:
        for subject in subjects:
            worker = stack.enter_context(Worker(subject))
            for verb in VERBS:
                task = tasks[subject.name, verb]
                worker.run(task)  # once, so that it is warm
                warm[subject.name, verb] = partial(worker.run, task)
        costs["warm"] = take_turns(warm, repeats, lambda line: report(f"warm, {line}"))
    found = {}
    for subject in subjects:
        size = Path(tasks[subject.name, "encode"].coded).stat().st_size
        found[subject.name] = {
            "identity": subject.identity,
            "coded_bytes": None if subject.name == TAMING else size,
            **_per_run(lambda run, verb, name=subject.name: figures(
                costs[run][name, verb], height * width
            )),
        }  # fmt: skip
    return {
        "width_px": width,
        "height_px": height,
        "codecs": found,
        "ratios": {
            subject.name: _per_run(lambda run, verb, name=subject.name: ratios(
                costs[run][name, verb], costs[run][OURS, verb]
            ))
            for subject in subjects
            if subject.name != OURS
        },
    }  # fmt: skip


def _per_run(tell: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return {run: {verb: tell(run, verb) for verb in VERBS} for run in ("cold", "warm")}


def _taming(threads: int) -> Subject:
    try:
        version = metadata.version("taming-transformers")
    except metadata.PackageNotFoundError:
        version = "of unknown version"
    return Subject(
        {"name": TAMING, "threads": threads},
        f"taming-transformers {version}, f16 of full size, random weights, networks alone",
    )


def _anchor(codec: Codec, picture: Path, budget: int, folder: Path) -> Subject:
    """A codec at the setting whose file is the largest of at most `budget` bytes, or the smallest.

    Raises:
        CodecError: it failed.
    """
    coded = folder / f"trial{codec.suffix}"
    low, high = 0, len(codec.settings) - 1
    while low < high:
        middle = (low + high + 1) // 2
        codec.encode(picture, codec.settings[middle], coded)
        fits = coded.stat().st_size <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    setting = codec.settings[low]
    return Subject(
        {"name": codec.name, "setting": setting},
        f"{codec.identity}; {codec.knob} {shown(setting)}",
    )


def table(found: dict[str, Any]) -> str:
    """Lay the results out as text."""
    blocks = []
    if found["comparison"]:
        blocks.append(_comparison_lines(found["comparison"], found["absent"]))
    if found["scaling"]:
        blocks.append(_scaling_lines(found["scaling"]))
    if found.get("map_coding"):  # older files have none
        blocks.append(map_coding.lines(found["map_coding"]))
    return "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in blocks)


def _comparison_lines(compared: dict[str, Any], absent: Sequence[dict[str, str]]) -> list[str]:
    lines = [
        f"{compared['width_px']}x{compared['height_px']}: wall-clock seconds per megapixel, median "
        "of rounds, and peak memory of the cold command",
        _row("", [f"{run} {verb}" for run in ("cold", "warm") for verb in VERBS], "MiB", "bytes"),
    ]
    for name, codec in compared["codecs"].items():
        times = [
            f"{codec[run][verb]['wall_s_per_megapixel']['median']:.3f}"
            for run in ("cold", "warm")
            for verb in VERBS
        ]
        memory = "/".join(_mib(codec["cold"][verb]["peak_rss_bytes"]) for verb in VERBS)
        lines.append(_row(name, times, memory, codec["coded_bytes"] or "-"))
    if compared["ratios"]:
        lines += ["", "Times ours: ratio of medians (lowest to highest within a round)"]
    for name, runs in compared["ratios"].items():
        cells = [_ratio(runs[run][verb]["wall"]) for run in ("cold", "warm") for verb in VERBS]
        memory = "/".join(f"{runs['cold'][verb]['peak_rss']:.2f}" for verb in VERBS)
        lines.append(_row(name, cells, memory, ""))
    return [*lines, *(f"{entry['codec']} is absent: {entry['remedy']}" for entry in absent)]


def _scaling_lines(found: dict[str, Any]) -> list[str]:
    runs = [(run, verb) for run in ("cold", "warm") for verb in VERBS]
    lines = [
        "Ours by size: wall-clock seconds per megapixel, peak memory, bytes per pixel above start",
        _row("megapixels", [f"{run} {verb}" for run, verb in runs], "MiB", "bytes/px"),
    ]
    for size in found["sizes"]:
        times = [f"{size[run][verb]['wall_s_per_megapixel']['median']:.3f}" for run, verb in runs]
        memory = "/".join(_mib(size["cold"][verb]["peak_rss_bytes"]) for verb in VERBS)
        above = "/".join(f"{size['above_start_bytes_per_pixel'][verb]:.0f}" for verb in VERBS)
        lines.append(_row(f"{size['megapixels']:.2f}", times, memory, above))
    start = "/".join(_mib(found["start_rss_bytes"][verb]) for verb in VERBS)
    lines.append(_row("start", [""] * 4, start, ""))
    for verb in VERBS:
        fitted, growth = found["exponent"][verb], found["growth_bytes_per_pixel"][verb]
        if growth is not None:
            lines.append(
                f"{verb}: time goes with pixels to the power of {fitted['wall']:.2f} (processor "
                f"time: {fitted['cpu']:.2f}), peak memory grows by {growth:.1f} bytes per pixel"
            )
    return lines


def _row(name: str, cells: Sequence[str], memory: str, last: object) -> str:
    return f"{name:<11}{''.join(f'{cell:>24}' for cell in cells)}{memory:>13}{last!s:>10}"


def _ratio(found: dict[str, float]) -> str:
    return f"{found['ratio']:.3g} ({found['low']:.2g}-{found['high']:.2g})"


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f}"

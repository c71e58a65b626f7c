"""Seconds and memory: cold (the command line tool in a new process) and warm (inside one)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval import images

SCHEMA = "vqcodec.eval.speed/1"
SMALL, LARGE = "768x512", "6000x4000"
LAUNCHER = Path(__file__).with_name("launch.py")


def run_measured(command: Sequence[str]) -> dict[str, Any]:
    """Run a command in a new process.

    Returns:
        {"exit_code", "seconds", "peak_rss_bytes"}.

    Raises:
        RuntimeError: the command failed; its stderr is in the message.
    """
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), *command],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(done.stdout)
    if figures["exit_code"]:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return figures


def cold(
    picture: Path, folder: Path, tier: int, model: str | None, threads: int, repeats: int
) -> dict[str, Any]:
    """Time `vqcodec encode` and `vqcodec decode` as a user runs them, image files included.

    Args:
        picture: an image file.
        folder: where the coded file and the decoded PNG go.
        tier: 1 to 9.
        model: a pack's name or folder; None takes the default.
        threads: for the networks.
        repeats: runs, of which the median counts.

    Returns:
        {"encode_s", "encode_peak_rss_bytes", "decode_s", "decode_peak_rss_bytes"}; memory is the
        largest of all runs.
    """
    tool = [sys.executable, "-m", "vqcodec"]
    shared = [
        "--force",
        "--quiet",
        "--threads",
        str(threads),
        *(["--model", model] if model else []),
    ]
    coded, decoded = folder / f"{picture.stem}.vqc", folder / f"{picture.stem}-decoded.png"
    commands = {
        "encode": [*tool, "encode", *shared, "--tier", str(tier), str(picture), "-o", str(coded)],
        "decode": [*tool, "decode", *shared, str(coded), "-o", str(decoded)],
    }
    out: dict[str, Any] = {}
    for verb, command in commands.items():
        runs = [run_measured(command) for _ in range(repeats)]
        out[f"{verb}_s"] = statistics.median(run["seconds"] for run in runs)
        out[f"{verb}_peak_rss_bytes"] = max(run["peak_rss_bytes"] for run in runs)
    return out


def warm(picture: Path, tier: int, model: str | None, threads: int, repeats: int) -> dict[str, Any]:
    """Time both directions in a process that has done each once; see `eval.warm.measure`."""
    return _worker("measure", [str(picture), tier, model, threads, repeats])


def taming_decode_s(height: int, width: int, threads: int, repeats: int) -> float | None:
    """Time taming's full-size decoder in a process of its own; see `eval.warm.taming_decode_s`."""
    return _worker("taming_decode_s", [height, width, threads, repeats])


def _worker(function: str, arguments: list[Any]) -> Any:
    """Call a function of eval.warm in a new process: no measurement feels the one before."""
    code = (
        "import json, sys; from eval import warm; "
        "print(json.dumps(getattr(warm, sys.argv[1])(*json.loads(sys.argv[2]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, function, json.dumps(arguments)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def pictures(folder: Path, sources: Sequence[NDArray[np.uint8]]) -> dict[str, Path]:
    """Write the two pictures that are timed, a 768x512 photo and one of 6000x4000, as PNG.

    Args:
        folder: where they go.
        sources: photos; the first makes the small picture, all of them fill the large one.

    Returns:
        Their paths by name, the small one first.
    """
    out = {}
    for name, (width, height) in {SMALL: (768, 512), LARGE: (6000, 4000)}.items():
        used = sources[:1] if name == SMALL else sources
        out[name] = folder / f"{name}.png"
        Image.fromarray(images.mosaic(used, height, width)).save(out[name], compress_level=1)
    return out


def run(
    sources: Sequence[NDArray[np.uint8]],
    tier: int,
    model: str | None,
    threads: int,
    repeats: int,
    is_large: bool,
    is_taming: bool,
) -> dict[str, Any]:
    """Time everything.

    Args:
        sources: photos for `pictures`.
        tier: 1 to 9.
        model: a pack's name or folder; None takes the default.
        threads: for the networks.
        repeats: runs of the small picture, of which the median counts; the large one runs once.
        is_large: whether to time 6000x4000 too.
        is_taming: whether to time taming's decoder too.

    Returns:
        {"pictures": {name: {"cold": ..., "warm": ...}}, "taming_decode_s", "taming_ratio"}; the
        ratio is taming's seconds over those of our warm decode of 768x512, null like them.
    """
    found: dict[str, Any] = {"pictures": {}, "taming_decode_s": None, "taming_ratio": None}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, path in pictures(folder, sources).items():
            if name != SMALL and not is_large:
                continue
            runs = repeats if name == SMALL else 1
            found["pictures"][name] = {
                "cold": cold(path, folder, tier, model, threads, runs),
                "warm": warm(path, tier, model, threads, runs),
            }
    if is_taming:
        found["taming_decode_s"] = theirs = taming_decode_s(512, 768, threads, repeats)
        if theirs is not None:
            found["taming_ratio"] = theirs / found["pictures"][SMALL]["warm"]["decode_s"]
    return found


def table(found: dict[str, Any]) -> str:
    """Lay the results out as text."""
    lines = ["picture    run   encode s  decode s  encode MiB  decode MiB"]
    for name, runs in found["pictures"].items():
        for kind, run in runs.items():
            memory = [run.get(f"{verb}_peak_rss_bytes") for verb in ("encode", "decode")]
            cells = [f"{size / 2**20:,.0f}" if size else "-" for size in memory]
            lines.append(
                f"{name:<10} {kind:<5} {run['encode_s']:8.2f}  {run['decode_s']:8.2f}"
                f"  {cells[0]:>10}  {cells[1]:>10}"
            )
    if found["taming_decode_s"] is not None:
        lines.append(
            f"taming's full-size decoder, 768x512: {found['taming_decode_s']:.2f} s, "
            f"{found['taming_ratio']:.1f} times our warm decode"
        )
    return "\n".join(lines)

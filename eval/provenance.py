"""What a figure was measured with, for the results files: versions, commit, model, machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Name the checkout's commit, with "+changes" where files differ from it; None without git."""
    git = ["git", "--no-optional-locks", "-C", str(ROOT)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes.strip() else "")


def cpu_model() -> str:
    """Name the processor, as Linux tells it, else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def model_identity(model: str | None) -> dict[str, Any] | None:
    """Name and digest of a model pack, as the command `vqcodec models` tells them.

    Args:
        model: a pack's name or folder; None stands for the default.

    Returns:
        {"name", "sha256" of its weights}, or None where the command fails.
    """
    command = [sys.executable, "-m", "vqcodec", "models", "show", "--json"]
    if model is not None:
        command.append(model)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    told = json.loads(done.stdout.splitlines()[0])
    return {"name": told["name"], "sha256": told["weights_sha256"]}


def provenance(model: str | None, threads: int | None) -> dict[str, Any]:
    """Collect what a results file says of how it came about.

    Args:
        model: the pack that was asked for, None for the default.
        threads: CPU threads that were asked for, None for torch's choice.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "vqcodec": _version("vqcodec"),
        "commit": git_commit(),
        "model": model_identity(model),
        "torch": _version("torch"),
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
    }


def write_json(path: Path, results: dict[str, Any]) -> None:
    """Write a results file: UTF-8, no NaN or infinity, a line for each item of a list."""
    parts = []
    for name, value in results.items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(_json(item) for item in value) + "\n ]"
        else:
            text = _json(value, indent=1).replace("\n", "\n ")
        parts.append(f" {_json(name)}: {text}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent)

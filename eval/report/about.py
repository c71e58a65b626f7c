"""Who measured what with what: the page's head line and its last section."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from eval.themes import label


def chips(provenance: Mapping[str, Any]) -> str:
    """Commit, model, hardware and date, as a line of short notes."""
    model = provenance.get("model") or {}
    if not isinstance(model, Mapping):
        model = {"name": model}
    commit = str(provenance.get("commit") or "")
    commit = commit[:7] + ("+changes" if commit.endswith("+changes") else "")
    cores = provenance.get("cores")
    machine = str(provenance.get("cpu") or "")
    machine += f", {cores} core{'s' * (cores != 1)}" if cores else ""
    told = {
        "model": str(model.get("name") or ""),
        "sha256": str(model.get("sha256") or "")[:12],
        "vqcodec": str(provenance.get("vqcodec") or ""),
        "commit": commit,
        "hardware": machine,
        "date": str(provenance.get("date") or "")[:10],
    }
    return "".join(f"<li><i>{k}</i> {escape(v)}</li>" for k, v in told.items() if v)


def about(results: Mapping[str, Any]) -> str:
    """Identities of codecs and metrics, settings and provenance, as lists of names and values."""
    codecs = {
        name: (entry.get("identity") or "")
        + (f" (figures from {entry['measured']})" if entry.get("measured") else "")
        for name, entry in (results.get("codecs") or {}).items()
    }
    metrics = {
        label(name): entry["source"]
        for name, entry in (results.get("metrics") or {}).items()
        if entry.get("source")
    }
    parts = {
        "Codecs": codecs,
        "Metrics": metrics,
        "Settings": results["settings"],
        "Provenance": results["provenance"],
    }
    return "".join(
        f"<h3>{title}</h3><dl>{_entries(found)}</dl>" for title, found in parts.items() if found
    )


def _entries(found: Mapping[str, Any]) -> str:
    return "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(_words(value))}</dd></div>"
        for name, value in found.items()
    )


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return "none" if value is None else str(value)

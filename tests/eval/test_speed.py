"""Timing and memory: the launcher's figures, the table; the real figures are nobody's test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from eval import speed, warm


def test_a_command_is_timed_and_its_memory_seen() -> None:
    lean = speed.run_measured([sys.executable, "-c", "import time; time.sleep(0.2)"])
    assert lean["exit_code"] == 0
    assert 0.2 <= lean["seconds"] < 10
    fat = speed.run_measured([sys.executable, "-c", "b'x' * 200_000_000"])
    assert fat["peak_rss_bytes"] - lean["peak_rss_bytes"] > 150_000_000
    # This process is far larger than a bare Python: it must not show in the child's figure.
    assert lean["peak_rss_bytes"] < 60_000_000


def test_a_failing_command_tells_its_reason() -> None:
    with pytest.raises(RuntimeError, match="no such luck"):
        speed.run_measured([sys.executable, "-c", "raise SystemExit('no such luck')"])


def test_cold_and_warm_run_the_tool(tmp_path: Path, tiny_pack: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.new("RGB", (48, 32), "teal").save(picture)
    found = {
        "pictures": {
            "48x32": {
                "cold": speed.cold(picture, tmp_path, 1, str(tiny_pack), 1, 1),
                "warm": warm.measure(picture, 1, str(tiny_pack), 1, 1),
            }
        },
        "taming_decode_s": 30.0,
        "taming_ratio": 12.5,
    }
    cold, inside = found["pictures"]["48x32"].values()
    assert min(*cold.values(), *inside.values()) > 0
    assert inside["decode_s"] < cold["decode_s"]
    assert (tmp_path / "picture-decoded.png").is_file()
    lines = speed.table(found).splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith("12.5 times our warm decode")

"""A bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from eval.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_steps_and_remarks_are_told(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress()
    progress.say("before")
    with progress.over(2):
        progress.step("one done")
        progress.say("trouble")
        progress.step("two done")
    progress.say("after")
    text = stream.getvalue()
    for line in ("before\n", "trouble\n", "after\n"):
        assert line in text
    if stream.isatty():
        assert "2/2" in text
        assert text.endswith("\nafter\n")  # the bar's line is closed
    else:
        assert text == "before\none done\ntrouble\ntwo done\nafter\n"

"""What a second decoder is held to is what this one reads."""

from __future__ import annotations

import json

from tests.golden import make_damaged


def test_the_damaged_files_of_the_page_are_read_as_written_down() -> None:
    assert json.loads(make_damaged.FIXTURE.read_text()) == json.loads(
        json.dumps(list(make_damaged.cases()))
    )

"""No test of the metrics reaches the network or this user's cache of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn
from urllib.error import URLError

import pytest
import torch


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that torch.hub keeps downloads in: empty, and its site does not answer."""

    def unreachable(*args: Any, **options: Any) -> NoReturn:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    kept = tmp_path / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    return kept

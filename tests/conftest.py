"""What all tests share: threads, Hypothesis profiles, folders of data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Read by torch when it is first imported, here and in subprocesses; importing torch just to set it
# would make every light test pay for it.
os.environ.setdefault("OMP_NUM_THREADS", "2")

# `pytest --hypothesis-profile long` for the long lane.
settings.register_profile("suite", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("long", max_examples=5000, deadline=None)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what takes minutes and gigabytes unless it is asked for."""
    if not os.environ.get("VQCODEC_SLOW"):
        skip = pytest.mark.skip(reason="takes minutes and gigabytes: set VQCODEC_SLOW=1")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


def _folder(variable: str, holds: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: it names the folder with {holds}")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip(f"{variable} names {folder}, which is no folder")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tiny_pack(root: Path) -> Path:
    """Folder of the model pack of random weights."""
    return root / "tests" / "packs" / "tiny"


@pytest.fixture(scope="session")
def tiny_context_pack(root: Path) -> Path:
    """Folder of a pack of random weights that has a context model, for tiers 1 to 6."""
    return root / "tests" / "packs" / "tiny-context"


@pytest.fixture(scope="session")
def tiny_restorer_pack(tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a copy of the tiny pack that has a restorer, of random weights."""
    import torch

    from vqcodec.nets.load import load
    from vqcodec.nets.restorer import Restorer
    from vqcodec.packs import store
    from vqcodec.training.additions import add_restorer

    pack = store.load(tiny_pack)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        net = Restorer(load(pack, device="cpu").codebooks, width=32, n_blocks=2, n_learned=8)
        for parameter in net.parameters():
            if not parameter.any():  # much starts at zero: that would test too little
                torch.nn.init.normal_(parameter, std=0.1)
    return add_restorer(pack, net, tmp_path_factory.mktemp("packs") / "restoring").parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with `kodak/`, `clic/` and `val.tar`, or skip."""
    return _folder("VQCODEC_DATA", "kodak/, clic/ and val.tar")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Folder with LPIPS's weights, or skip."""
    return _folder("VQCODEC_WEIGHTS", "alex.safetensors and lpips_alex.safetensors")

"""What `metrics.load` does where weights are missing, wrong, kept or to be fetched."""

from __future__ import annotations

import hashlib
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from eval import metrics
from eval.metrics import weights
from eval.metrics.backbones import KINDS

SMALL = ["lpips_alex", "lpips_squeeze"]
ON_VGG = ["lpips_vgg", "dists"]


class Site:
    """Stands in for torch.hub's download."""

    def __init__(self, error: Exception | None = None, tensors: Any = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.timeouts: list[float | None] = []
        self._error = error
        self._tensors = tensors

    def __call__(self, url: str, **options: Any) -> Any:
        self.asked.append((url, options))
        self.timeouts.append(socket.getdefaulttimeout())
        print("torch.hub says something")
        if self._error:
            raise self._error
        return self._tensors


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """A folder with heads alone, of zeros."""
    folder = tmp_path / "heads"
    folder.mkdir()
    for net, kind in KINDS.items():
        save_file(
            {f"lin{n}": torch.zeros(width) for n, width in enumerate(kind.widths)},
            folder / f"lpips_{net}.safetensors",
        )
    blank = torch.zeros(1475)
    save_file({"alpha": blank, "beta": blank.clone()}, folder / "dists.safetensors")
    return folder


def test_all_names_are_loaded_or_absent_and_in_order(heads: Path) -> None:
    loaded, absent = metrics.load(None, heads)
    assert [metric.name for metric in loaded] == ["psnr_db", "ms_ssim"]
    assert list(absent) == [*SMALL, *ON_VGG]
    for metric in loaded:
        assert metric.higher_is_better is metrics.NAMES[metric.name]
        assert metric.source


def test_the_order_is_that_of_the_names_not_of_the_call() -> None:
    loaded, absent = metrics.load(["ms_ssim", "psnr_db"], None)
    assert [metric.name for metric in loaded] == ["psnr_db", "ms_ssim"]
    assert not absent


def test_unknown_names_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no metric 'ssim': choose from psnr_db, ms_ssim"):
        metrics.load(["psnr_db", "ssim"], None)
    with pytest.raises(FileNotFoundError, match="no such folder of weights"):
        metrics.load(None, tmp_path / "nowhere")


def test_vgg_is_fetched_only_where_it_is_named(
    heads: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(OSError("no route"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", site)
    _, absent = metrics.load(None, heads)
    assert not any("vgg" in url for url, _ in site.asked)
    for name in ON_VGG:
        assert "528 MB" in absent[name]
        assert "vgg16.safetensors" in absent[name]
    site.asked.clear()
    capsys.readouterr()
    _, absent = metrics.load(["dists"], heads)
    ((url, options),) = site.asked
    assert url == "https://download.pytorch.org/models/vgg16-397923af.pth"
    assert options["check_hash"] is True
    assert options["weights_only"] is True
    out, err = capsys.readouterr()
    assert "downloading VGG-16 (528 MB) from https://" in err
    assert not out  # results may go there
    assert "no route" in absent["dists"]


def test_a_silent_site_is_asked_once_and_not_for_long(
    heads: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(TimeoutError("timed\nout"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", site)
    socket.setdefaulttimeout(None)
    loaded, absent = metrics.load([*SMALL, *ON_VGG], heads)
    assert not loaded
    assert len(site.asked) == 1
    assert site.timeouts == [weights.PATIENCE_S]
    assert socket.getdefaulttimeout() is None
    for name in SMALL:
        kind = KINDS[name.removeprefix("lpips_")]
        assert "timed out" in absent[name]
        assert kind.stored in absent[name]
        assert str(hub) in absent[name]
        assert "\n" not in absent[name]


def test_nothing_is_fetched_for_heads_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(OSError("no route"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", site)
    for package in ("lpips", "DISTS_pytorch"):
        monkeypatch.setitem(sys.modules, package, None)  # as if not installed
    _, absent = metrics.load([*SMALL, *ON_VGG], tmp_path)
    assert not site.asked
    assert "pip install --no-deps lpips" in absent["lpips_alex"]
    assert "lpips_vgg.safetensors" in absent["lpips_vgg"]
    assert "pip install --no-deps DISTS-pytorch" in absent["dists"]


def test_a_download_serves_as_well_as_a_folder(
    shared_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = load_file(shared_weights / "squeeze.safetensors")
    site = Site(tensors=tensors | {"classifier.1.weight": torch.zeros(3)})
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", site)
    shutil.copy(shared_weights / "lpips_squeeze.safetensors", tmp_path)
    (fetched,), absent = metrics.load(["lpips_squeeze"], tmp_path)
    (stored,), _ = metrics.load(["lpips_squeeze"], shared_weights)
    assert not absent
    assert len(site.asked) == 1
    assert "squeezenet1_1-b8a52dc0.pth" in fetched.source
    assert fetched.source.split()[-1] == stored.source.split()[-1]


def _publish(path: Path, tensors: dict[str, torch.Tensor]) -> str:
    """Write a file as torch.hub keeps it; return its name, which ends on its hash."""
    torch.save(tensors, path)
    begin = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.with_name(f"squeezenet-{begin}.pth")).name


def test_a_kept_download_is_used_without_asking(
    heads: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = KINDS["squeeze"]
    net = weights.Backbone(blank).state_dict()
    name = _publish(hub / "new.pth", net)
    kind = type(blank)(**{**vars(blank), "published": name})
    monkeypatch.setitem(KINDS, "squeeze", kind)
    found, origin = weights.Shelf(None, large=False).backbone("squeeze")
    assert origin == name
    for key, tensor in found.state_dict().items():
        assert torch.equal(tensor, net[key])


def test_a_damaged_download_is_named(heads: Path, hub: Path) -> None:
    (hub / KINDS["alex"].published).write_bytes(b"half a file")
    _, absent = metrics.load(["lpips_alex"], heads)
    assert "alexnet-owt-7be5be79.pth: damaged" in absent["lpips_alex"]
    assert "delete it" in absent["lpips_alex"]


def test_files_that_hold_something_else_are_named(heads: Path) -> None:
    (heads / "alex.safetensors").write_bytes(b"not safetensors")
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, heads / "squeeze.safetensors")
    save_file({"alpha": torch.zeros(4), "beta": torch.zeros(4)}, heads / "dists.safetensors")
    save_file({"lin0": torch.zeros(63)}, heads / "lpips_vgg.safetensors")
    loaded, absent = metrics.load([*SMALL, *ON_VGG], heads)
    assert not loaded
    assert "alex.safetensors: cannot be read" in absent["lpips_alex"]
    assert "squeeze.safetensors: no features.0.bias" in absent["lpips_squeeze"]
    assert "lpips_vgg.safetensors: no lin0 of 64 values" in absent["lpips_vgg"]
    assert "dists.safetensors: no alpha of 1475 values" in absent["dists"]


def test_digests_tell_weights_apart_but_not_their_storage() -> None:
    values = torch.tensor([1.0, 0.5, -2.0])
    assert weights.digest([values]) == weights.digest([values.half()])
    assert weights.digest([values]) != weights.digest([values + 2**-20])
    kernels = torch.arange(24.0).view(2, 3, 2, 2)
    last = kernels.contiguous(memory_format=torch.channels_last)
    assert weights.digest([kernels]) == weights.digest([last])


def test_a_home_folder_is_nobody_elses_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert weights.shorten(Path("/home/someone/.cache/torch")) == "~/.cache/torch"
    assert weights.shorten(Path("/opt/torch")) == "/opt/torch"

"""What is said, logged, plotted and painted of a run, and that a full disk does not end it."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from vqcodec.errors import BackendError, InputError
from vqcodec.nets.autoencoder import build
from vqcodec.training.tokenizer import Tokenizer
from vqcodec.training.watch import Watch, clock, fixed_crops, grid, shown_tiers

FULL = OSError(errno.ENOSPC, "No space left on device")


class Bright:
    """Stands for `Nets`: at tier t every pixel becomes 10 t brighter."""

    def __init__(self, *tiers: int) -> None:
        self.codebooks = {tier: [0] * 2 ** (tier + 2) for tier in tiers}

    def to_indices(self, pixels: NDArray[np.uint8], tier: int) -> NDArray[np.uint8]:
        return pixels // 2

    def to_pixels(self, indices: NDArray[np.uint8], tier: int) -> NDArray[np.uint8]:
        return (indices * 2 + 10 * tier).astype(np.uint8)


def flat(*values: int, side: int = 32) -> list[NDArray[np.uint8]]:
    """Square crops of one grey each."""
    return [np.full((side, side, 3), value, np.uint8) for value in values]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, said: list[str]) -> Iterator[Callable[..., Watch]]:
    """Make watches on `tmp_path / "run"` that are closed in the end."""
    made: list[Watch] = []

    def new(**options: object) -> Watch:
        made.append(Watch(tmp_path / "run", said.append, **options))
        return made[-1]

    yield new
    for watch in made:
        watch.close()


@pytest.fixture
def no_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Read TensorBoard's files: (step, value) by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


# ---- lines and the log -------------------------------------------------------------------------


@pytest.mark.usefixtures("no_tensorboard")
def test_a_line_has_the_means_and_the_rate_since_the_last_one(make, said, tmp_path) -> None:
    watch = make()
    watch.add({"l1": 0.5}, 8)  # before the clock starts: part of the mean, not of the rate
    watch.report(1, 0.01, 1.0)
    for step, l1 in ((2, 0.25), (3, 0.123456)):
        watch.add({"l1": l1, "used3": 0.5}, 8)
        watch.report(step, 0.1, 20.9)
    assert said == []
    watch.report(3, 0.25, 21.0)
    assert "\n".join(said).startswith(
        " 25.0% step 3 0.8 images/s 1:03 left l1 0.2912\nno TensorBoard"
    )
    watch.add({"l1": 1, "critic": 12345.678}, 100)
    watch.report(4, 0.5, 61.0)
    assert said[-1] == " 50.0% step 4 2.5 images/s 1:01 left l1 1 critic 1.235e+04"
    assert lines(tmp_path / "run") == [
        {
            "step": 3,
            "seconds": 21.0,
            "images_per_s": 0.8,
            "l1": pytest.approx((0.5 + 0.25 + 0.123456) / 3),
            "used3": 0.5,
        },
        {"step": 4, "seconds": 61.0, "images_per_s": 2.5, "l1": 1, "critic": 12345.678},
    ]


@pytest.mark.usefixtures("no_tensorboard")
def test_a_resumed_run_counts_from_its_own_start_and_appends(make, said, tmp_path) -> None:
    for begun in (0.0, 5000.0):
        watch = make()
        watch.report(7, 0.5, begun)
        watch.add({}, 30)
        watch.report(8, 0.5, begun + 30)
    assert said[-2] == " 50.0% step 8 1 images/s 1:23:50 left"
    assert [line["seconds"] for line in lines(tmp_path / "run")] == [30.0, 5030.0]


@pytest.mark.usefixtures("no_tensorboard")
def test_tensors_are_taken_too(make, tmp_path) -> None:
    watch = make()
    watch.report(0, 0.0, 0.0)
    for value in (1.0, 2.0):
        watch.add({"l1": torch.tensor(value)}, 1)
    watch.report(2, 0.5, 20.0)
    assert lines(tmp_path / "run")[0]["l1"] == 1.5


@pytest.mark.usefixtures("no_tensorboard")
@pytest.mark.parametrize(("share", "left"), [(0.0, "-"), (1.02, "0:00"), (0.001, "5:33:00")])
def test_the_time_left_follows_from_share_and_time_spent(make, said, share, left) -> None:
    watch = make()
    watch.report(0, 0.0, 0.0)
    watch.report(1, share, 20.0)
    assert f" images/s {left} left" in said[0]


def test_durations_are_written_as_clocks_do() -> None:
    assert [clock(s) for s in (5, 754, 3599.6, 3723, 90000)] == [
        *("0:05", "12:34", "1:00:00", "1:02:03", "25:00:00")
    ]


# ---- TensorBoard -------------------------------------------------------------------------------


def test_every_mean_becomes_a_scalar(make, tmp_path) -> None:
    watch = make()
    watch.report(1, 0.0, 0.0)
    assert not (tmp_path / "run" / "tensorboard").exists()
    for step in (2, 3):
        watch.add({"l1": 0.5 * step, "learning_rate": 0.25, "used3": 0.75}, 40)
        watch.report(step, 0.1, 20.0 * step)
    wanted = {
        "images_per_s": [(2, 1.0), (3, 2.0)],
        "l1": [(2, 1.0), (3, 1.5)],
        "learning_rate": [(2, 0.25), (3, 0.25)],
        "used3": [(2, 0.75), (3, 0.75)],
    }
    assert scalars(tmp_path / "run") == wanted  # without `close`: a killed run loses nothing
    watch.close()
    watch.close()
    assert scalars(tmp_path / "run") == wanted


def test_a_resumed_run_hides_the_scalars_after_its_checkpoint(make, tmp_path) -> None:
    for first, value in ((0, 1.0), (200, 2.0)):
        watch = make()
        watch.report(first, 0.1, 0.0)
        for n in (1, 2, 3):
            watch.add({"l1": value}, 1)
            watch.report(first + 100 * n, 0.1, 20.0 * n)
        watch.close()
    assert scalars(tmp_path / "run")["l1"] == [(100, 1.0), (300, 2.0), (400, 2.0), (500, 2.0)]


@pytest.mark.usefixtures("no_tensorboard")
def test_without_tensorboard_training_goes_on_and_says_so_once(make, said, tmp_path) -> None:
    watch = make()
    for n in range(4):
        watch.report(n, 0.1, 20.0 * n)
    assert said.count("no TensorBoard: pip install 'vqcodec[train]'") == 1
    assert len(lines(tmp_path / "run")) == 3


# ---- what the disk does ------------------------------------------------------------------------


def _reports(watch: Watch, first: int, n_lines: int) -> None:
    for n in range(n_lines + 1):
        watch.report(first + n, 0.1, 20.0 * (first + n))


def test_places_that_cannot_be_written_are_said_once(make, said, tmp_path) -> None:
    run = tmp_path / "run"
    (run / "log.jsonl").mkdir(parents=True)
    (run / "tensorboard").write_text("a file")
    (run / "pictures").write_text("a file")
    watch = make(crops=flat(1))
    for n in range(4):
        watch.report(n, 0.1, 600.0 * n)
        watch.pictures(lambda: Bright(1), n, 600.0 * n)
    for what in ("log.jsonl", "TensorBoard", "pictures"):
        assert sum(line.startswith(f"{what} could not be written (") for line in said) == 1
    assert sum("images/s" in line for line in said) == 3
    (run / "log.jsonl").rmdir()
    watch.report(9, 0.1, 6000.0)
    assert [line["step"] for line in lines(run)] == [9]


@pytest.mark.usefixtures("no_tensorboard")
def test_half_a_line_is_taken_back(make, tmp_path, monkeypatch) -> None:
    watch = make()
    _reports(watch, 0, 1)
    real = Path.open

    def fills_up(self: Path, *args: str, **options: str):
        file = real(self, *args, **options)
        write = file.write

        def half(text: str) -> None:
            write(text[: len(text) // 2])
            file.flush()
            raise FULL

        file.write = half
        return file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fills_up)
        watch.report(2, 0.1, 40.0)
    watch.report(3, 0.1, 60.0)
    assert [line["step"] for line in lines(tmp_path / "run")] == [1, 3]


def test_a_tensorboard_that_fails_later_is_given_up(make, said, tmp_path, monkeypatch) -> None:
    from torch.utils.tensorboard import SummaryWriter

    watch = make()
    _reports(watch, 0, 1)

    def fails(_: SummaryWriter) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(SummaryWriter, "flush", fails)
        watch.report(2, 0.1, 40.0)
    watch.report(3, 0.1, 60.0)
    assert sum("TensorBoard" in line for line in said) == 1
    assert [line["step"] for line in lines(tmp_path / "run")] == [1, 2, 3]
    assert 3 not in dict(scalars(tmp_path / "run")["images_per_s"])


@pytest.mark.usefixtures("no_tensorboard")
def test_lines_that_cannot_be_said_are_lost(tmp_path) -> None:
    def say(_: str) -> None:
        raise FULL

    watch = Watch(tmp_path, say)
    _reports(watch, 0, 2)
    assert len(lines(tmp_path)) == 2


def test_half_a_picture_leaves_nothing_behind(make, said, tmp_path, monkeypatch) -> None:
    def fills_up(_: Image.Image, path: Path, *args: str) -> None:
        path.write_bytes(b"\x89PNG")
        raise FULL

    monkeypatch.setattr(Image.Image, "save", fills_up)
    make(crops=flat(1)).close(lambda: Bright(1), 5, 9.0)
    assert list((tmp_path / "run" / "pictures").iterdir()) == []
    assert "No space left" in said[0]


def test_no_memory_for_a_picture_is_no_reason_to_stop(make, said) -> None:
    def no_memory() -> Bright:
        raise BackendError("out of memory on cuda")

    watch = make(crops=flat(1), pictures_every_s=10)
    for spent in (0, 10, 20):
        watch.pictures(no_memory, spent, spent)
    assert said == ["pictures could not be written (out of memory on cuda): training goes on"]


# ---- pictures ----------------------------------------------------------------------------------


def test_grids_come_when_they_are_due(make, tmp_path) -> None:
    looks: list[int] = []

    def nets(step: int) -> Callable[[], Bright]:
        return lambda: looks.append(step) or Bright(1)

    watch = make(crops=flat(1), pictures_every_s=100)
    for step, spent in ((5, 3000), (6, 3099), (7, 3100), (8, 3199), (1234567, 3201)):
        watch.pictures(nets(step), step, spent)
    watch.close(nets(1234567), 1234567, 3202)  # that step has its grid
    watch.close()
    assert looks == [7, 1234567]
    watch.close(nets(1234568), 1234568, 3203)
    names = {path.name for path in (tmp_path / "run" / "pictures").iterdir()}
    assert names == {"step-000007.png", "step-1234567.png", "step-1234568.png"}


def test_there_is_no_grid_without_crops_or_codebooks(make, tmp_path) -> None:
    def never() -> Bright:
        raise AssertionError("no crops")

    make().close(never, 3, 1.0)
    make(crops=flat(1)).close(Bright, 3, 1.0)
    assert not (tmp_path / "run").exists()


def test_a_grid_has_a_row_per_crop_and_a_column_per_tier(make, tmp_path) -> None:
    make(crops=flat(20, 100, side=96)).close(lambda: Bright(9, 2), 3, 1.0)
    with Image.open(tmp_path / "run" / "pictures" / "step-000003.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (16 + 2 * (96 + 4), 3 * (96 + 4) - 4, 3)
    for row, original in enumerate((20, 100)):
        for column, brighter in enumerate((0, 20, 90)):
            top, left = 16 + 100 * row, 100 * column
            block = pixels[top : top + 100, left : left + 100]
            assert (block[:96, :96] == original + brighter).all()
            assert (block[96:] == 255).all()
            assert (block[:, 96:] == 255).all()
    captions = [pixels[:16, left : left + 96] for left in (0, 100, 200)]
    assert all(caption.min() < 64 and (caption == 255).mean() > 0.6 for caption in captions)
    assert not np.array_equal(captions[1], captions[2])


def test_a_grid_shows_what_the_networks_paint() -> None:
    torch.manual_seed(0)
    widths = {"encoder_channels": [8, 8, 8], "decoder_channels": [8, 8, 8, 8]}
    blocks = {"encoder_blocks": [1, 1, 1], "decoder_blocks": [1, 1, 1, 1]}
    net = build("light", {"latent_dim": 4, **widths, **blocks})
    nets = Tokenizer(net, None, {2: torch.randn(16, 4)}).to_nets()
    crop = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    out = grid([crop], nets)
    assert out.shape == (16 + 36, 52 + 48, 3)
    assert np.array_equal(out[16:48, :48], crop)
    assert np.array_equal(out[16:48, 52:], nets.to_pixels(nets.to_indices(crop, 2), 2))


@pytest.mark.parametrize(
    ("tiers", "shown"),
    [
        ([9, 1, 5], [1, 5, 9]),
        (range(1, 10), [1, 4, 8, 9]),
        ([2, 3, 5, 6], [2, 3, 6]),
        ([1, 2, 7, 9], [1, 2, 7, 9]),
    ],
)
def test_a_grid_shows_few_tiers(tiers, shown) -> None:
    assert shown_tiers(tiers) == shown


def test_crops_of_a_grid_have_one_shape(tmp_path) -> None:
    with pytest.raises(ValueError, match="one shape"):
        Watch(tmp_path, print, crops=[*flat(1), *flat(1, side=48)])


# ---- fixed crops -------------------------------------------------------------------------------


def _photos(folder: Path, sizes: list[tuple[int, int]]) -> SimpleNamespace:
    """Write photos whose red is their number and whose green and blue tell the place."""
    folder.mkdir()
    all_pixels = []
    for n, (height, width) in enumerate(sizes):
        pixels = np.full((height, width, 3), n, np.uint8)
        pixels[..., 1], pixels[..., 2] = np.mgrid[:height, :width]
        Image.fromarray(pixels).save(folder / f"{n:03}.png")
        all_pixels.append(pixels)
    return SimpleNamespace(path=folder, pixels=all_pixels)


def test_fixed_crops_are_centres_of_photos_spread_over_the_source(tmp_path) -> None:
    sizes = [(16, 40), (32, 32), (33, 47), (40, 31), *[(64, 50)] * 5, (48, 32)]
    photos = _photos(tmp_path / "val", sizes)
    crops = fixed_crops(photos.path, n=2, side=32)
    assert [crop[0, 0, 0] for crop in crops] == [4, 8]  # of 1, 2, 4 to 9
    assert np.array_equal(crops[0], photos.pixels[4][16:48, 9:41])
    every = fixed_crops(photos.path, n=20, side=32)
    assert [crop[0, 0, 0] for crop in every] == [1, 2, 4, 5, 6, 7, 8, 9]


def test_fixed_crops_of_a_long_source_are_spread_too(tmp_path) -> None:
    photos = _photos(tmp_path / "val", [(16, 16)] * 150)
    numbers = [int(crop[0, 0, 0]) for crop in fixed_crops(photos.path, n=3, side=16)]
    assert numbers == pytest.approx([25, 75, 125], abs=4)


def test_a_source_without_photos_that_are_large_enough_is_refused(tmp_path) -> None:
    photos = _photos(tmp_path / "val", [(16, 300)])
    with pytest.raises(InputError, match="no photo with 32 pixels"):
        fixed_crops(photos.path, side=32)
    with pytest.raises(InputError, match="not found"):
        fixed_crops(tmp_path / "none")

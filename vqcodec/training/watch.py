"""What one sees of a training run: lines, `log.jsonl`, TensorBoard scalars, grids of pictures.

A step's figures come in; their means since the last line go out three ways. From time to time the
averaged model decodes a few fixed photos, so that eyes can judge what figures do not say. Nothing
that goes wrong in here ends a run of hours: it is said once and training goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vqcodec.errors import BackendError, InputError
from vqcodec.training.photos import read_photos

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from vqcodec.nets.load import Nets

SAY_EVERY_S = 20.0
LOG_NAME, TENSORBOARD_NAME, PICTURES_NAME = "log.jsonl", "tensorboard", "pictures"
QUIET = "used"  # figures whose name begins so are logged and not printed: one per tier
CAPTION_PX, GAP_PX = 16, 4  # of a grid: height of the caption row, white between the crops


class Watch:
    """Eyes and memory of one training run.

    Args:
        out: folder of the run, made when missing.
        say: takes lines for people.
        crops: the photos of the grids, all (H, W, 3) uint8 of one size, sides multiples of the
            stride; none means no grids. See `fixed_crops`.
        pictures_every_s: seconds from one grid to the next.

    Raises:
        ValueError: the crops differ in shape (caller's mistake).
    """

    def __init__(
        self,
        out: Path,
        say: Callable[[str], None],
        *,
        crops: Sequence[NDArray[np.uint8]] = (),
        pictures_every_s: float = 600.0,
    ) -> None:
        if len({crop.shape for crop in crops}) > 1:
            raise ValueError("the crops of a grid must have one shape")
        self.out, self.say = out, say
        self.crops, self.pictures_every_s = list(crops), pictures_every_s
        self._figures: dict[str, list[float]] = {}
        self._n_images = self._first_step = 0
        self._said_at: float | None = None  # seconds spent at the last line
        self._pictured_at: float | None = None  # seconds spent at the last grid
        self._pictured_step: int | None = None
        self._writer: SummaryWriter | None = None
        self._has_tensorboard = True  # until the contrary shows
        self._told: set[str] = set()

    def add(self, figures: Mapping[str, float], n_images: int) -> None:
        """Take in one step.

        Args:
            figures: floats, or detached tensors without dimensions, which are looked at only when
                a line is due, so that a GPU need not be waited for.
            n_images: images that the step was made on.
        """
        for key, value in figures.items():
            self._figures.setdefault(key, []).append(value)
        self._n_images += n_images

    def report(self, step: int, share: float, spent: float) -> None:
        """Say, log and plot the means since the last line, if that is 20 seconds ago.

        The first call only starts the clock, so that rates are right in a resumed run too.

        Args:
            step: steps made, earlier runs included.
            share: of the budget that is spent.
            spent: seconds spent, earlier runs included.
        """
        if self._said_at is None:
            self._said_at, self._first_step, self._n_images = spent, step, 0
            return
        since = spent - self._said_at
        if since < SAY_EVERY_S:
            return
        rate = self._n_images / since
        means = {key: float(sum(values)) / len(values) for key, values in self._figures.items()}
        self._figures.clear()
        self._said_at, self._n_images = spent, 0
        left = clock(max(0.0, spent * (1 - share) / share)) if share > 0 else "-"
        words = [f"{share:6.1%} step {step} {rate:.4g} images/s {left} left"]
        words += [f"{key} {v:.4g}" for key, v in means.items() if not key.startswith(QUIET)]
        self._tell(" ".join(words))
        means = {"images_per_s": rate, **means}
        with self._tolerated(LOG_NAME):
            self._log({"step": step, "seconds": round(spent, 1), **means})
        self._plot(means, step)

    def pictures(self, make: Callable[[], Nets], step: int, spent: float) -> None:
        """Write a grid of the crops, if it is time; the first call only starts the clock.

        Args:
            make: gives the model to look at; called only when a grid is due.
            step: steps made; names the file.
            spent: seconds spent, earlier runs included.
        """
        if self._pictured_at is None:
            self._pictured_at = spent
        elif spent - self._pictured_at >= self.pictures_every_s:
            self._picture(make, step, spent)

    def close(
        self, make: Callable[[], Nets] | None = None, step: int = 0, spent: float = 0.0
    ) -> None:
        """End the watch; with `make`, write a last grid, unless this step has one."""
        if make is not None and step != self._pictured_step:
            self._picture(make, step, spent)
        self._close_writer()

    def _picture(self, make: Callable[[], Nets], step: int, spent: float) -> None:
        if not self.crops:
            return
        self._pictured_at, self._pictured_step = spent, step
        with self._tolerated(PICTURES_NAME):
            nets = make()
            if nets.codebooks:  # none while the first stage trains without quantisation
                _save(grid(self.crops, nets), self.out / PICTURES_NAME / f"step-{step:06d}.png")

    def _log(self, line: Mapping[str, float]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / LOG_NAME
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError:
            with contextlib.suppress(OSError):  # half a line would spoil the next one
                os.truncate(path, size)
            raise

    def _plot(self, figures: Mapping[str, float], step: int) -> None:
        """Write TensorBoard scalars; after a failure never again, as its writer does not mend."""
        if not self._has_tensorboard:
            return
        try:
            if self._writer is None:
                # `tensorboard` and not the smaller `tensorboardX`: one needs it to look at the
                # curves in any case, and its writer's thread hands on its failures, where the
                # other's dies and leaves a full queue that blocks training.
                from torch.utils.tensorboard import SummaryWriter

                # Hides what a run that was resumed had written after its last checkpoint.
                folder, first = str(self.out / TENSORBOARD_NAME), self._first_step
                self._writer = SummaryWriter(folder, purge_step=first)
            for key, value in figures.items():
                self._writer.add_scalar(key, value, step)
            self._writer.flush()
        except ImportError:
            self._has_tensorboard = False
            self._tell("no TensorBoard: pip install 'vqcodec[train]'")
        except OSError as error:
            self._has_tensorboard = False
            self._fail("TensorBoard", error)
            self._close_writer()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with self._tolerated("TensorBoard"):
                writer.close()

    @contextlib.contextmanager
    def _tolerated(self, what: str) -> Iterator[None]:
        """Go on when the disk is full, or when there is no memory left to decode a picture."""
        try:
            yield
        except (OSError, BackendError) as error:
            self._fail(what, error)

    def _fail(self, what: str, error: Exception) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(f"{what} could not be written ({error}): training goes on")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the lines may go to a file on the same full disk
            self.say(line)


def fixed_crops(source: Path, n: int = 6, side: int = 256) -> list[NDArray[np.uint8]]:
    """Cut centre crops from photos spread evenly over a source, as sources are often mixed.

    Args:
        source: folder or tar of validation photos.
        n: crops wanted; there are fewer where fewer photos are large enough.
        side: of the crops (side, side, 3) uint8 in pixels, a multiple of the stride.

    Raises:
        InputError: `source` is missing or has no photo that is large enough.
    """
    large = (pixels for _, pixels in read_photos(source) if min(pixels.shape[:2]) >= side)
    kept = _thinned((_centre(pixels, side) for pixels in large), 16 * n)
    if not kept:
        raise InputError(f"{source}: no photo with {side} pixels or more a side.", path=source)
    n = min(n, len(kept))
    return [kept[(2 * k + 1) * len(kept) // (2 * n)] for k in range(n)]


def _thinned(crops: Iterable[NDArray[np.uint8]], most: int) -> list[NDArray[np.uint8]]:
    """Keep every 2**m-th, fewer than `most`: their number is not known before they are decoded."""
    kept: list[NDArray[np.uint8]] = []
    stride = 1
    for seen, crop in enumerate(crops):
        if seen % stride == 0:
            kept.append(crop)
        if len(kept) >= most:
            kept, stride = kept[::2], 2 * stride
    return kept


def _centre(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = ((size - side) // 2 for size in pixels.shape[:2])
    return pixels[top : top + side, left : left + side].copy()  # a view would keep the whole photo


def shown_tiers(tiers: Iterable[int]) -> list[int]:
    """Choose the tiers of a grid: all up to three, else lowest, nearest to 4 and to 8, highest."""
    every = sorted(tiers)
    if len(every) <= 3:
        return every
    near = [min(every, key=lambda tier: abs(tier - wanted)) for wanted in (4, 8)]
    return sorted({every[0], *near, every[-1]})


def grid(crops: Sequence[NDArray[np.uint8]], nets: Nets) -> NDArray[np.uint8]:
    """Lay out crops and what becomes of them: a row for each, the original and then some tiers.

    Args:
        crops: n of (H, W, 3) uint8.
        nets: the model, with one codebook or more.

    Returns:
        (16 + n * (H + 4), columns * (W + 4) - 4, 3) uint8; the first row names the columns.
    """
    tiers = shown_tiers(nets.codebooks)
    names = ["original", *(f"tier {tier}, K {len(nets.codebooks[tier])}" for tier in tiers)]
    height, width = crops[0].shape[:2]
    high, wide = height + GAP_PX, width + GAP_PX
    shape = (CAPTION_PX + len(crops) * high, len(names) * wide - GAP_PX, 3)
    out = np.full(shape, 255, np.uint8)
    for column, name in enumerate(names):
        left = slice(column * wide, column * wide + width)
        out[:CAPTION_PX, left] = _caption(name, width)
        for row, crop in enumerate(crops):
            top = CAPTION_PX + row * high
            if column:
                tier = tiers[column - 1]
                crop = nets.to_pixels(nets.to_indices(crop, tier), tier)
            out[top : top + height, left] = crop
    return out


def _caption(text: str, width: int) -> NDArray[np.uint8]:
    """Draw a strip (16, width, 3) uint8; text that does not fit is cut."""
    strip = Image.new("RGB", (width, CAPTION_PX), "white")
    ImageDraw.Draw(strip).text((1, 1), text, fill="black")
    return np.asarray(strip)


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write a PNG whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        Image.fromarray(pixels).save(temporary, "PNG")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def clock(seconds: float) -> str:
    """Write a duration as 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

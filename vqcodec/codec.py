"""The main path: pixels to a file and back. The only room that sees both halves of the house.

encode: pad to the stride, networks to an index map, coding mode, packets, file; for a target size
this is done for the few tiers that may fit. decode: the same backwards. torch is loaded with the
networks, after everything that can fail without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import CODINGS, MAGIC, MAX_PIXELS, MAX_SIDE, PACKET_HEAD_BYTES
from vqcodec.bitstream.packets import Header
from vqcodec.entropy import fixedlength
from vqcodec.errors import ImageError
from vqcodec.packs import store
from vqcodec.payload import decode_index_map, encode_index_map
from vqcodec.pixels import frame
from vqcodec.ratecontrol import largest_within
from vqcodec.rdo import DEFAULT_RDO, MAX_WEIGHT, choose

if TYPE_CHECKING:
    from vqcodec.nets.load import Nets

Progress = Callable[[int, int], None]


@lru_cache(maxsize=2)
def _nets(path: Path, digest: str, device: str, threads: int | None) -> Nets:
    """Load a pack's networks; the last two are kept, so that many images cost one loading."""
    from vqcodec.nets.load import load

    del digest  # part of the key: a pack that changed on disk is loaded anew
    return load(store.load(path), device=device, threads=threads)


def encode(
    pixels: NDArray[np.uint8],
    *,
    tier: int | None = None,
    target_bytes: int | None = None,
    model: str | Path | None = None,
    coding: str = "auto",
    rdo: float | None = None,
    n_packets: int = 1,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Encode an image.

    Args:
        pixels: (H, W, 3) uint8 sRGB, 1 to 65535 a side.
        tier: 1 to 12, from the smallest file to the best picture, of those that the pack has; None
            takes the pack's default.
        target_bytes: in place of `tier`, the whole file's size at most: the largest tier that fits.
        model: a pack's name or folder; None takes the embedded default.
        coding: "fixed", "table", "context" where the pack has a context model, or "auto" for the
            smallest of them; of several packets, "auto" has the smaller of "fixed" and "table".
        rdo: weight of the bits where the context model is used: a farther codeword is taken for
            each bit that it saves by up to so much more squared distance; 0 always takes the
            nearest. None takes 0 where there is no context model, else the default.
        n_packets: packets of the file, see FORMAT.md section 5; one unless the file will be torn
            apart.
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves torch's choice.
        progress: called with (tiles done, tiles in all), for a target from 0 again for each tier
            that is tried.

    Returns:
        The `.vqc` file.

    Raises:
        ValueError: an argument is outside its range.
        ImageError: a side is longer than the format can say.
        TargetError: even the smallest tier's file is larger than `target_bytes`.
        ModelError: the pack is missing, broken, or has no such tier or no context model for it.
        BackendError: torch or the device is missing, or memory ran out.

    Example:
        >>> import numpy as np, vqcodec
        >>> data = vqcodec.encode(np.zeros((48, 64, 3), np.uint8), tier=1)
        >>> vqcodec.decode(data).shape
        (48, 64, 3)
    """
    height, width = _checked_size(pixels)
    if coding not in ("auto", *CODINGS):
        raise ValueError(f"coding '{coding}' is not one of auto, {', '.join(CODINGS)}")
    if target_bytes is not None and tier is not None:
        raise ValueError("tier and target_bytes both choose the tier; give one of them")
    if target_bytes is not None and not target_bytes >= 1:
        raise ValueError(f"target_bytes is {target_bytes}; a file has at least one byte")
    _check_rdo(rdo, coding, n_packets)
    pack = store.find(model)

    def header(tier: int, mode: str) -> Header:
        return Header(tier, mode, n_packets, pack.weights_id, width, height)

    def make(tier: int) -> bytes:
        # An explicit weight asks for the model as explicit coding does: refused without one.
        tables = pack.tables(tier, "context" if rdo else coding)
        if coding == "auto" and n_packets == 1:
            tables = tables[0], pack.context(tier)
        nets = _nets(pack.path, pack.digest, device, threads)
        padded = frame.pad(pixels, pack.manifest.stride)
        weight = DEFAULT_RDO if rdo is None else rdo
        if tables[1] is not None and n_packets == 1 and weight:
            latents, words = nets.to_latents(padded, tier, progress), nets.codewords(tier)
            head = header(tier, "context")
            chosen = choose(latents, words, head, tables[1], weight)
            data = container.write(head, encode_index_map(chosen, head, *tables))
            # Where fixed coding is smaller, as of some very small maps, nothing is gained by words
            # that are not the nearest.
            if coding == "context" or len(data) < _fixed_bytes(header(tier, "fixed")):
                return data
        indices = nets.to_indices(padded, tier, progress)
        modes = [mode for mode in CODINGS if mode != "context" or tables[1] is not None]
        heads = [header(tier, mode) for mode in (modes if coding == "auto" else [coding])]
        files = (container.write(head, encode_index_map(indices, head, *tables)) for head in heads)
        return min(files, key=len)

    def at_most(tier: int) -> float:
        return _fixed_bytes(header(tier, "fixed")) if coding in ("auto", "fixed") else math.inf

    if target_bytes is None:
        return make(pack.manifest.default_tier if tier is None else tier)
    tiers = [entry.tier for entry in pack.manifest.tiers]
    if coding == "fixed":  # the bound is the size: nothing is left to be tried
        tiers = [tier for tier in tiers if at_most(tier) <= target_bytes] or tiers[:1]
    return largest_within(target_bytes, tiers, make, at_most)


def decode(
    data: bytes,
    *,
    model: str | Path | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.uint8]:
    """Decode a file.

    Args:
        data: the whole file.
        model: a pack's name or folder to insist on; None finds the one that the file names.
        max_pixels: refuse larger pictures, before memory is taken.
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves torch's choice.
        progress: called with (tiles done, tiles in all).

    Returns:
        (H, W, 3) uint8 sRGB.

    Raises:
        FormatError: the bytes are wrong or damaged.
        LimitError: the picture is larger than `max_pixels`.
        ModelError: the pack that the file was made with is not at hand.
        BackendError: torch or the device is missing, or memory ran out.
    """
    parsed = container.parse(data)
    header = parsed.header
    payloads = parsed.payloads()
    header.check_pixels(max_pixels)
    pack = store.find_by_id(header.weights_id, model)
    indices = decode_index_map(payloads, header, *pack.tables(header.tier, header.coding))
    nets = _nets(pack.path, pack.digest, device, threads)
    return frame.crop(nets.to_pixels(indices, header.tier, progress), header.height, header.width)


def _checked_size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Height and width of what may be encoded."""
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
    ):
        raise ValueError("pixels must be an (H, W, 3) array of uint8")
    height, width = pixels.shape[:2]
    if not (height and width):
        raise ValueError("an image has at least one pixel")
    if max(height, width) > MAX_SIDE:
        raise ImageError(
            f"{width}x{height} pixels: the format's sides end at {MAX_SIDE}; scale the image down"
        )
    return height, width


def _check_rdo(rdo: float | None, coding: str, n_packets: int) -> None:
    if rdo is None:
        return
    if not 0 <= rdo <= MAX_WEIGHT:
        raise ValueError(f"rdo is {rdo}; the weight of a bit is from 0 to {MAX_WEIGHT:g}")
    if rdo and (coding not in ("auto", "context") or n_packets > 1):
        raise ValueError(
            f"rdo goes by the context model's bits, which a file of {n_packets} packets in coding "
            f"'{coding}' does not spend"
        )


def _fixed_bytes(header: Header) -> int:
    """Size of a whole file in fixed coding: it hangs on no network."""
    payloads = (
        fixedlength.payload_bytes(header.num_indices(index), header.codebook_size)
        for index in range(header.n_packets)
    )
    return len(MAGIC) + sum(PACKET_HEAD_BYTES + size for size in payloads)

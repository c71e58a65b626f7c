"""The main path: pixels to a file and back. The only room that sees both halves of the house.

encode: pad to the stride, networks to an index map, coding mode, packets, parity, file; for a
target size this is done for the few tiers that may fit. decode: the same backwards. torch, or
onnxruntime in its place, is loaded with the networks, after everything that can fail without it.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqcodec.backends import Progress
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import CODINGS, MAX_PIXELS, MAX_SIDE
from vqcodec.bitstream.packets import Header
from vqcodec.errors import DamageWarning, ImageError
from vqcodec.fec import protect
from vqcodec.packing import Packing
from vqcodec.packs import store
from vqcodec.painting import RESTORERS, load_nets, paint
from vqcodec.payload import encode_index_map
from vqcodec.pixels import frame
from vqcodec.ratecontrol import largest_within
from vqcodec.rdo import DEFAULT_RDO, check_weight, choose
from vqcodec.reception import Losses, receive


def encode(
    pixels: NDArray[np.uint8],
    *,
    tier: int | None = None,
    target_bytes: int | None = None,
    model: str | Path | None = None,
    coding: str = "auto",
    rdo: float | None = None,
    n_packets: int = 1,
    mtu: int | None = None,
    fec: float = 0.0,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
    backend: str = "auto",
) -> bytes:
    """Encode an image.

    Args:
        pixels: (H, W, 3) uint8 sRGB, 1 to 65535 a side.
        tier: 1 to 12, from the smallest file to the best picture, of those that the pack has; None
            takes the pack's default.
        target_bytes: in place of `tier`, the whole file's size at most: the largest tier that fits.
        model: a pack's name or folder; None takes the embedded default.
        coding: "fixed", "table", "context" where the pack has a context model, or "auto": the
            smallest of them for one packet, "fixed" for several, whose known lengths help to find
            them in damaged bytes.
        rdo: weight of the bits where the context model is used: a farther codeword is taken for
            each bit that it saves by up to so much more squared distance; 0 always takes the
            nearest. None takes 0 where there is no context model, else the default.
        n_packets: data packets of the file, see FORMAT.md section 5; one unless the file will be
            torn apart.
        mtu: in place of `n_packets`, bytes that a packet has at most, 12 of them its head: the
            fewest packets that are all so small.
        fec: parity packets to add, as a share of the data packets up to 4, rounded up: so many
            packets can be lost and rebuilt. It takes two data packets or more.
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves the backend's choice.
        progress: called with (tiles done, tiles in all), for a target from 0 again for each tier
            that is tried.
        backend: what runs the networks, "torch" or "onnx" (onnxruntime, on the CPU); "auto" takes
            torch where it is installed.

    Returns:
        The `.vqc` file.

    Raises:
        ValueError: an argument is outside its range.
        ImageError: a side is longer than the format can say.
        TargetError: even the smallest tier's file is larger than `target_bytes`, or even of the
            most packets one is larger than `mtu`.
        FileError: `fec` with an `mtu` that has room for everything in one packet (for a target, two
            packets are taken then).
        ModelError: the pack is missing, broken, not for this backend, or lacks the tier or its
            context model.
        BackendError: the backend or the device is missing, or memory ran out.

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
    packing = Packing(n_packets, mtu, fec)
    check_weight(rdo, may_be_used=coding in ("auto", "context") and packing == Packing())
    pack = store.find(model)
    maps: dict[int, NDArray[np.int32]] = {}

    def header(tier: int, mode: str = "fixed", count: int = 1) -> Header:
        return Header(tier, mode, count, pack.weights_id, width, height, pack.manifest.stride)

    def write(head: Header, payloads: list[bytes]) -> bytes:
        n_parity = packing.n_parity(head.n_packets)
        return container.write(head, payloads, protect(payloads, n_parity) if n_parity else ())

    def make(tier: int, count: int) -> bytes:
        # An explicit weight asks for the model as explicit coding does: refused without one.
        tables = pack.tables(tier, "context" if rdo else coding)
        if coding == "auto" and count == 1:
            tables = tables[0], pack.context(tier)
        nets = load_nets(pack, device, threads, backend)
        padded = frame.pad(pixels, pack.manifest.stride)
        weight = DEFAULT_RDO if rdo is None else rdo
        if tables[1] is not None and count == 1 and weight:
            latents, words = nets.to_latents(padded, tier, progress), nets.codewords(tier)
            head = header(tier, "context")
            chosen = choose(latents, words, head, tables[1], weight)
            data = write(head, encode_index_map(chosen, head, *tables))
            # Where fixed coding is smaller, as of some very small maps, nothing is gained by words
            # that are not the nearest.
            if coding == "context" or len(data) < Packing().at_most(head):
                return data
        if tier not in maps:  # the same for every number of packets
            maps.clear()
            maps[tier] = nets.to_indices(padded, tier, progress)
        modes = [coding]
        if coding == "auto":
            modes = ["fixed", "table", "context"] if tables[1] is not None else ["fixed", "table"]
        heads = [header(tier, mode, count) for mode in (modes if count == 1 else modes[:1])]
        return min((write(h, encode_index_map(maps[tier], h, *tables)) for h in heads), key=len)

    def make_tier(tier: int) -> bytes:
        return packing.make(header(tier), coding, lambda count: make(tier, count))

    def at_most(tier: int) -> float:
        return packing.at_most(header(tier)) if coding in ("auto", "fixed") else math.inf

    if target_bytes is None:
        chosen_tier = pack.manifest.default_tier if tier is None else tier
        packing.check_room(header(chosen_tier))
        return make_tier(chosen_tier)
    tiers = [entry.tier for entry in pack.manifest.tiers]
    if coding == "fixed":  # the bound is the size: nothing is left to be tried
        tiers = [tier for tier in tiers if at_most(tier) <= target_bytes] or tiers[:1]
    return largest_within(target_bytes, tiers, make_tier, at_most)


@dataclass(frozen=True)
class Decoded:
    """A picture, and what of it was received.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB.
        header: of the file.
        pack: the model pack that painted it.
        indices: (h, w) int32 the index map, lost indices as the restorer thinks they were.
        erased: (h, w) bool, True where the index was lost.
        losses: of the file's packets and bytes.
        restorer: which one filled the gaps; None where there were none.
        entropy_bits: what the network does not know of a lost index, in bits on the average; None
            where it was not asked.
        backend: "torch" or "onnx", which ran the networks.
    """

    pixels: NDArray[np.uint8]
    header: Header
    pack: store.Pack
    indices: NDArray[np.int32]
    erased: NDArray[np.bool_]
    losses: Losses
    restorer: str | None
    entropy_bits: float | None
    backend: str


def decode(
    data: bytes,
    *,
    model: str | Path | None = None,
    strict: bool = False,
    restorer: str | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
    backend: str = "auto",
) -> NDArray[np.uint8]:
    """Decode a file, or what is left of it.

    Warns with a `DamageWarning` where anything was missing or damaged. Arguments and errors are
    those of `decode_with_losses`, which says what was lost.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    decoded = decode_with_losses(
        data,
        model=model,
        strict=strict,
        restorer=restorer,
        max_pixels=max_pixels,
        device=device,
        threads=threads,
        progress=progress,
        backend=backend,
    )
    if not decoded.losses.is_whole:
        warnings.warn(decoded.losses.describe(), DamageWarning, stacklevel=2)
    return decoded.pixels


def decode_with_losses(
    data: bytes,
    *,
    model: str | Path | None = None,
    strict: bool = False,
    restorer: str | None = None,
    max_pixels: int = MAX_PIXELS,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
    backend: str = "auto",
) -> Decoded:
    """Decode a file, or what is left of it, and say what was lost.

    Args:
        data: any bytes that hold packets of a file.
        model: a pack's name or folder to insist on; None finds the one that the file names.
        strict: refuse a file of which anything is missing or damaged.
        restorer: what fills the places of lost indices, one of `painting.RESTORERS`; None takes the
            pack's network, where it has one.
        max_pixels: refuse larger pictures, before memory is taken.
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves the backend's choice.
        progress: called with (tiles done, tiles in all).
        backend: as of `encode`.

    Raises:
        ValueError: an argument is outside its range.
        FormatError: no packet is intact, or with `strict` not all are; or the file's stride is not
            its pack's.
        LimitError: the picture is larger than `max_pixels`.
        ModelError: the pack that the file was made with is not at hand or not for this backend, or
            lacks the restorer that was asked for.
        BackendError: the backend or the device is missing, or memory ran out.
    """
    if restorer not in (None, *RESTORERS):
        raise ValueError(f"restorer '{restorer}' is not one of {', '.join(RESTORERS)}")
    received = receive(data, model=model, max_pixels=max_pixels, strict=strict)
    header, pack = received.header, received.pack
    painting = paint(
        received.indices,
        pack,
        header.tier,
        restorer=restorer,
        device=device,
        threads=threads,
        progress=progress,
        backend=backend,
    )
    return Decoded(
        frame.crop(painting.pixels, header.height, header.width),
        header,
        pack,
        painting.indices,
        received.indices < 0,
        received.losses,
        painting.restorer,
        painting.entropy_bits,
        painting.backend,
    )


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

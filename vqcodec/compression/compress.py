"""A model pack to a smaller one that writes and reads the same files.

Codebooks, frequency tables, context model and restorer stay byte for byte, so index maps do too;
only the networks' kernels change.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vqcodec.compression.calibration import code_step
from vqcodec.compression.steps import Step, halves
from vqcodec.compression.vectors import Coded
from vqcodec.compression.words import Fit, full_rank, low_rank, rounded
from vqcodec.errors import InputError
from vqcodec.nets.autoencoder import Autoencoder, count_parameters
from vqcodec.nets.codes import to_codes
from vqcodec.nets.kernels import SMALLEST_INT8, to_stored
from vqcodec.nets.light import LightVqgan
from vqcodec.nets.load import Nets, load
from vqcodec.nets.quantizer import nearest
from vqcodec.packs.manifest import COMPRESSED_SCHEMA, MANIFEST_NAME
from vqcodec.packs.store import RESTORER_NAME, WEIGHTS_NAME, Pack
from vqcodec.training.pack_files import begin_card, ordered, refuse_to_replace, write_pack
from vqcodec.training.photos import Photos
from vqcodec.training.refusal import load_refused

CALIBRATED: dict[str, Callable[[int, int], Fit]] = {"vq": full_rank, "lowrank": low_rank}
BITS = {"vq": (2, 3, 4), "lowrank": (2, 3, 4), "int": (2, 3, 4, 8)}
"""Method -> bits per weight that it knows."""

N_STEPS = 200
N_CROPS, LEAST_PHOTOS, MOST_PHOTOS = 64, 16, 256
CROP_PX, WIDE_CROP_PX = 256, 128  # of the light net; of nets with many channels at full size

Say = Callable[[str], None]
Kernels = dict[str, Coded]  # by key of the network's state


def compress(
    pack: Pack,
    out: Path,
    *,
    bits: int,
    method: str = "vq",
    data: Sequence[Path] = (),
    n_steps: int = N_STEPS,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    is_forced: bool = False,
    say: Say = lambda line: None,
) -> Path:
    """Write a compressed copy of a pack.

    Args:
        pack: to compress.
        out: folder of the new pack, named after it.
        bits: per weight of the kernels that are compressed, one of `BITS`.
        method: "vq" (words for sub-vectors), "lowrank" (words in fewer dimensions), both calibrated
            on photos, or "int" (plain rounding, the yardstick).
        data: folders or tars of photos, which "int" does without.
        n_steps: of calibration per block; 0 leaves it at the first assignment.
        device: where to calibrate.
        threads: of PyTorch.
        seed: of crops and of k-means.
        is_forced: replace the pack that is in the folder.
        say: takes progress lines.

    Returns:
        The manifest's path.

    Raises:
        ValueError: bits or method are none of the above.
        InputError: the pack is compressed already or too small, or there are too few photos.
        PackError: the pack is broken.
        OutputError: the folder cannot be written.
        OutputExistsError: there is a pack in it already.
    """
    if bits not in BITS.get(method, ()):
        raise ValueError(f"method '{method}' at {bits} bits")
    refuse_to_replace(out, is_forced)
    if pack.manifest.compressed is not None:
        raise InputError(
            f"model pack '{pack.name}' is compressed already: compress "
            f"'{pack.manifest.compressed.of}', which it was made from."
        )
    pack.check()
    pack.check_restorer()
    nets = load(pack, device=device, threads=threads)
    if not _layers(nets.net):
        raise InputError(
            f"model pack '{pack.name}' has no kernel of {SMALLEST_INT8:,} weights or more: there "
            "is nothing to compress."
        )
    kernels: Kernels = {}
    if method in CALIBRATED:
        crops = _crops(nets, data, seed, threads or 1, say)
        original = load(pack, device=device)
        fit = CALIBRATED[method](bits, seed)
        kernels = calibrate(nets, original, crops, fit, n_steps, seed, say)
    elif bits < 8:
        kernels = {key: rounded(layer.weight, bits) for key, layer in _layers(nets.net).items()}
    tensors, metadata = _tensors(pack, nets.net, kernels, bits)
    blob = ordered(save(tensors, metadata))
    net_bytes = sum(v.nbytes for key, v in tensors.items() if key.startswith("net."))
    manifest = _manifest(pack, out.name, blob)
    manifest["compressed"] = {
        "of": pack.name,
        "of_sha256": pack.digest,
        "method": method,
        "bits": bits,
        "bits_per_weight": round(8 * net_bytes / count_parameters(nets.net), 3),
    }
    if method in CALIBRATED:
        manifest["compressed"] |= {"steps": n_steps, "crops": len(crops)}
    blobs = {WEIGHTS_NAME: blob}
    if pack.manifest.restorer is not None:
        blobs[RESTORER_NAME] = pack.restorer_path.read_bytes()
    path = write_pack(out, blobs, manifest)
    begin_card(out, count_parameters(nets.net))
    return path


@torch.no_grad()
def calibrate(
    nets: Nets, original: Nets, crops: Tensor, fit: Fit, n_steps: int, seed: int, say: Say
) -> Kernels:
    """Code the kernels of `nets` step after step, in place.

    Args:
        nets: to compress.
        original: the same networks, which stay as they are.
        crops: (N, 3, H, W) photos in [-1, 1].
        fit: makes the words of a kernel.
        n_steps: of calibration per step.
        seed: of the order of crops.
        say: takes a line per step: the error of its output, as a share of the output's power.
    """
    known = torch.tensor(sorted(nets.codebooks))
    tiers = known[torch.arange(len(crops)) % len(known)].to(nets.device)
    images = crops.to(nets.device)
    kernels: Kernels = {}
    inputs = images, _codewords(original, images, tiers)
    for x, steps, truths in zip(inputs, halves(nets.net), halves(original.net), strict=True):
        seen = wanted = x
        for step, truth in zip(steps, truths, strict=True):
            wanted_next = truth.all(wanted, tiers)
            if step.kernels():
                coded = code_step(step, seen, wanted_next, tiers, fit, n_steps=n_steps, seed=seed)
                kernels |= {_key(step, name): kernel for name, kernel in coded.items()}
            seen, wanted = step.all(seen, tiers), wanted_next
            if step.kernels():
                error = (seen - wanted).square().mean() / wanted.square().mean()
                say(f"{step.name}: error {float(error):.1e}")
    return kernels


def _crops(nets: Nets, data: Sequence[Path], seed: int, threads: int, say: Say) -> Tensor:
    if not data:
        raise InputError("calibration needs photos: name a folder or tar of them with --data.")
    crop_px = CROP_PX if isinstance(nets.net, LightVqgan) else WIDE_CROP_PX
    refused = load_refused([])
    photos = Photos(data, crop_px, most=MOST_PHOTOS, threads=threads, refused=refused)
    for line in photos.left_out:
        say(line)
    if len(photos.all) < LEAST_PHOTOS:
        raise InputError(
            f"{', '.join(map(str, data))}: {len(photos.all)} photos of {crop_px} pixels or more a "
            f"side; calibration needs {LEAST_PHOTOS}, better {N_CROPS}."
        )
    crops = photos.batch(N_CROPS, np.random.default_rng(seed))
    return crops.contiguous()


def _codewords(nets: Nets, images: Tensor, tiers: Tensor) -> Tensor:
    """What the decoder is given: each image's latents as codewords of its tier, (N, D, h, w)."""
    out = []
    for image, tier in zip(images, tiers.tolist(), strict=True):
        latent = nets.net.encode(image[None], tier)[0]  # (D, h, w)
        words = nets.codebooks[tier]
        found = words[nearest(latent.flatten(1).t(), words)]
        out.append(found.t().reshape(latent.shape))
    return torch.stack(out)


def _key(step: Step, name: str) -> str:
    return ".".join(part for part in (step.name, name, "weight") if part)


def _layers(net: Autoencoder) -> dict[str, nn.Conv2d]:
    """List all layers that are compressed, by the key of their kernel."""
    steps = chain.from_iterable(halves(net))
    return {_key(s, name): layer for s in steps for name, layer in s.kernels().items()}


def _tensors(
    pack: Pack, net: Autoencoder, kernels: Mapping[str, Coded], bits: int
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The new pack's tensors and metadata: what is not in codes stays, f32 of networks as f16."""
    layers = _layers(net)
    state = net.state_dict()
    touched = {key.replace("weight", "bias") for key in kernels} & set(state)
    replaced = {f"net.{key}" for key in layers} | {f"net.{key}" for key in touched}
    replaced |= {f"net.{key}.{part}" for key in layers for part in ("q", "scale")}
    out: dict[str, Tensor] = {}
    with safe_open(pack.weights_path, framework="pt") as file:
        metadata = file.metadata() or {}
        for key in file.keys():
            if key not in replaced:
                value = file.get_tensor(key)
                is_float = key.startswith("net.") and value.dtype == torch.float32
                out[key] = value.half() if is_float else value
    for key, coded in kernels.items():
        parts = to_codes(coded.codes.flatten(), coded.words, coded.scale, coded.restore)
        out |= {f"net.{key}.{name}": part for name, part in parts.items()}
    if not kernels:
        plain = to_stored({key: state[key] for key in layers}, smallest=0)
        out |= {f"net.{key}": part for key, part in plain.items()}
    out |= {f"net.{key}": state[key].cpu().half() for key in touched}
    return {key: value.cpu().contiguous() for key, value in out.items()}, metadata


def _manifest(pack: Pack, name: str, blob: bytes) -> dict[str, Any]:
    manifest = tomllib.loads((pack.path / MANIFEST_NAME).read_text(encoding="utf-8"))
    manifest["schema"] = COMPRESSED_SCHEMA
    manifest["name"] = name
    manifest["weights"] = {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)}
    manifest["quality"] = {}
    return manifest

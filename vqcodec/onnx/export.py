"""A pack's networks and tables as files for other programs: `models export PACK --onnx DIR`.

| file | what |
|---|---|
| `encoder.onnx`, `decoder.onnx` | the net's halves (`light`, `taming`) |
| `restorer.onnx` | where the pack has one (`restorer`) |
| `tables.safetensors` | codewords, frequencies and context model: the pack's tensors under the same keys, byte for byte |
| `model.json` | what the pack is, how to cut tiles, size and sha256 of the other files |

The same pack always gives the same bytes.
"""  # noqa: E501  (a table)

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safetensors.numpy import save

from vqcodec.errors import OutputError, OutputExistsError
from vqcodec.onnx.kinds import network_of
from vqcodec.onnx.restoring import model_of
from vqcodec.onnx.stored import read_weights
from vqcodec.packs.networks import RestorerPlan

if TYPE_CHECKING:
    from vqcodec.packs.store import Pack

SCHEMA: Final = 1
MODEL, ENCODER, DECODER = "model.json", "encoder.onnx", "decoder.onnx"
RESTORER, TABLES = "restorer.onnx", "tables.safetensors"
# Smaller than in nets/: Winograd's transformed maps take 2.25 times the memory, and a browser has
# less of it. At 64x64 positions the decoder takes .7 GB.
WHOLE, CORE = 64 * 64, 48
# Of networks that see pictures whole or not at all; those have 128 channels at full size.
WHOLE_ONLY_PX = 768 * 512


def files_of(pack: Pack) -> dict[str, bytes]:
    """Make the files, by name.

    Raises:
        PackError: the pack is broken.
        BackendError: more weights than an ONNX file holds.
    """
    network = network_of(pack)
    whole = WHOLE_ONLY_PX // network.stride**2 if network.is_whole_only else WHOLE
    pack.check()
    stored = read_weights(pack.weights_path)
    network.check_keys(stored)
    tables = {key: array for key, array in stored.items() if key.startswith(("tier.", "context."))}
    files = {
        ENCODER: network.encoder(tensors=stored, with_winograd=True),
        DECODER: network.decoder(tensors=stored, with_winograd=True),
        TABLES: save(tables),
    }
    manifest = pack.manifest
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "name": pack.name,
        "summary": manifest.summary,
        "licence": manifest.licence,
        "weights_id": f"{pack.weights_id:04x}",
        "weights_sha256": pack.digest,
        "stride": network.stride,
        "latent_dim": network.latent_dim,
        "default_tier": manifest.default_tier,
        "tiers": [
            {"tier": entry.tier, "codebook_size": entry.codebook_size} for entry in manifest.tiers
        ],
        "whole": whole,
        "core": whole if network.is_whole_only else CORE,
        "encoder_halo": network.encoder_halo,
        "decoder_halo": network.decoder_halo,
    }
    if network.is_whole_only:
        told["whole_only"] = True  # larger grids are refused, not cut
    if manifest.restorer is not None:
        told["restorer_halo"] = RestorerPlan.HALO
        files[RESTORER] = model_of(pack)
    told["files"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(files.items())
    }
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    return {**files, MODEL: text.encode()}


def export(pack: Pack, out: Path, *, is_forced: bool = False) -> dict[str, bytes]:
    """Write the files; a reader of `model.json` never sees half of them.

    Args:
        pack: whose networks.
        out: folder, made where it is missing; what else lies in it stays.
        is_forced: replace an export that is there.

    Returns:
        The files, by name.

    Raises:
        OutputExistsError: one of the files is there, and they are not to be replaced.
        OutputError: the folder cannot be written.
        PackError, BackendError: as of `files_of`.
    """
    there = [name for name in (MODEL, ENCODER, DECODER, RESTORER, TABLES) if (out / name).exists()]
    if there and not is_forced:
        raise OutputExistsError(
            f"{there[0]} exists there. Give -f to replace it, or another folder.", place=str(out)
        )
    files = files_of(pack)
    temporaries = {name: out / f".{name}.tmp" for name in files}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            temporaries[name].write_bytes(data)
        (out / MODEL).unlink(missing_ok=True)  # while the others change, there is no export
        for name, temporary in temporaries.items():  # model.json is the last
            os.replace(temporary, out / name)
        if RESTORER not in files:
            (out / RESTORER).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{error.strerror or error}.", place=str(out)) from error
    finally:  # of what failed nothing stays, not even after Ctrl-C
        with contextlib.suppress(OSError):
            for temporary in temporaries.values():
                temporary.unlink(missing_ok=True)
            out.rmdir()  # only where it is empty
    return files

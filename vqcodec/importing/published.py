"""The configuration that a checkpoint was published with, compared with its weights.

Two forms: the YAML of taming-transformers and latent-diffusion (`model.params.ddconfig`), and
diffusers' `config.json`. What the weights tell decides; the file is there to notice a mistake, and
for the few things that shapes do not show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vqcodec.errors import BackendError, CheckpointError, InputError
from vqcodec.importing.architecture import Architecture

MAX_BYTES: Final = 16 << 10  # published ones have 1 to 4 kB; deep nesting costs a second at that
TARGETS: Final = {
    "VQModel": False,
    "VQModelInterface": False,
    "VQNoDiscModel": False,
    "EMAVQ": False,
    "GumbelVQ": True,
}
"""Last part of a YAML's `target` -> whether it has Gumbel words."""
DOWN_BLOCKS: Final = {"DownEncoderBlock2D": False, "AttnDownEncoderBlock2D": True}
UP_BLOCKS: Final = {"UpDecoderBlock2D": False, "AttnUpDecoderBlock2D": True}
"""Blocks of diffusers -> whether they attend."""


def check_config(path: Path, found: Architecture) -> None:
    """Compare a published configuration with what the weights are.

    Args:
        path: a YAML or JSON file.
        found: from `architecture.recognise`.

    Raises:
        InputError: missing, or neither form.
        CheckpointError: it tells of another network.
        BackendError: PyYAML is not installed.
    """
    values = read_config(path)
    claims = _of_diffusers(path, values) if "_class_name" in values else _of_taming(path, values)
    facts = {
        **found.config,
        "attention": list(found.attention),
        "n_embed": found.n_words,
        "gumbel": "gumbel_words" in found.config,
    }
    for key, claim in claims.items():
        if claim is not None and claim != facts[key]:
            raise CheckpointError(
                f"{path}: {_SAID.get(key, key)} is {_short(claim)}, and the weights have "
                f"{_short(facts[key])}. Give the config of this checkpoint, or none.",
                field=key,
                expected=claim,
                found=facts[key],
            )


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration; raises as `check_config` does."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise InputError(f"{path}: cannot be read ({reason}).", path=path) from error
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES:,} bytes: no model's config.", path=path)
    values = _json(path, text) if path.suffix == ".json" else _yaml(path, text)
    if not isinstance(values, dict):
        raise InputError(f"{path}: no table of settings.", path=path)
    return values


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({_short(error)}).", path=path) from error


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise BackendError(
            "reading a YAML config needs PyYAML, which is not installed. Run 'pip install pyyaml', "
            "or go without --config: the weights tell the network."
        ) from error
    try:
        if (
            "&" in text
            and "*" in text
            and any(
                isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)
            )
        ):
            raise InputError(f"{path}: has aliases, which no model's config needs.", path=path)
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, KeyError) as error:
        raise InputError(f"{path}: not valid YAML ({_short(error)}).", path=path) from error


def _of_taming(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a YAML says, by the names of `Architecture.config`; None where it says nothing."""
    model = _table(path, values, "model")
    params = _table(path, model, "params")
    if "first_stage_config" in params:  # of a transformer or a diffusion model
        model = _table(path, params, "first_stage_config")
        params = _table(path, model, "params")
    target = str(model.get("target", "")).rpartition(".")[2]
    if target and target not in TARGETS:
        raise CheckpointError(
            f"{path}: target {target[:60]} is not known here; known: {', '.join(TARGETS)}."
        )
    dd = _table(path, params, "ddconfig")
    _need(path, dd, {"in_channels": 3, "out_ch": 3, "double_z": False, "tanh_out": False})
    _need(path, dd, {"resamp_with_conv": True, "attn_type": "vanilla", "use_linear_attn": False})
    side, ch_mult = dd.get("resolution"), dd.get("ch_mult")
    attending = dd.get("attn_resolutions")
    attention = None
    if isinstance(side, int) and isinstance(attending, list) and isinstance(ch_mult, list):
        attention = [level for level in range(len(ch_mult)) if side >> level in attending]
    return {
        **{key: dd.get(key) for key in ("ch", "ch_mult", "num_res_blocks", "z_channels")},
        **{key: params.get(key) for key in ("embed_dim", "n_embed")},
        "attention": attention,
        "gumbel": TARGETS.get(target),
    }


def _of_diffusers(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says, as `_of_taming`."""
    _need(path, values, {"_class_name": "VQModel", "in_channels": 3, "out_channels": 3})
    _need(path, values, {"norm_num_groups": 32, "norm_type": "group"})
    _need(path, values, {"mid_block_add_attention": True})
    if values.get("act_fn", "silu") not in ("silu", "swish"):
        _need(path, values, {"act_fn": "silu"})
    down = _attending(path, values, "down_block_types", DOWN_BLOCKS)
    up = _attending(path, values, "up_block_types", UP_BLOCKS)
    if down is not None and up is not None and down != up[::-1]:
        raise CheckpointError(
            f"{path}: encoder and decoder attend at different levels, which taming's do not."
        )
    widths = values.get("block_out_channels")
    if not isinstance(widths, list) or not all(type(w) is int and w > 0 for w in widths):
        widths = None
    latent = values.get("latent_channels")
    dim = values.get("vq_embed_dim")
    return {
        "ch": widths[0] if widths else None,
        "ch_mult": [width // widths[0] for width in widths] if widths else None,
        "num_res_blocks": values.get("layers_per_block"),
        "z_channels": latent,
        "embed_dim": latent if dim is None else dim,
        "n_embed": values.get("num_vq_embeddings"),
        "attention": None if down is None else [n for n, attends in enumerate(down) if attends],
        "gumbel": False,
    }


def _attending(
    path: Path, values: Mapping[str, Any], key: str, known: Mapping[str, bool]
) -> list[bool] | None:
    blocks = values.get(key)
    if not isinstance(blocks, list):
        return None
    strange = [str(block)[:60] for block in blocks if str(block) not in known]
    if strange:
        raise CheckpointError(f"{path}: blocks of the kind {strange[0]} are not known here.")
    return [known[str(block)] for block in blocks]


def _need(path: Path, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a value other than the one that taming's network has; a missing one is that."""
    for key, value in wanted.items():
        if values.get(key, value) != value:
            raise CheckpointError(
                f"{path}: {key} is {_short(values[key])}; only {value} is known here.", field=key
            )


def _table(path: Path, values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = values.get(key)
    if not isinstance(inner, dict):
        raise InputError(
            f"{path}: has no '{key}': not a config of taming-transformers, latent-diffusion or "
            "diffusers.",
            path=path,
        )
    return inner


def _short(value: object) -> str:
    return " ".join(str(value).split())[:80]


_SAID: Final = {"attention": "the list of levels that attend", "gumbel": "being a GumbelVQ"}

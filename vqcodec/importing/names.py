"""What a network's parameters are called elsewhere, and what `nets/taming.py` calls them.

The tables below are all there is: `NAMES` by layout, `ATTENTION` for the parts of an attention
block, `LEFT` for what is left behind. Placeholders: `{i}`, `{j}` numbers; `{~i}` the number counted
from the other end of the decoder's blocks; `{part}` one of a residual block; `{attn}` one of an
attention block, by `ATTENTION`; `{p}` weight or bias; `{rest}` anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

CODEBOOK: Final = "base.codewords"
"""The codebook of a VQModel, which is no part of our network."""

PREFIXES: Final = ("first_stage_model.", "module.", "model.")
"""In front of all names: of a transformer's or a diffusion model's file; of DataParallel; of a
wrapper."""

EMA_PREFIX: Final = "model_ema."
"""In front of averaged weights, whose names have lost their dots (LitEma of latent-diffusion)."""

NAMES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "taming": (  # VQModel and GumbelVQ there, VQModel and VQModelInterface of latent-diffusion
        ("encoder.{rest}", "encoder.{rest}"),
        ("decoder.{rest}", "decoder.{rest}"),
        ("quant_conv.{p}", "quant_conv.{p}"),
        ("post_quant_conv.{p}", "post_quant_conv.{p}"),
        ("quantize.embedding.weight", CODEBOOK),
        ("quantize.proj.{p}", "gumbel.proj.{p}"),
        ("quantize.embed.weight", "gumbel.embed.weight"),
    ),
    "diffusers": (  # VQModel of diffusers
        ("encoder.conv_in.{p}", "encoder.conv_in.{p}"),
        (
            "encoder.down_blocks.{i}.resnets.{j}.conv_shortcut.{p}",
            "encoder.down.{i}.block.{j}.nin_shortcut.{p}",
        ),
        (
            "encoder.down_blocks.{i}.resnets.{j}.{part}.{p}",
            "encoder.down.{i}.block.{j}.{part}.{p}",
        ),
        (
            "encoder.down_blocks.{i}.attentions.{j}.{attn}.{p}",
            "encoder.down.{i}.attn.{j}.{attn}.{p}",
        ),
        (
            "encoder.down_blocks.{i}.downsamplers.0.conv.{p}",
            "encoder.down.{i}.downsample.conv.{p}",
        ),
        ("encoder.mid_block.resnets.0.{part}.{p}", "encoder.mid.block_1.{part}.{p}"),
        ("encoder.mid_block.attentions.0.{attn}.{p}", "encoder.mid.attn_1.{attn}.{p}"),
        ("encoder.mid_block.resnets.1.{part}.{p}", "encoder.mid.block_2.{part}.{p}"),
        ("encoder.conv_norm_out.{p}", "encoder.norm_out.{p}"),
        ("encoder.conv_out.{p}", "encoder.conv_out.{p}"),
        ("decoder.conv_in.{p}", "decoder.conv_in.{p}"),
        ("decoder.mid_block.resnets.0.{part}.{p}", "decoder.mid.block_1.{part}.{p}"),
        ("decoder.mid_block.attentions.0.{attn}.{p}", "decoder.mid.attn_1.{attn}.{p}"),
        ("decoder.mid_block.resnets.1.{part}.{p}", "decoder.mid.block_2.{part}.{p}"),
        (
            "decoder.up_blocks.{i}.resnets.{j}.conv_shortcut.{p}",
            "decoder.up.{~i}.block.{j}.nin_shortcut.{p}",
        ),
        (
            "decoder.up_blocks.{i}.resnets.{j}.{part}.{p}",
            "decoder.up.{~i}.block.{j}.{part}.{p}",
        ),
        (
            "decoder.up_blocks.{i}.attentions.{j}.{attn}.{p}",
            "decoder.up.{~i}.attn.{j}.{attn}.{p}",
        ),
        ("decoder.up_blocks.{i}.upsamplers.0.conv.{p}", "decoder.up.{~i}.upsample.conv.{p}"),
        ("decoder.conv_norm_out.{p}", "decoder.norm_out.{p}"),
        ("decoder.conv_out.{p}", "decoder.conv_out.{p}"),
        ("quant_conv.{p}", "quant_conv.{p}"),
        ("post_quant_conv.{p}", "post_quant_conv.{p}"),
        ("quantize.embedding.weight", CODEBOOK),
    ),
}
"""Layout -> rows of (their name, ours); the first row that fits counts."""

ATTENTION: Final = {
    **{"group_norm": "norm", "proj_attn": "proj_out", "to_out.0": "proj_out"},
    **{"query": "q", "key": "k", "value": "v", "to_q": "q", "to_k": "k", "to_v": "v"},
}
"""Parts of an attention block in diffusers, before 0.15 and since; those are linear layers, which
a 1x1 convolution is, too."""

LEFT: Final = (
    *("loss.", EMA_PREFIX, "discriminator.", "perceptual_loss."),  # of the training
    *("quantize.embedding.cluster_size", "quantize.embedding.embed_avg"),  # of averaged codebooks
    *("quantize.used", "colorize", "logvar"),  # renumbering, colours for segmentations, a scale
)
"""Beginnings of names that are left behind: they have no part in a picture's way."""

_PLACES: Final = {
    **{"i": r"(?P<i>\d{1,3})", "j": r"(?P<j>\d{1,3})", "p": "(?P<p>weight|bias)"},
    **{"part": "(?P<part>norm1|conv1|norm2|conv2)", "rest": "(?P<rest>.+)"},
    "attn": f"(?P<attn>{'|'.join(map(re.escape, ATTENTION))})",
}


def layout_of(names: Iterable[str]) -> str:
    """Tell diffusers' names from taming's."""
    return "diffusers" if any(".down_blocks." in name for name in names) else "taming"


def ours(name: str, layout: str, n_levels: int) -> str | None:
    """Translate a name.

    Args:
        name: theirs.
        layout: a key of `NAMES`.
        n_levels: of the decoder, for `{~i}`.

    Returns:
        Our name, "" for what is left behind, None for what no row knows.
    """
    if name.startswith(LEFT):
        return ""
    for pattern, target in _rows(layout):
        found = pattern.fullmatch(name)
        if found is not None:
            places = found.groupdict()
            if "attn" in places:
                places["attn"] = ATTENTION[places["attn"]]
            if "i" in places:
                target = target.replace("{~i}", str(n_levels - 1 - int(places["i"])))
            for place, value in places.items():
                target = target.replace(f"{{{place}}}", value)
            return target
    return None


def without_dots(name: str) -> str:
    """The name that LitEma keeps a parameter's average under."""
    return name.replace(".", "")


@lru_cache(maxsize=2)
def _rows(layout: str) -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(re.sub(r"\\{(\w+)\\}", lambda m: _PLACES[m[1]], re.escape(theirs))), our)
        for theirs, our in NAMES[layout]
    ]

"""The kinds of networks that a manifest may name, each as what makes its graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from vqcodec import tiles
from vqcodec.errors import PackError
from vqcodec.onnx import light, taming
from vqcodec.onnx.stored import Array
from vqcodec.packs.networks import LightPlan, TamingPlan

if TYPE_CHECKING:
    from vqcodec.packs.store import Pack


class MakeGraph(Protocol):
    """Makes one half of a network; see `light.encoder`."""

    def __call__(self, *, tensors: Mapping[str, Array], with_winograd: bool) -> bytes:
        """Return it as an `.onnx` file has it."""


class CheckKeys(Protocol):
    """Refuses tensors that belong to no half; see `light.check_keys`."""

    def __call__(self, tensors: Mapping[str, Array]) -> None:
        """PackError where there is one."""


@dataclass(frozen=True)
class Network:
    """A pack's network.

    Attributes:
        stride: pixels per latent position, each way.
        latent_dim: D.
        n_tiers: tiers that it tells apart; 0 when it ignores the tier.
        encoder_halo: latent positions around a tile that the encoder has to see.
        decoder_halo: the same for the decoder.
        whole: grids of at most this many positions are not cut into tiles.
        core: largest side of a tile's core, in latent positions.
        is_whole_only: larger grids cannot be cut, for it looks at statistics of the whole picture.
        encoder: makes the encoder of a pack's tensors.
        decoder: makes the decoder.
        check_keys: refuses tensors that belong to neither.
    """

    stride: int
    latent_dim: int
    n_tiers: int
    encoder_halo: int
    decoder_halo: int
    whole: int
    core: int
    is_whole_only: bool
    encoder: MakeGraph
    decoder: MakeGraph
    check_keys: CheckKeys


def network_of(pack: Pack) -> Network:
    """Read which network a pack has, and its sizes.

    Raises:
        PackError: the manifest is wrong.
    """
    manifest = pack.manifest
    kinds = {"light": _light, "taming": _taming}
    if manifest.net_kind not in kinds:
        known = " and ".join(repr(name) for name in kinds)
        raise PackError(
            f"manifest: net.kind is {manifest.net_kind!r}; this version knows {known}.",
            found=manifest.net_kind,
        )
    network = kinds[manifest.net_kind](pack)
    if network.stride != manifest.stride:
        raise PackError(
            f"{pack.path}: the manifest says stride {manifest.stride}, the net has "
            f"{network.stride}."
        )
    highest = manifest.tiers[-1].tier
    if network.n_tiers and highest > network.n_tiers:
        raise PackError(f"{pack.path}: tier {highest}, and the net tells {network.n_tiers} apart.")
    return network


def _light(pack: Pack) -> Network:
    plan = LightPlan.of(pack.manifest.net_config)
    return Network(
        stride=plan.STRIDE,
        latent_dim=plan.latent_dim,
        n_tiers=plan.n_tiers,
        encoder_halo=plan.encoder_halo,
        decoder_halo=plan.decoder_halo,
        whole=tiles.WHOLE,
        core=tiles.CORE,
        is_whole_only=False,
        encoder=partial(light.encoder, plan),
        decoder=partial(light.decoder, plan),
        check_keys=light.check_keys,
    )


def _taming(pack: Pack) -> Network:
    plan = TamingPlan.of(pack.manifest.net_config)
    return Network(
        stride=plan.stride,
        latent_dim=plan.embed_dim,
        n_tiers=plan.n_tiers,
        encoder_halo=0,
        decoder_halo=0,
        whole=plan.side**2,
        core=plan.side,
        is_whole_only=True,
        encoder=partial(taming.encoder, plan),
        decoder=partial(taming.decoder, plan),
        check_keys=taming.check_keys,
    )

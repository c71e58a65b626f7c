"""Registered model packs: weights id -> name and digest.

FORMAT.md section 10. Ids are given once, for ever.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class RegisteredPack(NamedTuple):
    """A released model pack."""

    name: str
    digest: str
    """sha256 of its weights.safetensors, hex."""


REGISTERED_PACKS: Final[dict[int, RegisteredPack]] = {
    0x4622: RegisteredPack(
        "photo-1", "46223947acdc1b3b038c68e0d6141402a827da8401e39ee1cfe0a34d0b437700"
    ),
    0x6DD1: RegisteredPack(
        "photo-2", "6dd13ee36de45b52afa7e72f00b9dec11f88ccdf476e2a7d1a16d9ec024f5e48"
    ),
    0xF1B2: RegisteredPack(
        "photo-3", "f1b21e10dda7cbc69a3d8e8b451440f78c20c1f8736c891b14fe9c297b90a6ed"
    ),
}


def describe_weights(weights_id: int) -> str:
    """Say which pack a weights id stands for, as far as this version knows.

    Args:
        weights_id: the id in a file's header, 0 to 65535.

    Returns:
        For people: name, id and digest of a registered pack, or the id alone.
    """
    known = REGISTERED_PACKS.get(weights_id)
    if known is None:
        return (
            f"the model pack with weights id {weights_id:04x} (no release that this version knows)"
        )
    return f"model pack '{known.name}' (weights id {weights_id:04x}, sha256 {known.digest})"

"""vqcodec: photos in 0.5 to 2 kB.

Read the house along the pipeline: `pixels` (image files) - `nets` (pixels to index map and back) -
`payload` with `indices` and `entropy` (index map to coded bytes) - `bitstream` (packets and the
file) - `codec` (the whole journey). `packs` finds the model, `inspection` and `verification` look
at files without torch.

    >>> import vqcodec
    >>> data = vqcodec.encode(pixels, tier=8)      # (H, W, 3) uint8 -> bytes     # doctest: +SKIP
    >>> picture = vqcodec.decode(data)             # bytes -> (H, W, 3) uint8     # doctest: +SKIP
    >>> vqcodec.describe(data).bpp                 # no torch, no model needed    # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vqcodec.channel import impair
    from vqcodec.codec import Decoded, decode, decode_with_losses, encode
    from vqcodec.inspection import StreamInfo, describe
    from vqcodec.verification import verify

from vqcodec.errors import DamageWarning, VqcError

__all__ = [
    "DamageWarning",
    "Decoded",
    "StreamInfo",
    "VqcError",
    "decode",
    "decode_with_losses",
    "describe",
    "encode",
    "impair",
    "verify",
]

_HOMES = {
    "encode": "codec",
    "decode": "codec",
    "Decoded": "codec",
    "decode_with_losses": "codec",
    "impair": "channel",
    "StreamInfo": "inspection",
    "describe": "inspection",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    """Import a public name's room when it is first asked for: `import vqcodec` stays light."""
    if name == "__version__":
        from importlib.metadata import version

        return version("vqcodec")
    if name not in _HOMES:
        raise AttributeError(f"module 'vqcodec' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"vqcodec.{_HOMES[name]}"), name)
    globals()[name] = value
    return value

"""The networks in torch: image to latent to image, and the search for the nearest codeword.

Numpy arrays come in and go out through `load.Nets`; tensors stay inside this room.
"""

from __future__ import annotations

from vqcodec.backends import missing_package
from vqcodec.errors import BackendError

try:
    import torch  # noqa: F401
except ImportError as error:
    raise BackendError(missing_package("torch")) from error

"""Write the picture that `tests/packs/tiny-f8` paints of one of its golden files.

    python -m tests.golden.make_f8_picture

Needs taming-transformers. The picture is smaller than a tile.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

import vqcodec
from tests.golden.make import TINY_F8

HERE = Path(__file__).parent
FILE = HERE / "v1" / "stride-8-context-packets-4.vqc"
PICTURE = HERE / "tiny-f8" / "stride-8-context-packets-4.png"


def main() -> None:
    """Write tests/golden/tiny-f8/."""
    PICTURE.parent.mkdir(exist_ok=True)
    picture = vqcodec.decode(FILE.read_bytes(), model=TINY_F8, device="cpu")
    Image.fromarray(picture).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()

"""docs/FORMAT.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from vqcodec.bitstream import layout
from vqcodec.bitstream.registry import REGISTERED_PACKS
from vqcodec.entropy import context
from vqcodec.packs import store

TEXT = (Path(__file__).parents[2] / "docs" / "FORMAT.md").read_text(encoding="utf-8")


def row(name: str) -> list[str]:
    """Cells of the table row that begins with `name`, without it."""
    found = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", TEXT, re.MULTILINE)
    assert found, f"FORMAT.md has no row '{name}'"
    widest = max(found, key=lambda line: line.count("|"))  # terms and registries are narrow
    return [cell.strip() for cell in widest.split("|")]


def test_packet_layouts() -> None:
    rows = [[int(cell) for cell in row(name)] for name in ("layout", "P", "s")]
    assert list(zip(*rows, strict=True)) == [
        (i, *pair) for i, pair in enumerate(layout.PACKET_LAYOUTS)
    ]


def test_tiers() -> None:
    sizes = [int(cell) for cell in row("K")]
    assert dict(enumerate(sizes, 1)) == layout.TIERS
    for stride in layout.STRIDES:
        told = row(f"bits per pixel at stride {stride}, fixed coding without heads")
        exact = [(size.bit_length() - 1) / stride**2 for size in sizes]
        assert [float(cell) for cell in told] == pytest.approx(exact, abs=5.1e-5)


def test_strides() -> None:
    values = ", ".join(f"{number}: {stride}" for stride, number in layout.STRIDES.items())
    assert f"\n| stride | {values} |\n" in TEXT
    assert f"| 1, highest bit | | stride | {values} |" in TEXT
    most = [f"{(-(-layout.MAX_SIDE // stride)) ** 2:,}" for stride in layout.STRIDES]
    usual = [(layout.MAX_PIXELS // stride**2).bit_length() - 1 for stride in layout.STRIDES]
    told = "at most {} indices at stride 16, {} at stride 8; within 2^28 pixels about 2^{} and 2^{}"
    assert told.format(*most, *usual) in " ".join(TEXT.split())


def test_magic_version_and_heads() -> None:
    assert layout.MAGIC.hex(" ") in TEXT
    assert f"version {layout.FORMAT_VERSION}" in TEXT.splitlines()[0]
    assert f"costs {layout.PACKET_HEAD_BYTES}." in TEXT
    assert f"spends {len(layout.MAGIC) + layout.PACKET_HEAD_BYTES} bytes" in TEXT
    assert (
        f"2^{layout.MAX_PIXELS.bit_length() - 1}"
        in row("more pixels than the user's limit (default 2^28)")[0] + TEXT
    )


def test_codings() -> None:
    assert all(f"{number} {name}" in row("coding")[0] for name, number in layout.CODINGS.items())


def test_parity() -> None:
    assert f"P + M <= {layout.MAX_CODEWORD}" in TEXT
    assert (
        f"more than {layout.MAX_CODEWORD} packets, or {layout.PACKET_LAYOUTS[-1][0]} without"
        in TEXT
    )


def test_blocks_and_bounds_of_contexts() -> None:
    rows, columns = layout.CONTEXT_BLOCK
    assert f"blocks of {rows} rows and {columns} columns are dealt" in TEXT
    assert f"**((c div {columns}) + s (r div {rows})) mod P**" in TEXT
    assert f"|dy| and |dx| at most {context.LARGEST_OFFSET}" in TEXT
    table = context.exp_table()
    assert f"0 <= e <= {len(table) - 1}" in TEXT
    assert f"EXP[544] = {table[544]}, and 0 from 545 on" in TEXT


def test_every_tensor_of_a_context_model_is_listed(root: Path) -> None:
    tensors = load_file(root / "tests" / "packs" / "tiny-context" / "weights.safetensors")
    keys = {re.sub(r"\.\d+\.", ".T.", key) for key in tensors if key.startswith("context.")}
    listed = set(re.findall(r"`(context\.[\w.]+)`", TEXT))
    assert {key.replace("block.T", "block.n") for key in keys} == listed


def test_released_packs_are_registered_alike_in_document_code_and_models() -> None:
    listed = {
        int(key, 16): (name, digest)
        for key, name, digest in re.findall(
            r"^\| `?([0-9a-f]{4})`? \| `?([\w.-]+)`? \| `?([0-9a-f]{64})`? \|$", TEXT, re.M
        )
    }
    assert listed == {key: tuple(pack) for key, pack in REGISTERED_PACKS.items()}
    for number, pack in REGISTERED_PACKS.items():
        assert number == int(pack.digest[:4], 16)
    default = store.find()
    assert REGISTERED_PACKS[default.weights_id] == (default.name, default.digest)

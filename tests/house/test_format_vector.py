"""Files and the context model that docs/FORMAT.md works through, read from the document and run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from tests.reference import decoder
from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header
from vqcodec.entropy.context import ContextModel, Layer, exp_table
from vqcodec.payload import decode_index_map, encode_index_map

TEXT = (Path(__file__).parents[2] / "docs" / "FORMAT.md").read_text(encoding="utf-8")
PART = TEXT[TEXT.index("**A context model**") :]
MAP = [[5, 6, 2, 0], [4, 6, 2, 5], [2, 7, 2, 3]]
DTYPES = {"codewords": np.float16, "shifts": np.uint8}


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray]:
    lines = re.findall(r"^    (\w[\w.]*) +(\[.*\])$", PART, re.MULTILINE)
    values = {key: ast.literal_eval(value) for key, value in lines}
    assert len(values) == 12

    def dtype(key: str) -> type:
        return DTYPES.get(key, np.int32 if "bias" in key else np.int8)

    return {key: np.array(value, dtype(key)) for key, value in values.items()}


@pytest.fixture(scope="module")
def model(tensors: dict[str, np.ndarray]) -> ContextModel:
    shifts = tensors["shifts"].tolist()
    return ContextModel(
        offsets=tensors["offsets"],
        codewords=tensors["codewords"],
        special=tensors["special"],
        first=Layer(tensors["first.weight"], tensors["1.bias"], shifts[0]),
        blocks=[Layer(tensors["block.0.weight"], tensors["block.0.bias"], shifts[1])],
        neck=Layer(tensors["neck.weight"], tensors["neck.bias"], shifts[2]),
        learned=tensors["1.learned"],
        logit_bias=tensors["1.logit_bias"],
    )


@pytest.mark.parametrize(
    ("heading", "header", "index_map"),
    [
        ("**The smallest legal file**", Header(1, "fixed", 1, 0x1234, 1, 1), [[5]]),
        ("**The smallest file of stride 8", Header(1, "fixed", 1, 0x1234, 9, 1, 8), [[5, 2]]),
    ],
)
def test_the_smallest_files_of_the_document(heading, header, index_map) -> None:
    lines = TEXT[TEXT.index(heading) :].split("\n\n")[1].splitlines()
    data = bytes.fromhex("".join(line[4:].split("  ")[0] for line in lines))
    frequencies = np.full(8, 8192, np.uint16)
    payloads = encode_index_map(np.array(index_map, np.int32), header, frequencies)
    assert container.write(header, payloads) == data
    assert f"{len(data)} bytes" in TEXT[TEXT.index(heading) :].splitlines()[0]
    assert container.parse(data).header == header
    assert decoder.decode(data, {}, stride=header.stride)[1] == index_map


def numbers(name: str, column: int) -> list[int]:
    row = re.search(rf"^\| {name} \|(.*)\|$", PART, re.MULTILINE)
    assert row
    return [int(value) for value in row[1].split("|")[column].split()]


@pytest.mark.parametrize(("column", "neighbours"), [(0, [9, 9]), (1, [4, 6])])
def test_both_implementations_give_the_cells_of_the_document(
    column, neighbours, model, tensors
) -> None:
    left = numbers("left", column)
    rows = model.rows(np.array([neighbours]))[0]
    assert (rows[1:-1] + 1).tolist() == np.diff(left).tolist()
    assert rows[0] == 0
    assert rows[-1] == 2**24 - 1 - left[-1]
    network = decoder.Network(tensors, tensors["codewords"], 1)
    assert network.left(neighbours) == left
    z, f = numbers("z", column), numbers("f", column)
    assert [exp_table()[min(max(z) - value >> 4, 575)] for value in z] == f


def test_the_file_of_the_document(model, tensors) -> None:
    block = re.search(r"^    d6 56 51 43\n    (.*)$", PART, re.MULTILINE)
    assert block
    data = bytes.fromhex("d6565143" + block[1])
    assert " / ".join(" ".join(map(str, row)) for row in MAP) in PART
    header = Header(1, "context", 1, 0x1234, 64, 48)
    frequencies = np.full(8, 8192, np.uint16)
    payloads = encode_index_map(np.array(MAP, np.int32), header, frequencies, model)
    assert container.write(header, payloads) == data
    assert decode_index_map(payloads, header, frequencies, model).tolist() == MAP
    network = decoder.Network(tensors, tensors["codewords"], 1)
    assert decoder.decode(data, {}, {1: network})[1] == MAP


def test_entries_of_the_table_are_far_from_ties() -> None:
    """In exact integers: x = 2**(16 - e/32) is nowhere near n + 1/2 but at e = 544, where it is."""
    table = exp_table()
    assert table[0] == 65536
    assert table[32] == 32768
    assert table[544:] == [1] + [0] * 31
    for e, entry in enumerate(table):
        # (2 x)**32 = 2**(544 - e); both sides in steps of 2**-20, so that 10**-6 is seen.
        power = 1 << 544 - e + 20 * 32 if e != 544 else 0
        if not power:
            continue
        low, high = (2 * entry - 1 << 20) + 2, (2 * entry + 1 << 20) - 2
        assert (low**32 if low > 0 else 0) < power < high**32

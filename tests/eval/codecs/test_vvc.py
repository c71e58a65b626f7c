"""VVC by two programs that stand in for Fraunhofer's, and the colours on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval import codecs
from eval.codecs import vvc, yuv
from tests.eval.codecs.conftest import make_picture

# Keeps the samples, as coarse as the QP asks for, and refuses what the real one would not take.
ENCODER = r"""
import array, sys, zlib
words = sys.argv[1:]
if words == ["--version"]:
    print("vvencapp version 1.15.0 [Linux]\nmore"); sys.exit()
told = dict(zip(words[::2], words[1::2]))
fixed = {"-c": "yuv420_10", "-r": "30", "-f": "1", "--preset": "slow", "--qpa": "0",
         "--additional": "IntraQPOffset=0", "-t": "1"}
assert {key: told.pop(key, None) for key in fixed} == fixed, words
assert sorted(told) == ["-i", "-o", "-q", "-s"], words
width, height = map(int, told["-s"].split("x"))
samples = array.array("H", open(told["-i"], "rb").read())
assert len(samples) == width * height * 3 // 2 and not width % 2 and not height % 2
assert max(samples) < 1024
step = 1 << max(0, int(told["-q"]) // 8 - 1)
coarse = array.array("H", [sample // step * step for sample in samples])
open(told["-o"], "wb").write(zlib.compress(coarse.tobytes()))
"""
DECODER = r"""
import sys, zlib
if sys.argv[1:] == ["--version"]:
    print("VVdeC, the Fraunhofer decoder, version 3.1"); sys.exit()
assert [sys.argv[k] for k in (1, 3, 5, 6)] == ["-b", "-o", "-t", "1"], sys.argv
open(sys.argv[4], "wb").write(zlib.decompress(open(sys.argv[2], "rb").read()))
"""
Save = Callable[..., Path]
Put = Callable[[str, str], Path]


@pytest.fixture
def codec(programs: Put) -> vvc.Vvc:
    programs("vvencapp", ENCODER)
    programs("vvdecapp", DECODER)
    loaded = codecs.load("vvc")
    assert isinstance(loaded, vvc.Vvc)
    return loaded


@pytest.mark.parametrize("shape", [(32, 48), (37, 53), (1, 1), (2, 5)])
def test_pictures_of_all_sizes_come_back(
    codec: vvc.Vvc, save_picture: Save, shape: tuple[int, int]
) -> None:
    pixels = make_picture(*shape)
    picture = save_picture(pixels)
    sizes, errors = [], []
    for setting in (codec.settings[0], codec.settings[-1]):
        coded = picture.with_suffix(".266")
        codec.encode(picture, setting, coded)
        sizes.append(coded.stat().st_size)
        decoded = codec.decode(coded, *shape)
        assert decoded.shape == pixels.shape
        errors.append(np.mean(np.abs(decoded.astype(int) - pixels)))
    assert (codec.settings[0], codec.settings[-1]) == (63, 20)
    assert sizes[0] <= sizes[1]
    assert errors[1] < 3
    assert errors[1] < errors[0]


def test_identity_tells_versions_and_options(codec: vvc.Vvc) -> None:
    assert codec.identity.startswith(
        "vvencapp version 1.15.0 [Linux], VVdeC, the Fraunhofer decoder, version 3.1; one frame, "
        "--preset slow --qpa 0 --additional IntraQPOffset=0, 10-bit 4:2:0, BT.709"
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["vvencapp"], "vvc: vvencapp is not on the PATH; build them from github.com/fraunhofer"),
        (["vvencapp", "vvdecapp"], "vvc: vvencapp and vvdecapp are not on the PATH; build"),
    ],
)
def test_missing_programs(
    missing: list[str],
    message: str,
    programs: Put,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in {"vvencapp", "vvdecapp"} - {*missing}:
        programs(name, DECODER)
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    with pytest.raises(codecs.CodecAbsentError, match=message):
        codecs.load("vvc")


def test_a_program_that_cannot_run(programs: Put) -> None:
    programs("vvencapp", "import sys; sys.exit('libvvenc.so: cannot open')")
    programs("vvdecapp", DECODER)
    with pytest.raises(codecs.CodecAbsentError, match=r"exit code 1: libvvenc\.so: cannot open"):
        codecs.load("vvc")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import sys; print('a'); print('first\\nlast\\tline\\n', file=sys.stderr); sys.exit(3)",
            "vvencapp: exit code 3: last line",
        ),
        ("import sys; print('only this'); sys.exit(1)", "vvencapp: exit code 1: only this"),
        ("import sys; sys.exit(4)", "vvencapp: exit code 4: it says nothing"),
        ("import os; os.kill(os.getpid(), 9)", "vvencapp: exit code -9: it says nothing"),
        ("", r"vvencapp: wrote no file photo\.266"),
    ],
)
def test_failures_of_the_encoder(
    codec: vvc.Vvc, programs: Put, save_picture: Save, source: str, message: str
) -> None:
    programs("vvencapp", source)
    picture = save_picture(make_picture(8, 8))
    with pytest.raises(codecs.CodecError, match=f"^{message}$"):
        codec.encode(picture, 40, picture.with_suffix(".266"))


def test_failures_of_the_decoder(codec: vvc.Vvc, save_picture: Save, programs: Put) -> None:
    picture = save_picture(make_picture(8, 8))
    coded = picture.with_suffix(".266")
    codec.encode(picture, 40, coded)
    message = r"^vvdecapp: photo\.266: 192 bytes of 10-bit 4:2:0 are no picture of 10x8 pixels$"
    with pytest.raises(codecs.CodecError, match=message):
        codec.decode(coded, 8, 9)
    coded.write_bytes(b"broken")
    with pytest.raises(codecs.CodecError, match=r"vvdecapp: exit code 1: zlib\.error"):
        codec.decode(coded, 8, 8)
    programs("vvdecapp", "")
    with pytest.raises(codecs.CodecError, match=r"vvdecapp: photo\.266: .*No such file"):
        codec.decode(coded, 8, 8)


def test_a_program_that_never_ends_is_killed(
    codec: vvc.Vvc, programs: Put, save_picture: Save
) -> None:
    # The child keeps the pipes open; it has to go as well.
    programs(
        "vvencapp",
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
    )
    hasty = vvc.Vvc(codec.versions, timeout_s=0.3)
    picture = save_picture(make_picture(8, 8))
    with pytest.raises(codecs.CodecError, match=r"^vvencapp: not done after 0\.3 s, killed$"):
        hasty.encode(picture, 40, picture.with_suffix(".266"))


def test_a_program_that_has_gone(
    codec: vvc.Vvc, save_picture: Save, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = save_picture(make_picture(8, 8))
    with pytest.raises(codecs.CodecError, match=r"^vvencapp: cannot be started: No such file"):
        codec.encode(picture, 40, picture.with_suffix(".266"))


def test_samples_are_those_of_the_standard() -> None:
    # BT.709's limited range in 10 bits: black 64, white 940, blue's Cb and red's Cr 960.
    for colour, expected in {
        (0, 0, 0): (64, 512, 512),
        (255, 255, 255): (940, 512, 512),
        (0, 0, 255): (127, 960, 471),
        (255, 0, 0): (250, 409, 960),
    }.items():
        data = yuv.to_yuv420p10(np.full((2, 2, 3), colour, np.uint8))
        assert np.frombuffer(data, "<u2").tolist() == [expected[0]] * 4 + [*expected[1:]]


def test_even_colours_and_grays_come_back_exactly() -> None:
    rng = np.random.default_rng(2)
    gray = np.repeat(rng.integers(0, 256, (33, 47, 1), np.uint8), 3, axis=2)
    assert np.array_equal(yuv.from_yuv420p10(yuv.to_yuv420p10(gray), 33, 47), gray)
    for colour in rng.integers(0, 256, (50, 3), np.uint8):
        even = np.broadcast_to(colour, (4, 4, 3))
        assert np.array_equal(yuv.from_yuv420p10(yuv.to_yuv420p10(even), 4, 4), even)


def test_soft_colours_come_back_nearly() -> None:
    ramp = np.linspace(0, 255, 64)
    across, down = np.broadcast_to(ramp, (64, 64)), np.broadcast_to(ramp[:, None], (64, 64))
    pixels = np.rint(np.stack([across, down, 255 - across], axis=2)).astype(np.uint8)
    decoded = yuv.from_yuv420p10(yuv.to_yuv420p10(pixels), 64, 64)
    wrong = np.abs(decoded.astype(int) - pixels)
    assert wrong[1:-1, 1:-1].max() <= 1  # linear chroma is interpolated without a shift
    assert wrong.max() <= 4  # at the border there is nothing to interpolate with


def test_chroma_lies_in_the_middle_of_four_pixels() -> None:
    pixels = np.full((2, 8, 3), 128, np.uint8)
    pixels[:, 4:] = (180, 128, 80)
    data = np.frombuffer(yuv.to_yuv420p10(pixels), "<u2")
    cb, cr = data[16:20], data[20:24]
    assert cb[0] == cb[1] == 512 > cb[2] == cb[3]
    assert cr[0] == cr[1] == 512 < cr[2] == cr[3]

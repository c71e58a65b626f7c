"""Codecs that a TOML file tells, by commands that really run."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.codecs import command
from eval.codecs.base import CodecAbsentError, CodecError
from tests.eval.codecs.conftest import make_picture, through_a_pipe

# A codec of Pillow's JPEG; its arguments are checked on the way.
TOY = r"""
import sys
from PIL import Image
mode, source, target, *rest = sys.argv[1:]
if mode == "encode":
    setting, width, height = map(int, rest)
    with Image.open(source) as picture:
        assert picture.size == (width, height) and picture.mode == "RGB"
        picture.save(target, "JPEG", quality=setting)
else:
    with Image.open(source) as picture:
        picture.save(target)
"""
Save = Callable[..., Path]
Put = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "toy codec.py").write_text(TOY, encoding="utf-8")
    toy = [sys.executable, str(tmp_path / "toy codec.py")]
    size = ["{setting}", "{width}", "{height}"]
    good = {
        "name": "toy",
        "suffix": ".toy",
        "knob": "quality",
        "encode": [*toy, "encode", "{picture}", "{coded}", *size],
        "decode": f"{toy[0]} '{toy[1]}' decode {{coded}} {{decoded}}",
        "settings": {"first": 1, "last": 90, "step": 1},
    }

    def put(**changes: object) -> Path:
        told = {key: value for key, value in (good | changes).items() if value is not None}
        lines = []
        for key, value in told.items():
            if isinstance(value, dict):
                inner = ", ".join(f"{k} = {json.dumps(v)}" for k, v in value.items())
                lines.append(f"{key} = {{ {inner} }}")
            else:
                lines.append(f"{key} = {json.dumps(value)}")
        path = tmp_path / "toy.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return put


def test_a_picture_goes_through_the_commands(
    write: Callable[..., Path], save_picture: Save
) -> None:
    path = write()
    codec = command.load(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert codec.identity == f"toy.toml, sha256 {digest}"
    assert (codec.name, codec.suffix, codec.knob) == ("toy", ".toy", "quality")
    assert codec.settings == tuple(range(1, 91))
    assert through_a_pipe(codec) == codec
    pixels = make_picture(37, 53)
    picture = save_picture(pixels, "a photo {width}")  # a name is no placeholder
    coded = picture.with_suffix(".toy")
    codec.encode(picture, 90, coded)
    decoded = codec.decode(coded, 37, 53)
    assert np.mean(np.abs(decoded.astype(int) - pixels)) < 5
    with pytest.raises(CodecError, match=r"^toy: a photo .* decodes to 53x37 instead of 37x53$"):
        codec.decode(coded, 53, 37)


def test_the_first_line_of_the_version_is_in_the_identity(write: Callable[..., Path]) -> None:
    code = "print('toy 1.2  (of today)\\nand more')"
    codec = command.load(write(version=[sys.executable, "-c", code]))
    assert codec.identity.startswith("toy 1.2 (of today), toy.toml, sha256 ")
    with pytest.raises(CodecAbsentError, match=r"^toy: its version: .*exit code 3.*; mend .*toml$"):
        command.load(write(version=[sys.executable, "-c", "raise SystemExit(3)"]))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([30, 20.5, 7], (30, 20.5, 7)),
        ({"first": 25, "last": 24, "step": -0.25}, (25, 24.75, 24.5, 24.25, 24)),
        ({"first": 0, "last": 0.3, "step": 0.1}, (0, 0.1, 0.2, 0.3)),
        ({"first": 1, "last": 6, "step": 2}, (1, 3, 5)),
        ({"first": 4, "last": 4, "step": 1}, (4,)),
    ],
)
def test_settings(write: Callable[..., Path], settings: object, expected: tuple) -> None:
    assert command.load(write(settings=settings)).settings == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qualty": 3}, "unknown key 'qualty'; there are name, suffix, knob, encode, decode, set"),
        ({"decode": None}, "'decode' is missing"),
        ({"name": "My Codec"}, "'name' must be a text such as \"my-codec\""),
        ({"name": "../x"}, "'name' must be a text"),
        ({"name": "avif"}, "'name' cannot be 'avif': that codec is there already"),
        ({"name": "vqcodec"}, "'name' cannot be 'vqcodec'"),
        ({"suffix": "toy"}, "'suffix' must be a text such as \".jxl\""),
        ({"knob": 3}, "'knob' must be a text such as"),
        ({"encode": 3}, "'encode' must be a command line, or a list of its arguments"),
        ({"encode": ""}, "'encode' must be a command line"),
        ({"encode": ["a", 1]}, "'encode' must be a command line"),
        ({"encode": "a 'b {picture} {coded}"}, "'encode' cannot be split .*: No closing quotation"),
        ({"encode": "a {picture}"}, r"'encode' must have \{coded\}"),
        ({"encode": "a {coded}"}, r"'encode' must have \{picture\}"),
        ({"encode": "a {picture} {coded} {decoded}"}, r"'encode' cannot have \{decoded\}; there"),
        ({"decode": "a {coded}"}, r"'decode' must have \{decoded\}"),
        ({"decode": "a {decoded}"}, r"'decode' must have \{coded\}"),
        ({"decode": "a {coded} {decoded} {picture}"}, r"'decode' cannot have \{picture\}"),
        ({"version": "a {coded}"}, r"'version' cannot have \{coded\}; there are none"),
        ({"settings": []}, "'settings' must be a list of numbers, or first, last and step"),
        ({"settings": [1, "2"]}, "'settings' must be a list of numbers"),
        ({"settings": [1, True]}, "'settings' must be a list of numbers"),
        ({"settings": [1, 2, 1]}, "'settings' has a number twice"),
        ({"settings": {"first": 1, "last": 2}}, "'settings' must have the numbers first, last and"),
        ({"settings": {"first": 1, "last": 2, "step": 0}}, "'settings' must lead from first to"),
        ({"settings": {"first": 1, "last": 2, "step": -1}}, "'settings' must lead from first to"),
        ({"settings": {"first": 0, "last": 1, "step": 1e-9}}, "1 to 10,000 steps"),
        ({"timeout_s": 0}, "'timeout_s' must be a number above 0"),
        ({"timeout_s": "9"}, "'timeout_s' must be a number above 0"),
    ],
)
def test_a_wrong_file(write: Callable[..., Path], changes: dict[str, object], message: str) -> None:
    path = write(**changes)
    with pytest.raises(CodecError, match=message) as failed:
        command.load(path)
    assert str(failed.value).startswith(f"{path}: ")
    assert "\n" not in str(failed.value)


def test_no_file_and_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    with pytest.raises(CodecError, match=r"x\.toml: cannot be read: No such file"):
        command.load(path)
    path.write_bytes(b"name = \n")
    with pytest.raises(CodecError, match=r"x\.toml: Invalid value \(at line 1"):
        command.load(path)
    path.write_bytes(b"\xff")
    with pytest.raises(CodecError, match=r"x\.toml: 'utf-8' codec can't decode"):
        command.load(path)


def test_a_program_that_is_not_here(write: Callable[..., Path]) -> None:
    path = write(decode="no-such-program {coded} {decoded}")
    with pytest.raises(
        CodecAbsentError, match=r"^toy: no-such-program is not on the PATH; install"
    ):
        command.load(path)


def test_failures_of_the_commands(write: Callable[..., Path], save_picture: Save) -> None:
    picture = save_picture(make_picture(8, 8))
    coded = picture.with_suffix(".toy")

    def python(code: str, *more: str) -> list[str]:
        return [sys.executable, "-c", code, *more]

    codec = command.load(write(encode=python("raise OSError('full')", "{picture}{coded}")))
    with pytest.raises(CodecError, match=r"^toy: .*: exit code 1: OSError: full$"):
        codec.encode(picture, 1, coded)
    coded.write_bytes(b"of another run")
    codec = command.load(write(encode=python("", "{picture}{coded}")))
    with pytest.raises(CodecError, match=r"^toy: encode wrote nothing to \{coded\}$"):
        codec.encode(picture, 1, coded)
    endless = python("import time; time.sleep(60)", "{picture}{coded}")
    codec = command.load(write(encode=endless, timeout_s=0.2))
    with pytest.raises(CodecError, match=r"^toy: .*: not done after 0\.2 s, killed$"):
        codec.encode(picture, 1, coded)
    coded.write_bytes(b"coded")
    codec = command.load(write(decode=python("", "{coded}{decoded}")))
    with pytest.raises(CodecError, match=r"^toy: decode wrote nothing to \{decoded\}$"):
        codec.decode(coded, 8, 8)


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", None])
def test_a_decoded_picture_of_another_kind(
    write: Callable[..., Path], save_picture: Save, tmp_path: Path, mode: str | None
) -> None:
    stored = tmp_path / "stored.png"
    Image.new(mode, (8, 8)).save(stored) if mode else stored.write_bytes(b"no image")
    copy = "import shutil, sys; shutil.copy(*sys.argv[1:])"
    codec = command.load(write(decode=[sys.executable, "-c", copy, "{coded}", "{decoded}"]))
    with pytest.raises(CodecError, match=r"^toy: stored\.png: .*" + (mode or "no image")):
        codec.decode(stored, 8, 8)


def test_the_example_runs(root: Path, programs: Put, save_picture: Save) -> None:
    """With programs of its names that take what the example gives them."""
    programs(
        "cjxl",
        "import shutil, sys\n"
        "if sys.argv[1:] == ['--version']: print('cjxl v0.11'); sys.exit()\n"
        "picture, coded, *options = sys.argv[1:]\n"
        "assert options == ['--distance=24.5', '--effort=8', '--num_threads=0', '--quiet']\n"
        "shutil.copy(picture, coded)",
    )
    programs(
        "djxl",
        "import shutil, sys\n"
        "coded, decoded, *options = sys.argv[1:]\n"
        "assert options == ['--num_threads=0', '--quiet'] and decoded.endswith('.png')\n"
        "shutil.copy(coded, decoded)",
    )
    codec = command.load(root / "docs" / "examples" / "codec.toml")
    assert codec.identity.startswith("cjxl v0.11, codec.toml, sha256 ")
    assert codec.settings[0] == 25 > codec.settings[-1] == 1
    pixels = make_picture(8, 9)
    picture = save_picture(pixels)
    codec.encode(picture, codec.settings[2], picture.with_suffix(".jxl"))
    assert np.array_equal(codec.decode(picture.with_suffix(".jxl"), 8, 9), pixels)

"""encode and decode end to end on the tiny pack, in this process."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header
from vqcodec.cli.reference import JSON_FIELDS
from vqcodec.inspection import describe
from vqcodec.packs import store
from vqcodec.pixels.files import read_image


def pixels_of(path: Path) -> np.ndarray:
    return read_image(path.read_bytes(), max_pixels=10**6)[0]


def test_stdin_to_stdout_carries_only_the_file(run: Callable, folder: Path) -> None:
    result = run(
        "encode", "-", "-o", "-", "-m", "tiny", "-t", "2", stdin=(folder / "photo.png").read_bytes()
    )
    assert result.exit_code == 0
    assert describe(result.stdout_bytes).tier == 2
    assert result.stderr.startswith("stdin -> stdout: ")
    back = run("decode", "-", "-o", "-", "-q", stdin=result.stdout_bytes)
    assert back.exit_code == 0
    assert back.stderr == ""
    assert back.stdout_bytes.startswith(b"\x89PNG")
    assert read_image(back.stdout_bytes, max_pixels=10**6)[0].shape == (32, 48, 3)


@pytest.mark.parametrize("size", [(1, 1), (17, 5), (16, 16), (100, 33)])
def test_any_size_comes_back(run: Callable, folder: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (90, 120, 30)).save(folder / "odd.bmp")
    assert run("encode", "odd.bmp", "-m", "tiny").exit_code == 0
    assert run("decode", "odd.vqc", "-o", "odd.png").exit_code == 0
    assert pixels_of(folder / "odd.png").shape == (size[1], size[0], 3)


def test_orientation_is_applied_before_coding(run: Callable, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (48, 32)).save(folder / "turned.jpg", exif=exif)
    result = run("encode", "turned.jpg", "-m", "tiny", "--json")
    assert json.loads(result.stdout)["width_px"] == 32


CODINGS = {"tiny": ("auto", "table", "fixed"), "tiny-context": ("auto", "context", "fixed")}


@pytest.mark.parametrize(
    ("model", "coding"), [(model, coding) for model in CODINGS for coding in CODINGS[model]]
)
def test_codings_decode_to_the_same_picture(
    run: Callable, folder: Path, model: str, coding: str
) -> None:
    nearest = ("-m", model, "--rdo", "0")
    assert run("encode", "photo.png", *nearest, "--coding", coding).exit_code == 0
    if coding != "auto":
        assert json.loads(run("info", "photo.vqc", "--json").stdout)["coding"] == coding
    assert run("verify", "photo.vqc").exit_code == 0
    assert run("decode", "photo.vqc", "-o", f"{coding}.png").exit_code == 0
    run("encode", "photo.png", *nearest, "-o", "other.vqc")
    run("decode", "other.vqc", "-o", "other.png")
    assert np.array_equal(pixels_of(folder / f"{coding}.png"), pixels_of(folder / "other.png"))


@pytest.mark.parametrize(
    ("model", "codings"), [("tiny", "table fixed"), ("tiny-context", "table fixed context")]
)
def test_auto_takes_the_smallest_coding(
    run: Callable, folder: Path, model: str, codings: str
) -> None:
    sizes = {}
    for coding in ("auto", *codings.split()):
        options = ("-m", model, "--rdo", "0", "--coding", coding)
        run("encode", "photo.png", *options, "-o", f"{coding}.vqc")
        sizes[coding] = (folder / f"{coding}.vqc").stat().st_size
    assert sizes.pop("auto") == min(sizes.values())


def test_a_context_file_is_not_read_with_a_pack_that_has_no_model(
    run: Callable, folder: Path, tiny_pack: Path
) -> None:
    header = Header(3, "context", 1, store.load(tiny_pack).weights_id, 48, 32)
    (folder / "context.vqc").write_bytes(container.write(header, [b"\x12"]))
    for command in ("verify", "decode"):
        result = run(command, "context.vqc")
        assert result.exit_code == 5
        assert "'tiny' has no context model for tier 3" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_folder_as_model_does(run: Callable, tiny_pack: Path) -> None:
    assert run("encode", "photo.png", "-m", str(tiny_pack)).exit_code == 0


def test_names_that_begin_with_a_dash_work_after_two_dashes(run: Callable, folder: Path) -> None:
    (folder / "photo.png").rename(folder / "-t.png")
    assert run("encode", "-m", "tiny", "--", "-t.png").exit_code == 0
    assert run("decode", "-o", "seen.png", "--", "-t.vqc").exit_code == 0
    assert (folder / "seen.png").exists()


def test_a_file_named_dash_is_reached_by_its_folder(run: Callable, folder: Path) -> None:
    (folder / "-").write_bytes((folder / "photo.png").read_bytes())
    assert run("encode", "./-", "-m", "tiny", "-o", "new.vqc").exit_code == 0


def test_control_characters_in_names_do_not_reach_the_terminal(run: Callable, folder: Path) -> None:
    (folder / "photo.png").rename(folder / "a\x1b[2Jb\nc.png")
    result = run("encode", "a\x1b[2Jb\nc.png", "-m", "tiny")
    assert result.exit_code == 0
    assert result.stderr.startswith("a\\x1b[2Jb\\nc.png -> a\\x1b[2Jb\\nc.vqc: ")
    assert len(result.stderr.splitlines()) == 1


def test_names_that_are_no_text_work(run: Callable, folder: Path) -> None:
    name = os.fsdecode(b"bad\xff.png")
    (folder / "photo.png").rename(folder / name)
    result = run("encode", name, "-m", "tiny", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["path"] == name


@pytest.mark.parametrize("output", [None, "same.vqc", "./out/../same.vqc", "link.vqc"])
def test_the_input_is_never_overwritten(run: Callable, folder: Path, output: str | None) -> None:
    original = (folder / "photo.png").read_bytes()
    (folder / "same.vqc").write_bytes(original)
    (folder / "link.vqc").hardlink_to(folder / "same.vqc")
    chosen = [] if output is None else ["-o", output]
    result = run("encode", "same.vqc", *chosen, "-f", "-m", "tiny")
    assert result.exit_code == 3
    assert "is the input itself. Give another name with -o." in result.stderr
    assert (folder / "same.vqc").read_bytes() == original


def test_force_replaces_what_a_link_points_to(run: Callable, folder: Path) -> None:
    (folder / "target.vqc").write_bytes(b"old")
    (folder / "link.vqc").symlink_to("target.vqc")
    assert run("encode", "photo.png", "-o", "link.vqc", "-m", "tiny").exit_code == 3
    assert run("encode", "photo.png", "-o", "link.vqc", "-m", "tiny", "-f").exit_code == 0
    assert (folder / "link.vqc").is_symlink()
    assert describe((folder / "target.vqc").read_bytes()).width_px == 48


def test_a_dangling_link_counts_as_existing(run: Callable, folder: Path) -> None:
    (folder / "link.vqc").symlink_to("nowhere.vqc")
    assert run("encode", "photo.png", "-o", "link.vqc", "-m", "tiny").exit_code == 3


def test_verbose_names_machine_and_pack(run: Callable, tiny_pack: Path) -> None:
    encoded = run("encode", "photo.png", "-m", "tiny", "-v").stderr
    decoded = run("decode", "photo.vqc", "-o", "new.png", "-v", "--device", "cpu").stderr
    for text in (encoded, decoded):
        assert f"model pack {tiny_pack}, sha256 " in text
        assert "device c" in text


def test_json_lines_hold_the_fields_that_the_reference_lists(run: Callable) -> None:
    commands = {
        "encode": ("encode", "photo.png", "-m", "tiny"),
        "decode": ("decode", "photo.vqc", "-o", "new.png"),
        "info": ("info", "photo.vqc"),
        "verify": ("verify", "photo.vqc", "--pixels"),
        "impair": ("impair", "two.vqc", "-o", "less.vqc", "--loss", "0.5"),
        "models.list": ("models", "list"),
        "models.show": ("models", "show", "tiny"),
        "models.check": ("models", "check", "tiny"),
        "models.path": ("models", "path", "tiny"),
        "models.export": ("models", "export", "tiny", "--onnx", "exported"),
    }
    elsewhere = {"send", "receive"}  # told by tests/cli/test_udp.py
    elsewhere |= {"models.import", "models.compress"}  # by test_command.py in tests/unit
    elsewhere |= {"view"}  # by tests/cli/test_view.py
    assert {f"vqcodec.{name}/1" for name in {*commands} | elsewhere} == set(JSON_FIELDS)
    for name, command in commands.items():
        result = run(*command, "--json")
        assert result.exit_code == 0, result.stderr
        line = result.stdout.splitlines()[0]
        fields = json.loads(line)
        assert fields.pop("schema") == f"vqcodec.{name}/1"
        assert list(fields) == list(JSON_FIELDS[f"vqcodec.{name}/1"])


def test_the_pack_s_own_tier_is_the_default(run: Callable, tiny_pack: Path, folder: Path) -> None:
    shutil.copytree(tiny_pack, folder / "packs" / "low")
    manifest = folder / "packs" / "low" / "manifest.toml"
    text = manifest.read_text(encoding="utf-8").replace("default_tier = 8", "default_tier = 4")
    manifest.write_text(text, encoding="utf-8")
    result = run("encode", "photo.png", "-m", "packs/low", "--json")
    assert json.loads(result.stdout)["tier"] == 4

"""Ours through the command line's code, with the pack of random weights."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vqcodec
from eval.codecs import search, vqc
from eval.codecs.base import CodecError
from tests.eval.codecs.conftest import make_picture, through_a_pipe

Save = Callable[..., Path]


@pytest.fixture(scope="module")
def codec(tiny_pack: Path) -> vqc.Vqc:
    return vqc.Vqc(str(tiny_pack), threads=1, settings=(1, 5, 9))


@pytest.mark.parametrize("shape", [(48, 64), (37, 53), (1, 1)])
def test_every_tier_is_coded_and_decoded(
    codec: vqc.Vqc, save_picture: Save, tmp_path: Path, tiny_pack: Path, shape: tuple[int, int]
) -> None:
    pixels = make_picture(*shape)
    folder = tmp_path / "files"
    found = list(search.all_tiers(codec, save_picture(pixels), pixels, folder))
    assert [point.point for point in found] == [1, 5, 9]
    for point in found:
        assert point.codec == "vqcodec"
        assert point.setting == f"tier {point.point}"
        assert point.path == folder / "vqcodec" / f"photo-{point.point}.vqc"
        data = point.path.read_bytes()
        assert data == vqcodec.encode(pixels, tier=point.point, model=tiny_pack)
        assert np.array_equal(point.pixels, vqcodec.decode(data, model=tiny_pack))
        assert point.size_bytes == len(data)
        assert point.overhead_bytes == vqcodec.describe(data).header_bytes < len(data)
        assert point.encode_s > 0 < point.decode_s
        assert np.array_equal(search.decoded(codec, point.path, 1, *shape), point.pixels)


def test_the_model_is_loaded_once(
    codec: vqc.Vqc, save_picture: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.warm_up()
    said = []
    real = vqc._call
    monkeypatch.setattr(vqc, "_call", lambda *words: said.append(words) or real(*words))
    codec.warm_up()
    through_a_pipe(codec).warm_up()
    assert said == []
    picture = save_picture(make_picture(16, 16))
    codec.encode(picture, 5, picture.with_suffix(".vqc"))
    assert said[0][0] == "encode"
    assert {"--force", "--quiet", "--device", "cpu", "--threads", "--model"} <= {*said[0]}


def test_identity_tells_what_decides_the_bytes(codec: vqc.Vqc) -> None:
    assert codec.identity.startswith("vqcodec ")
    for part in (f"sources {vqc.sources_digest()}, ", "model tiny, sha256 ", "torch ", ", cpu"):
        assert part in codec.identity


def test_its_tiers_are_those_of_the_pack(tiny_pack: Path, tiny_context_pack: Path) -> None:
    assert vqc.Vqc(str(tiny_context_pack)).settings == (1, 2, 3, 4, 5, 6)
    assert vqc.Vqc(str(tiny_pack)).settings == tuple(range(1, 10))
    with pytest.raises(CodecError, match="tiny-context has no tier 7; it has 1, 2, 3, 4, 5, 6"):
        vqc.Vqc(str(tiny_context_pack), settings=(1, 7, 8))


def test_the_weight_of_bits_is_passed_on_and_named(
    save_picture: Save, tiny_context_pack: Path
) -> None:
    pixels = make_picture(48, 64)
    picture = save_picture(pixels)
    codecs = [vqc.Vqc(str(tiny_context_pack), 1, (3,), rdo=rdo) for rdo in (None, 0.0, 2.5)]
    assert [codec.name for codec in codecs] == ["vqcodec", "vqcodec rdo 0", "vqcodec rdo 2.5"]
    assert len({codec.identity for codec in codecs}) == 3
    for codec in codecs:
        codec.encode(picture, 3, picture.with_suffix(".vqc"))
        told = vqcodec.encode(
            pixels, tier=3, model=tiny_context_pack, rdo=codec.rdo, device="cpu", threads=1
        )
        assert picture.with_suffix(".vqc").read_bytes() == told


def test_the_digest_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "vqcodec"
    shutil.copytree(
        Path(vqcodec.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    before = vqc.sources_digest()
    monkeypatch.setattr(vqcodec, "__file__", str(copy / "__init__.py"))
    assert vqc.sources_digest() == before
    (copy / "training" / "more.py").write_text("", encoding="utf-8")
    assert vqc.sources_digest() == before
    with (copy / "payload.py").open("a", encoding="utf-8") as file:
        file.write("\n# a remark\n")
    assert vqc.sources_digest() == before
    (copy / "more.py").write_text("", encoding="utf-8")
    assert vqc.sources_digest() != before


def test_failures_are_the_commands_own_line(
    codec: vqc.Vqc, save_picture: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = save_picture(make_picture(16, 16))
    coded = picture.with_suffix(".vqc")
    missing = picture.with_name("-missing.png")
    with pytest.raises(CodecError, match=r"^vqcodec: error: .*/-missing\.png: no such file"):
        codec.encode(missing, 5, coded)
    with pytest.raises(CodecError, match=r"^vqcodec: error: .*'13' is no tier"):
        codec.encode(picture, 13, coded)
    coded.write_bytes(b"no file of ours")
    with pytest.raises(CodecError, match=r"^vqcodec: error: .*photo\.vqc: "):
        codec.decode(coded, 16, 16)
    codec.encode(picture, 5, coded)
    with pytest.raises(CodecError, match=r"photo\.vqc decodes to 16x16 instead of 16x15"):
        codec.decode(coded, 15, 16)
    with pytest.raises(CodecError, match=r"^vqcodec: error: .*no-such-model"):
        vqc.Vqc("no-such-model")
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_is_no_failure(codec: vqc.Vqc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vqc, "main", lambda _: sys.exit(130))
    with pytest.raises(KeyboardInterrupt):
        codec.encode(Path("a.png"), 5, Path("a.vqc"))

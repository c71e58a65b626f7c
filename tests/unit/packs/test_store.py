"""Finding and checking model packs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vqcodec.errors import ModelMismatchError, ModelNotFoundError, PackError
from vqcodec.packs import store
from vqcodec.packs.manifest import read_manifest

TINY = Path(__file__).parents[2] / "packs" / "tiny"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    shutil.copytree(TINY, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture(autouse=True)
def only_test_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQCODEC_MODELS", str(TINY.parent))
    monkeypatch.setattr(store, "_EMBEDDED", ())


def replace(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_pack_is_found_by_name_by_folder_and_by_id() -> None:
    pack = store.find("tiny")
    assert store.find(TINY).digest == pack.digest
    assert store.find_by_id(pack.weights_id).digest == pack.digest
    assert [found.name for found in store.available()] == ["tiny", "tiny-context", "tiny-f8"]
    assert f"{pack.weights_id:04x}" == pack.digest[:4]


def test_tables_are_read_and_checked() -> None:
    pack = store.find("tiny")
    for entry in pack.manifest.tiers:
        table = pack.frequencies(entry.tier)
        assert table.shape == (entry.codebook_size,)
        assert int(table.sum(dtype=np.int64)) == 65536
        assert table.min() >= 1


@pytest.mark.parametrize("name", ["nothing", "", "no/such/folder", "..", "a\0b"])
def test_unknown_names_say_what_is_known(name) -> None:
    with pytest.raises(ModelNotFoundError):
        store.find(name)


def test_another_pack_than_the_file_needs_is_refused() -> None:
    other = store.find("tiny").weights_id ^ 1
    with pytest.raises(ModelMismatchError, match=f"{other:04x}"):
        store.find_by_id(other, "tiny")
    with pytest.raises(ModelNotFoundError, match=f"{other:04x}"):
        store.find_by_id(other)


def test_two_packs_with_one_id_are_told_apart_by_the_user(tiny, monkeypatch) -> None:
    digest = store.load(TINY).digest
    replace(tiny, 'name = "tiny"', 'name = "twin"')
    replace(tiny, digest, digest[:4] + "0" * 60)
    monkeypatch.setenv("VQCODEC_MODELS", f"{TINY.parent}:{tiny.parent}")
    with pytest.raises(PackError, match="share the weights id"):
        store.find_by_id(int(digest[:4], 16))
    assert store.find_by_id(int(digest[:4], 16), "tiny").digest == digest


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("schema = 1", "schema = 2", "schema 2"),
        ('name = "tiny"', "name = 5", "'name' is a int"),
        ('name = "tiny"', 'name = "../up"', "not a pack's name"),
        ('name = "tiny"', "", "'name' is missing"),
        ("stride = 16", "stride = 4", "stride 4; the format has 8 and 16"),
        ("stride = 16", "stride = 32", "stride 32; the format has 8 and 16"),
        ("default_tier = 8", "default_tier = 12", "default tier 12"),
        ("codebook_size = 8", "codebook_size = 9", "tier 1 with 9 words"),
        ("[weights]", "[weights", "not valid TOML"),
        ('sha256 = "', 'sha256 = "xyz', "64 hexadecimal"),
    ],
)
def test_wrong_manifests_name_the_fault(tiny, old, new, match) -> None:
    replace(tiny, old, new)
    with pytest.raises(PackError, match=match):
        store.load(tiny)
    assert "tiny" in {pack.name for pack in store.available()}, "a broken pack hides no other"


def test_a_manifest_that_is_no_text_or_too_large_is_refused(tiny) -> None:
    for content in (b"\xff\xfe", b"#" * 70_000, b"a = " + b"[" * 5000):
        (tiny / "manifest.toml").write_bytes(content)
        with pytest.raises(PackError):
            read_manifest(tiny)


def test_weights_that_are_not_the_manifests_are_refused(tiny) -> None:
    path = tiny / "weights.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(PackError, match="sha256"):
        store.load(tiny).check()
    path.write_bytes(good[:-1])
    with pytest.raises(PackError, match="bytes"):
        store.load(tiny).frequencies(1)
    path.unlink()
    with pytest.raises(PackError, match="No such file"):
        store.load(tiny).check()


@pytest.mark.parametrize(
    "table", [np.full(8, 8191, np.uint16), np.zeros(8, np.uint16), np.full(8, 8192, np.int32)]
)
def test_tables_that_break_the_rules_are_refused(tiny, table) -> None:
    from vqcodec.packs.tables import read_frequencies

    path = tiny / "weights.safetensors"
    save_file({**load_file(path), "tier.1.frequencies": table}, path)
    with pytest.raises(PackError, match=r"tier\.1\.frequencies"):
        read_frequencies(path, 1, 8)


def test_a_missing_tier_is_named() -> None:
    with pytest.raises(ModelMismatchError, match=r"no tier 12; it has 1, 2, 3, 4, 5, 6, 7, 8, 9$"):
        store.find("tiny").frequencies(12)

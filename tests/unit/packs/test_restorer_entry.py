"""A pack's restorer as its manifest names it, and copies of a pack that differ in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vqcodec.errors import PackError
from vqcodec.packs import store

TINY = Path(__file__).parents[2] / "packs" / "tiny"


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A copy of the tiny pack with a restorer's file, which nothing here reads."""
    folder = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    (folder / store.RESTORER_NAME).write_bytes(b"restorer")
    with (folder / "manifest.toml").open("a", encoding="utf-8") as file:
        file.write(
            '\n[restorer]\nsha256 = "'
            "ba91b8618edd703474f9506aea6e14bb6459fd62e2a94577daa3b3bc2b129cfd"
            '"\nsize_bytes = 8\n[restorer.config]\nwidth = 32\n'
        )
    return folder


def _edit(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_entry_is_read(pack: Path) -> None:
    entry = store.load(pack).manifest.restorer
    assert entry is not None
    assert (entry.size_bytes, dict(entry.config)) == (8, {"width": 32})
    assert store.load(pack).restorer_path == pack / "restorer.safetensors"
    store.load(pack).check_restorer()


def test_a_pack_without_one_has_nothing_to_check() -> None:
    assert store.load(TINY).manifest.restorer is None
    store.load(TINY).check_restorer()


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("\nsize_bytes = 8\n", "\n", r"\[restorer\]: 'size_bytes' is missing"),
        ("\nsize_bytes = 8\n", '\nsize_bytes = "8"\n', r"\[restorer\]: 'size_bytes' is a str"),
        ("\nsize_bytes = 8\n", "\nsize_bytes = true\n", r"\[restorer\]: 'size_bytes' is a bool"),
        ('sha256 = "ba', 'sha256 = "zz', r"\[restorer\]: sha256 is not 64 hexadecimal"),
        ("[restorer.config]\nwidth = 32", "config = 3", r"\[restorer\]: 'config' is a int"),
        ("[restorer.config]\nwidth = 32", "", r"\[restorer\]: 'config' is missing"),
    ],
)
def test_wrong_entries_name_the_fault(pack: Path, old: str, new: str, word: str) -> None:
    _edit(pack, old, new)
    with pytest.raises(PackError, match=word):
        store.load(pack)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"restore", "7 bytes, the manifest says 8"),
        (b"restorer"[::-1], "sha256"),
        (None, "No such"),
    ],
)
def test_a_file_that_is_not_the_manifests_is_refused(
    pack: Path, data: bytes | None, word: str
) -> None:
    path = pack / store.RESTORER_NAME
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(PackError, match=word):
        store.load(pack).check_restorer()
    store.load(pack).check()


def test_of_copies_with_other_restorers_the_first_in_search_order_is_taken(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _edit(pack, 'name = "tiny"', 'name = "twin"')
    twin, tiny = store.load(pack), store.load(TINY)
    monkeypatch.setattr(store, "_EMBEDDED", ())
    for folders in ((pack.parent, TINY.parent), (TINY.parent, pack.parent)):
        monkeypatch.setenv("VQCODEC_MODELS", ":".join(map(str, folders)))
        wanted = twin if folders[0] == pack.parent else tiny
        assert store.find_by_id(tiny.weights_id).path == wanted.path

"""What `models export` writes: the same bytes every time, runnable, and all or nothing."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from safetensors.numpy import load, load_file

from vqcodec.cli.main import cli
from vqcodec.errors import OutputError, OutputExistsError
from vqcodec.nets.load import Nets
from vqcodec.onnx.export import export, files_of
from vqcodec.onnx.session import Session
from vqcodec.packs import store


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_pack_gives_the_same_bytes(tiny_restorer_pack: Path, tmp_path: Path) -> None:
    pack = store.load(tiny_restorer_pack)
    files = export(pack, tmp_path / "made" / "here")
    assert files == files_of(pack) == tree(tmp_path / "made" / "here")
    told = json.loads(files["model.json"])
    assert told["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(files.items())
        if name != "model.json"
    }
    assert set(told["files"]) == {
        "decoder.onnx",
        "encoder.onnx",
        "restorer.onnx",
        "tables.safetensors",
    }
    assert told["weights_id"] == f"{pack.weights_id:04x}"
    assert told["tiers"][2] == {"tier": 3, "codebook_size": 32}
    assert (told["stride"], told["latent_dim"], told["restorer_halo"]) == (16, 4, 16)
    assert "whole_only" not in told


def test_tables_are_the_packs_byte_for_byte(tiny_context_pack: Path) -> None:
    pack = store.load(tiny_context_pack)
    tables, stored = load(files_of(pack)["tables.safetensors"]), load_file(pack.weights_path)
    wanted = {key for key in stored if key.startswith(("tier.", "context."))}
    assert set(tables) == wanted
    assert any(key.startswith("context.") for key in wanted)
    for key in wanted:
        assert tables[key].dtype == stored[key].dtype
        assert tables[key].tobytes() == stored[key].tobytes()


def test_a_pack_without_restorer_has_none(tiny_pack: Path) -> None:
    files = files_of(store.load(tiny_pack))
    assert "restorer.onnx" not in files
    assert "restorer_halo" not in json.loads(files["model.json"])


def test_the_graphs_run_alone_and_kernels_stay_small(tiny_pack: Path, in_torch: Nets) -> None:
    files = files_of(store.load(tiny_pack))
    tier = np.array([4], np.int32)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 48, 64)).astype(np.float32)
    (latent,) = Session(files["encoder.onnx"], 1).run(image=image, tier=tier)
    assert latent.shape == (1, 4, 3, 4)
    (painted,) = Session(files["decoder.onnx"], 1).run(latent=latent, tier=tier)
    levels = in_torch.from_latents(latent[0].transpose(1, 2, 0), 4).astype(int)
    found = np.rint((np.clip(painted[0], -1, 1) + 1) * 127.5).transpose(1, 2, 0)
    assert np.abs(found - levels).max() <= 1
    for name in ("encoder.onnx", "decoder.onnx"):
        model = onnx.load_from_string(files[name])
        onnx.checker.check_model(model, full_check=True)
        assert [entry.version for entry in model.opset_import] == [17]
        large = [t for t in model.graph.initializer if np.prod(t.dims) >= 4096]
        assert {t.data_type for t in large} <= {onnx.TensorProto.INT8}


def test_what_is_there_is_replaced_only_if_asked(
    tiny_pack: Path, tiny_restorer_pack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    export(store.load(tiny_restorer_pack), out)
    before = tree(out)
    with pytest.raises(OutputExistsError, match="exists there"):
        export(store.load(tiny_pack), out)
    assert tree(out) == before
    export(store.load(tiny_pack), out, is_forced=True)
    after = tree(out)
    assert "restorer.onnx" not in after, "of the pack that was replaced"
    assert after.pop("notes.txt") == b"mine"
    assert after == files_of(store.load(tiny_pack))


def test_what_fails_leaves_nothing(
    tiny_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        export(store.load(tiny_pack), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote(tiny_pack: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["models", "export", str(tiny_pack), "--onnx", str(out)]
    done = CliRunner().invoke(cli, [*arguments, "--json", "-v"])
    assert done.exit_code == 0, done.stderr
    sizes = {name: len(data) for name, data in tree(out).items()}
    assert json.loads(done.stdout)["files"] == sizes
    assert f"{out}: 4 files, {sum(sizes.values()):,} bytes, of tiny" in done.stderr
    assert f"decoder.onnx: {sizes['decoder.onnx']:,} bytes" in done.stderr
    again = CliRunner().invoke(cli, arguments)
    assert again.exit_code == 3
    assert again.stderr.startswith(f"vqcodec: error: {out}: ")
    assert CliRunner().invoke(cli, [*arguments, "-f"]).exit_code == 0

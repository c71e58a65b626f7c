"""The context model: what is trained is what a pack stores and what the codec computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from vqcodec.bitstream.layout import PACKET_LAYOUTS
from vqcodec.bitstream.packets import Header
from vqcodec.cli.main import main
from vqcodec.codec import decode, encode
from vqcodec.errors import InputError, OutputExistsError
from vqcodec.indices.scan import packet_map
from vqcodec.indices.waves import Walk
from vqcodec.inspection import describe
from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.training.additions import add_context
from vqcodec.training.context import ContextNet, loss_bits, offsets
from vqcodec.training.context_loop import ContextRun, read_context, train_context
from vqcodec.training.context_maps import IndexMaps, load_maps, make_maps
from vqcodec.training.recipe import Context
from vqcodec.training.schedule import Budget

HOW = Context(photos=3, hidden=16, blocks=1, learned=4, batch=64)


def _codewords(pack: Path) -> dict[int, torch.Tensor]:
    return load(store.load(pack), device="cpu").codebooks


def _shaken(net: ContextNet) -> ContextNet:
    """Weights that reach every limit: nothing stays at its start."""
    torch.manual_seed(3)
    for parameter in net.parameters():
        parameter.data += torch.randn_like(parameter) * 0.3
    return net


def _maps(tier: int = 3) -> IndexMaps:
    """Two maps in which each index follows from its left neighbour most of the time."""
    random, size, parts, shapes = np.random.default_rng(5), 1 << (tier + 2), [], []
    for height, width in ((14, 18), (11, 25)):
        steps = random.choice([1, 1, 1, 1, 5], (height, width))
        parts.append((np.cumsum(steps, axis=1) % size).astype(np.uint16).ravel())
        shapes.append((height, width))
    return IndexMaps(np.array(shapes), {tier: np.concatenate(parts)})


def test_the_codec_computes_what_was_trained(tiny_pack: Path, tmp_path: Path) -> None:
    net = _shaken(ContextNet(_codewords(tiny_pack), hidden=24, n_blocks=2, n_learned=5))
    add_context(store.load(tiny_pack), net.tensors(), tmp_path / "made")
    random = np.random.default_rng(0)
    for tier in (1, 5, 9):
        size = 1 << (tier + 2)
        model = store.load(tmp_path / "made").context(tier)
        assert model is not None
        neighbours = random.integers(0, size + 2, (200, len(offsets())))
        with torch.no_grad():
            wanted = net(torch.from_numpy(neighbours), tier).softmax(1).numpy()
        found = (model.rows(neighbours)[:, 1:-1] + 1) / 2**24
        assert np.abs(found - wanted).max() < 0.012  # 32 steps per bit: 1.1 % of a likely one
        bits = -(wanted * np.log2(np.maximum(found, 2**-24))).sum(1)
        ideal = -(wanted * np.log2(np.maximum(wanted, 1e-30))).sum(1)
        assert (bits - ideal).max() < 0.01


@pytest.mark.parametrize("layout", [0, 3, 9])
def test_training_sees_the_neighbours_that_coding_sees(layout: int) -> None:
    tier, maps = 3, _maps()
    height, width = (int(side) for side in maps.shapes[0])
    count = height * width
    n_packets, step = PACKET_LAYOUTS[layout]
    header = Header(tier, "context", n_packets, 0, 16 * width, 16 * height)
    packets = packet_map(height, width, n_packets, step, header.block)
    walk = Walk(packets, offsets(), 1 << (tier + 2))
    walk.put(slice(None), maps.values[tier][:count][walk.positions].astype(np.int32))
    seen = walk.neighbours(slice(None))
    # A walk never shows what is coded later, and neither do causal offsets.
    assert np.array_equal(maps.neighbours(tier, walk.positions, offsets(), (n_packets, step)), seen)


def test_maps_survive_the_disk(tmp_path: Path) -> None:
    maps = _maps()
    maps.save(tmp_path / "maps.safetensors")
    again = load_maps(tmp_path / "maps.safetensors")
    chosen = np.arange(len(maps))
    assert np.array_equal(again.targets(3, chosen), maps.targets(3, chosen))
    (tmp_path / "maps.safetensors").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(InputError, match="Delete it"):
        load_maps(tmp_path / "maps.safetensors")


def test_a_rule_is_learned(tiny_pack: Path, tmp_path: Path) -> None:
    maps = _maps()
    net = ContextNet({3: _codewords(tiny_pack)[3]}, 32, 1, 8)
    net.start_from({3: maps.counts(3)})
    how = Context(hidden=32, batch=128, learning_rate=1e-2, ema=0.9)
    chosen = np.arange(len(maps))
    data = (
        torch.from_numpy(maps.neighbours(3, chosen, offsets())),
        torch.from_numpy(maps.targets(3, chosen)),
    )
    before = float(loss_bits(net, *data, 3).detach())
    run = ContextRun(net, maps, how, Budget(None, 150), tmp_path, lambda _: None)
    after = float(loss_bits(run.run(), *data, 3).detach())
    assert before > 4.8  # of 5
    assert after < 2.5  # the rule's entropy is .72


def test_a_pack_gets_its_context_model(tiny_pack: Path, photos: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", tmp_path / "recipe.toml"
    table = "photos = 3\nhidden = 16\nlearned = 4\nbatch = 64"
    recipe.write_text(f'name = "bits"\n[context]\n{table}\n')
    options = ["train", "context", str(tiny_pack), "--data", str(photos), "--out", str(out)]
    options += ["--recipe", str(recipe)]
    result = CliRunner().invoke(main, [*options, "--name", "bits", "--steps", "20"])
    assert result.exit_code == 0, result.output
    pack = store.load(out / "bits")
    pack.check()
    assert pack.digest != store.load(tiny_pack).digest
    assert "quality" in (out / "bits" / "manifest.toml").read_text()
    image = np.random.default_rng(2).integers(0, 256, (70, 90, 3), np.uint8)
    data = encode(image, tier=4, model=pack.path, coding="context")
    assert describe(data).coding == "context"
    assert decode(data, model=pack.path).shape == image.shape
    again = CliRunner().invoke(main, [*options, "--name", "bits", "--steps", "20"])
    assert again.exit_code == 3
    assert "--resume" in again.stderr
    more = [*options, "--name", "bits", "--steps", "30", "--resume"]
    resumed = CliRunner().invoke(main, more)
    assert resumed.exit_code == 0, resumed.output
    assert "step 30" in resumed.output + resumed.stderr


def test_an_earlier_context_model_is_taken_over(tiny_pack: Path, tmp_path: Path) -> None:
    net = _shaken(ContextNet(_codewords(tiny_pack), hidden=16, n_blocks=1, n_learned=4))
    add_context(store.load(tiny_pack), net.tensors(), tmp_path / "made")
    other = ContextNet(_codewords(tiny_pack), hidden=16, n_blocks=1, n_learned=4)
    taken = other.take(read_context(tmp_path / "made" / "weights.safetensors"))
    assert taken == "32 of 32 tensors"
    for key, value in other.tensors().items():
        assert torch.equal(value, net.tensors()[key]), key
    wider = ContextNet(_codewords(tiny_pack), hidden=20, n_blocks=1, n_learned=4)
    assert wider.take(net.tensors()) == "19 of 32 tensors"  # a narrower trunk does not fit
    with pytest.raises(InputError, match="no context model"):
        read_context(tiny_pack / "weights.safetensors")


def test_nothing_is_replaced_unasked(tiny_pack: Path, photos: Path, tmp_path: Path) -> None:
    net = ContextNet(_codewords(tiny_pack), 8, 0, 0)
    add_context(store.load(tiny_pack), net.tensors(), tmp_path / "made")
    with pytest.raises(OutputExistsError):
        add_context(store.load(tiny_pack), net.tensors(), tmp_path / "made")
    (tmp_path / "empty").mkdir()
    pack = store.load(tiny_pack)
    with pytest.raises(InputError, match="no photos"):
        train_context(pack, HOW, [tmp_path / "empty"], tmp_path / "out", lambda _: None)
    nets = load(store.load(tiny_pack), device="cpu")
    maps = make_maps(nets, [photos], 2, lambda _: None)
    assert maps.tiers == list(range(1, 10))
    assert len(maps.shapes) == 2

"""The restorer's training: it learns, it goes on where it stopped, and a pack gets its result."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

import vqcodec
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.cli.main import main
from vqcodec.errors import InputError, OutputExistsError
from vqcodec.nets.load import load
from vqcodec.nets.restorer import Restorer
from vqcodec.nets.restoring import load_restorer
from vqcodec.packs import store
from vqcodec.training import checkpoint
from vqcodec.training.additions import MAX_RESTORER_BYTES, add_context, add_restorer
from vqcodec.training.context import WORD, ContextNet
from vqcodec.training.context_loop import read_context
from vqcodec.training.context_maps import IndexMaps
from vqcodec.training.map_recipes import RestorerRecipe
from vqcodec.training.perceptual import perceptual
from vqcodec.training.restorer_loop import JUDGE, RestorerRun, train_restorer
from vqcodec.training.schedule import Budget

HOW = RestorerRecipe(
    photos=2, width=32, blocks=2, learned=4, crop=6, batch=2, paint_batch=1, paint_crop=2, ema=0.9
)
TIER = 3


def maps() -> IndexMaps:
    """Two maps in which each index follows from its left neighbour."""
    shapes = np.array([(14, 18), (11, 25)])
    parts = [np.arange(h)[:, None] * 7 + np.arange(w) for h, w in shapes]
    values = np.concatenate([part.ravel() % 32 for part in parts]).astype(np.uint16)
    return IndexMaps(shapes, {TIER: values})


def run(
    pack: Path,
    out: Path,
    steps: int,
    how: RestorerRecipe = HOW,
    nets: Path | None = None,
) -> RestorerRun:
    torch.manual_seed(0)
    loaded = load(store.load(pack), device="cpu")
    net = Restorer({TIER: loaded.codebooks[TIER]}, how.width, how.blocks, how.learned)
    judge = None if nets is None else perceptual(JUDGE, nets)
    out.mkdir(exist_ok=True)
    return RestorerRun(net, loaded, judge, maps(), how, Budget(None, steps), out, lambda _: None)


def state_of(net: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


def test_a_rule_is_learned(tiny_pack: Path, tmp_path: Path) -> None:
    how = replace(HOW, blocks=1, crop=8, batch=4, learning_rate=2e-2)
    made = run(tiny_pack, tmp_path / "run", 40, how)
    before = float(made.progress().split()[1])
    made.run()
    after = float(made.progress().split()[1])
    assert before > 4.5  # of 5 bits
    assert after < 0.6 * before


def test_without_a_judge_only_likelihood_is_learned(tiny_pack: Path, tmp_path: Path) -> None:
    made = run(tiny_pack, tmp_path / "run", 2)
    before = state_of(made.net)
    made.run()
    after = made.net.state_dict()
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert {"query.weight", "stem.weight", f"learned.{TIER}", f"bias.{TIER}"} <= changed
    assert not {key for key in changed if key.startswith("paint.")}
    assert all(value.isfinite().all() for value in after.values())


def test_with_a_judge_painting_is_learned_in_the_last_part(
    tiny_pack: Path, squeeze: Path, tmp_path: Path
) -> None:
    made = run(tiny_pack, tmp_path / "run", 2, replace(HOW, paint_from=0.5), squeeze)
    painted: list[bool] = []
    loss = made.loss

    def watched(random: np.random.Generator) -> Tensor:
        painted.append(bool(made.net.paint.weight.any()))
        return loss(random)

    made.loss = watched  # type: ignore[method-assign]
    made.run()
    assert painted == [False, False], "the first step was without the judge"
    assert made.net.paint.weight.any()
    assert all(value.isfinite().all() for value in made.net.state_dict().values())


def test_what_is_painted_right_is_not_ugly(tiny_pack: Path, squeeze: Path, tmp_path: Path) -> None:
    made = run(tiny_pack, tmp_path / "run", 1, nets=squeeze)
    indices = torch.randint(32, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    gone = torch.zeros(2, 6, 6, dtype=torch.bool)
    gone[:, 2:4, 2:4] = True
    true = made.net.words[TIER][indices[gone]]
    with torch.no_grad():
        assert float(made._ugly(indices, gone, true, TIER)) == pytest.approx(0, abs=1e-6)
        assert float(made._ugly(indices, gone, -true, TIER)) > 1e-3


def test_a_run_goes_on_exactly_where_it_stopped(tiny_pack: Path, tmp_path: Path) -> None:
    whole = run(tiny_pack, tmp_path / "whole", 6)
    whole.run()
    first = run(tiny_pack, tmp_path / "parts", 6)
    loss = first.loss

    def stopping(random: np.random.Generator) -> Tensor:
        first.is_stopped = first.step == 2
        return loss(random)

    first.loss = stopping  # type: ignore[method-assign]
    first.run()
    assert first.step == 3
    second = run(tiny_pack, tmp_path / "parts", 6)
    state = checkpoint.load_last(tmp_path / "parts" / checkpoint.LAST_NAME)
    assert state is not None
    second.resume(state)
    second.run()
    for name in ("net", "ema"):
        wanted = getattr(whole, name).state_dict()
        for key, value in getattr(second, name).state_dict().items():
            assert torch.equal(value, wanted[key]), (name, key)


def test_a_state_of_another_shape_is_refused(tiny_pack: Path, tmp_path: Path) -> None:
    run(tiny_pack, tmp_path / "run", 1).save()
    state = checkpoint.load_last(tmp_path / "run" / checkpoint.LAST_NAME)
    assert state is not None
    with pytest.raises(InputError, match="of another model or recipe"):
        run(tiny_pack, tmp_path / "run", 1, replace(HOW, width=64)).resume(state)


def test_photos_smaller_than_a_crop_are_told(tiny_pack: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photo has 15 x 15 indices"):
        run(tiny_pack, tmp_path / "run", 1, replace(HOW, crop=15))


def test_what_the_context_model_knows_of_words_is_taken_over(
    tiny_context_pack: Path, photos: Path, tmp_path: Path
) -> None:
    pack, said = store.load(tiny_context_pack), []
    budget = Budget(None, 1)  # the averaged weights do not move before the fourth step
    how = replace(HOW, crop=4)
    net = train_restorer(pack, how, [photos], tmp_path / "run", said.append, budget=budget)
    known = read_context(pack.weights_path)
    for tier in ("1", "6"):
        wanted = known[f"context.{tier}.learned"].float() / WORD
        assert torch.equal(net.learned[tier].data, wanted)
    assert sorted(net.words) == list(range(1, 7))
    assert said[0].startswith("restorer: ")
    assert said[-1].startswith("step 1: t1 ")
    with pytest.raises(OutputExistsError, match="--resume"):
        train_restorer(pack, how, [photos], tmp_path / "run", said.append, budget=budget)
    again = train_restorer(
        pack, how, [photos], tmp_path / "more", said.append, budget=budget, start=net
    )
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())
    rest = [photos], tmp_path / "other", said.append
    with pytest.raises(InputError, match="of another shape"):
        train_restorer(pack, replace(how, width=64), *rest, budget=budget, start=net)


def test_without_a_context_model_words_begin_with_their_frequency(
    tiny_pack: Path, photos: Path, tmp_path: Path
) -> None:
    how, budget = replace(HOW, crop=4), Budget(None, 1)
    pack = store.load(tiny_pack)
    net = train_restorer(pack, how, [photos], tmp_path, lambda _: None, budget=budget)
    for tier, bias in net.bias.items():
        assert float(bias.exp().sum()) == pytest.approx(1, rel=1e-4), tier
        assert float(bias.max() - bias.min()) > math.log(3)


@pytest.fixture(scope="module")
def trained(
    tiny_pack: Path, photos: Path, squeeze: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run of `train restorer`."""
    folder = tmp_path_factory.mktemp("trained")
    result = command(tiny_pack, photos, squeeze, folder)
    assert result.exit_code == 0, result.output
    return folder / "run"


def command(pack: Path, photos: Path, nets: Path, folder: Path, *more: str) -> Result:
    recipe = folder / "recipe.toml"
    table = "photos = 2\nwidth = 32\nblocks = 1\nlearned = 2\ncrop = 4\nbatch = 2\n"
    table += "paint_from = 0.5\npaint_batch = 1\npaint_crop = 2\n"
    recipe.write_text(f'name = "x"\n[restorer]\n{table}', encoding="utf-8")
    given = ["train", "restorer", pack, "--data", photos, "--out", folder / "run"]
    given += ["--recipe", recipe, "--weights", nets, *(more or ("--steps", "2"))]
    return CliRunner().invoke(main, list(map(str, given)))


def test_the_pack_stays_the_files_pack(trained: Path, tiny_pack: Path) -> None:
    made, before = store.load(trained / "tiny"), store.load(tiny_pack)
    made.check()
    made.check_restorer()
    assert (made.name, made.digest) == ("tiny", before.digest)
    assert made.weights_path.read_bytes() == before.weights_path.read_bytes()
    assert made.manifest.tiers == before.manifest.tiers
    assert made.manifest.restorer is not None
    assert (trained / "tiny" / "CARD.md").exists()


def test_it_decodes_damaged_files(trained: Path) -> None:
    image = np.random.default_rng(2).integers(0, 256, (70, 90, 3), np.uint8)
    data = vqcodec.encode(image, tier=4, model=trained / "tiny", n_packets=4, device="cpu")
    kept = container.parse(data).packets[1:]
    left = MAGIC + b"".join(data[p.offset : p.offset + p.size_bytes] for p in kept)
    decoded = vqcodec.decode_with_losses(left, model=trained / "tiny", device="cpu")
    assert decoded.restorer == "transformer"
    assert decoded.pixels.shape == image.shape
    assert decoded.entropy_bits is not None


def test_the_command_goes_on_and_begins_from_a_pack(
    trained: Path, tiny_pack: Path, photos: Path, squeeze: Path, tmp_path: Path
) -> None:
    given = (tiny_pack, photos, squeeze)
    again = command(*given, trained.parent)
    assert again.exit_code == 3
    assert "--resume" in again.stderr
    more = command(*given, trained.parent, "--steps", "3", "--resume")
    assert more.exit_code == 0, more.output
    assert "step 3: " in more.stderr
    begun = command(*given, tmp_path, "--steps", "1", "--start", str(trained / "tiny"))
    assert begun.exit_code == 0, begun.output
    assert command(*given, tmp_path, "--steps", "1", "--minutes", "1").exit_code == 2
    bare = command(*given, tmp_path, "--steps", "1", "--resume", "--start", str(tiny_pack))
    assert bare.exit_code == 5
    assert "has no restorer" in bare.stderr


def test_a_context_model_comes_beside_the_restorer(
    tiny_restorer_pack: Path, tmp_path: Path
) -> None:
    pack = store.load(tiny_restorer_pack)
    codebooks = load(pack, device="cpu").codebooks
    net = ContextNet(codebooks, hidden=8, n_blocks=0, n_learned=0)
    add_context(pack, net.tensors(), tmp_path / "both")
    both = store.load(tmp_path / "both")
    both.check()
    assert both.digest != pack.digest
    assert both.context_tiers() == sorted(codebooks)
    assert both.manifest.restorer == pack.manifest.restorer
    assert both.restorer_path.read_bytes() == pack.restorer_path.read_bytes()
    load_restorer(both, device="cpu")


def test_a_restorer_is_replaced_only_when_asked(tiny_restorer_pack: Path, tmp_path: Path) -> None:
    pack = store.load(tiny_restorer_pack)
    net = Restorer(load(pack, device="cpu").codebooks, 32, 1, 1)
    add_restorer(pack, net, tmp_path / "copy", hours=0.5)
    copy = store.load(tmp_path / "copy")
    assert copy.name == pack.name
    assert copy.manifest.training["hours"] == 0.5
    assert copy.manifest.restorer != pack.manifest.restorer
    with pytest.raises(OutputExistsError):
        add_restorer(copy, net, copy.path)
    add_restorer(copy, net, copy.path, is_forced=True)
    store.load(copy.path).check_restorer()


def test_a_restorer_beyond_five_mebibytes_is_refused(tiny_pack: Path, tmp_path: Path) -> None:
    pack = store.load(tiny_pack)
    net = Restorer(load(pack, device="cpu").codebooks, 256, 8, 1)
    with pytest.raises(InputError, match=f"of at most {MAX_RESTORER_BYTES:,}"):
        add_restorer(pack, net, tmp_path / "large")
    assert not (tmp_path / "large").exists()

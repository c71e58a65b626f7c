"""Photos, schedules, codebooks, critics and perceptual nets, each on its own."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from vqcodec.errors import InputError
from vqcodec.nets.quantizer import to_sphere
from vqcodec.training.perceptual import LPIPS_NETS, Lpips, Vgg19
from vqcodec.training.photos import Photos, read_photos
from vqcodec.training.recipe import Codebooks
from vqcodec.training.refusal import load_refused
from vqcodec.training.schedule import Budget, deal, learning_rate, ramp
from vqcodec.training.tiers import fit_base, fit_tier

HOW = Codebooks(base_size=64, n_init=4, seed=5)


def test_crops_are_seeded_and_in_range(photos: Path) -> None:
    one, two = (Photos([photos], 32).batch(8, np.random.default_rng(1)) for _ in range(2))
    assert one.shape == (8, 3, 32, 32)
    assert torch.equal(one, two)
    assert -1 <= float(one.min()) < float(one.max()) <= 1
    assert not torch.equal(one, Photos([photos], 32).batch(8, np.random.default_rng(2)))


def test_crops_are_pieces_of_the_photos_whole_halved_and_mirrored(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    crops = Photos([tmp_path], 32).batch(40, np.random.default_rng(0))
    photo = torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1
    halved = torch.nn.functional.avg_pool2d(photo, 2)
    windows = photo.unfold(1, 32, 1).unfold(2, 32, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    seen = {"whole": 0, "halved": 0}
    for crop in crops:
        same = [c for c in (crop, crop.flip(-1)) if torch.allclose(c, halved, atol=1e-5)]
        found = [c for c in (crop, crop.flip(-1)) if bool((windows == c).flatten(1).all(1).any())]
        assert len(same) + len(found) >= 1
        seen["halved" if same else "whole"] += 1
    assert min(seen.values()) > 5


def test_processes_share_the_photos(photos: Path) -> None:
    parts = [Photos([photos], 32, part=(n, 2)).all for n in range(2)]
    assert [len(part) for part in parts] == [2, 1]
    whole = Photos([photos], 32).all
    assert torch.equal(parts[0][1], whole[2])
    assert torch.equal(parts[1][0], whole[1])


def test_evaluation_images_are_left_out_and_named(photos: Path) -> None:
    refused = load_refused([photos / "1.png"])
    left = Photos([photos], 32, refused=refused)
    assert len(left.all) == 2
    assert left.left_out == ["left out 1 that are evaluation images: 1.png (resembles 1/1)"]


def test_what_is_left_out_is_named_and_large_photos_are_shrunk_upright(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera stood on its side
    Image.effect_noise((1500, 1200), 50).convert("RGB").save(tmp_path / "wide.jpg", exif=turned)
    photos = Photos([tmp_path], 32)
    assert [tuple(photo.shape) for photo in photos.all] == [(640, 512, 3)]
    assert photos.left_out == [
        "left out 1 that cannot be read: broken.jpg",
        "left out 1 that have a side below 32 pixels: small.png",
    ]


def test_a_broken_tar_is_told(tmp_path: Path) -> None:
    (tmp_path / "photos.tar").write_bytes(b"no tar at all")
    with pytest.raises(InputError, match=r"photos\.tar"):
        list(read_photos(tmp_path))


def test_a_tar_reads_as_its_folder_does_and_skips_what_is_no_photo(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    tar = tmp_path / "photos.tar"
    with tarfile.open(tar, "w") as file:
        for path in [*sorted(photos.iterdir()), tmp_path / "notes.txt", tmp_path / "broken.png"]:
            file.add(path, path.name)
    from_tar, from_folder = list(read_photos(tar)), list(read_photos(photos))
    assert [name for name, _ in from_tar] == ["0.png", "1.png", "2.png"]
    for (_, ours), (_, theirs) in zip(from_tar, from_folder, strict=True):
        assert np.array_equal(ours, theirs)
    assert len(list(read_photos(tar, most=2))) == 2


def test_too_small_and_missing_photos_are_told(photos: Path) -> None:
    with pytest.raises(InputError, match="no photo"):
        Photos([photos], 4096)
    with pytest.raises(InputError, match="not found"):
        Photos([photos / "none"], 32)


def test_the_learning_rate_warms_up_and_decays_by_share() -> None:
    assert learning_rate(1.0, 0, 10, 0.0, 0.5) == pytest.approx(0.1)
    assert learning_rate(1.0, 100, 10, 0.49, 0.5) == 1.0
    assert learning_rate(1.0, 100, 10, 0.75, 0.5) == pytest.approx(0.51)
    assert learning_rate(1.0, 100, 10, 1.2, 0.5) == pytest.approx(0.02)
    assert (ramp(0.1, 0.2), ramp(0.225, 0.2), ramp(0.9, 0.2)) == (0, pytest.approx(0.5), 1)


def test_a_budget_goes_on_where_it_stopped() -> None:
    ticks = iter(range(100, 200, 10))
    budget = Budget(60, spent=30, clock=lambda: next(ticks))
    assert (budget.spent, budget.share(7)) == (40, pytest.approx(50 / 60))
    assert Budget(None, 8).share(2) == 0.25
    with pytest.raises(ValueError, match="either"):
        Budget(60, 8)


def test_tiers_are_dealt_evenly() -> None:
    random = np.random.default_rng(0)
    assert sorted(deal(range(1, 10), 9, random).tolist()) == list(range(1, 10))
    counts = torch.bincount(deal(range(1, 10), 22, random), minlength=10)[1:]
    assert set(counts.tolist()) == {2, 3}


def test_codebooks_are_deterministic_and_on_the_sphere() -> None:
    torch.manual_seed(0)
    latents = to_sphere(torch.randn(2000, 4)).numpy()
    base = fit_base(latents, HOW, on_sphere=True)
    assert base.shape == (64, 4)
    assert torch.allclose(base.norm(dim=1), torch.tensor(2.0))
    one, two = (fit_tier(base.numpy(), 2, HOW, on_sphere=True) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (16, 4)
    assert one.dtype == torch.float32
    assert torch.allclose(one.norm(dim=1), torch.tensor(2.0))


def test_codewords_are_ordered_along_the_first_principal_axis() -> None:
    torch.manual_seed(0)
    base = torch.randn(64, 3) * torch.tensor([0.1, 9.0, 0.1])
    along = fit_tier(base.numpy(), 2, HOW, on_sphere=False)[:, 1]
    assert torch.equal(along, along.sort().values)


def test_usage_pulls_the_centres() -> None:
    torch.manual_seed(0)
    base = torch.cat([torch.randn(32, 2) - 9, torch.randn(32, 2) + 9])
    counts = np.array([1000] * 32 + [0] * 32)
    used = fit_tier(base.numpy(), 1, HOW, counts, on_sphere=False)
    alike = fit_tier(base.numpy(), 1, HOW, on_sphere=False)
    assert int((used[:, 0] < 0).sum()) > int((alike[:, 0] < 0).sum())


def test_perceptual_distances_are_zero_for_equal_images_only(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for name, (layers, taps) in LPIPS_NETS.items():
        state = {f"features.{k}": v.half() for k, v in layers().state_dict().items()}
        save_file(state, tmp_path / f"{name}.safetensors")
        widths = {"squeeze": (64, 128, 256, 384, 384, 512, 512), "alex": (64, 192, 384, 256, 256)}
        heads = {f"lin{n}": torch.rand(1, widths[name][n], 1, 1) for n in range(len(taps))}
        save_file(heads, tmp_path / f"lpips_{name}.safetensors")
        _check_distance(Lpips(name, tmp_path))


def test_vgg19_reads_half_and_eight_bit_kernels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state, c_in = {}, 3
    widths = dict(zip(Vgg19.LAYERS, [64] * 2 + [128] * 2 + [256] * 4 + [512] * 5, strict=True))
    for n, c_out in widths.items():
        weight = torch.randn(c_out, c_in, 3, 3) * (2 / (9 * c_in)) ** 0.5
        state[f"features.{n}.bias"] = torch.zeros(c_out)
        if n < 19:
            state[f"features.{n}.weight"] = weight.half()
        else:
            low, high = float(weight.min()), float(weight.max())
            scale = (high - low) / 255
            state[f"features.{n}.weight_q"] = ((weight - low) / scale).round().to(torch.uint8)
            state[f"features.{n}.scale_min"] = torch.tensor([scale, low])
        c_in = c_out
    save_file(state, tmp_path / "vgg19.safetensors")
    _check_distance(Vgg19(tmp_path))
    del state["features.28.scale_min"]
    save_file(state, tmp_path / "vgg19.safetensors")
    with pytest.raises(InputError, match="VGG-19"):
        Vgg19(tmp_path)


def _check_distance(net: Lpips | Vgg19) -> None:
    a, b = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    assert float(net(a, a).max()) == pytest.approx(0, abs=1e-9)
    assert net(a, b).shape == (2,)
    assert float(net(a, b).min()) > 1e-4
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_missing_perceptual_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="squeeze"):
        Lpips("squeeze", tmp_path)

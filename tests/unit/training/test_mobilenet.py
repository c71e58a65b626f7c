"""The judge that is never a loss, and measuring of models that lack tiers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from torch.nn import functional as F

from vqcodec.cli.train import train
from vqcodec.errors import InputError
from vqcodec.nets.autoencoder import build
from vqcodec.nets.load import Nets, load
from vqcodec.packs import store
from vqcodec.training import checkpoint, mobilenet
from vqcodec.training.measure import METRICS, Row, measure
from vqcodec.training.mobilenet import Halving, Mobilenet
from vqcodec.training.perceptual import perceptual
from vqcodec.training.photos import read_photos
from vqcodec.training.recipe import TRAINING_LOSSES
from vqcodec.training.tokenizer import Tokenizer

CONFIG = {
    "latent_dim": 4,
    "encoder_channels": [8, 8, 8],
    "encoder_blocks": [1, 1, 1],
    "decoder_channels": [8, 8, 8, 8],
    "decoder_blocks": [1, 1, 1, 1],
}
# Photos of val.tar whose name at their source is their ImageNet class, numbered as usual from 0.
CLASSES = {
    **{"imagenet_sample_00553": 0, "imagenet_sample_00492": 283, "imagenet_sample_00537": 925},
    **{"imagenet_sample_00324": 532, "imagenet_sample_00211": 698, "imagenet_sample_00731": 214},
    **{"imagenet_sample_00524": 140, "imagenet_sample_00269": 155, "imagenet_sample_00542": 3},
    **{"imagenet_sample_00819": 511, "imagenet_sample_00641": 504, "imagenet_sample_00310": 702},
    **{"imagenet_sample_00414": 312, "imagenet_sample_00817": 964, "imagenet_sample_00283": 838},
    **{"imagenet_sample_00427": 336, "imagen_00594": 309, "imagen_00261": 388},
    **{"imagen_00263": 965, "imagen_00250": 742, "imagen_00166": 957, "imagen_00163": 401},
    **{"imagen_00077": 761, "imagen_00317": 414, "imagen_00689": 931, "imagen_00692": 842},
}


@pytest.fixture(scope="module")
def judge(shared_weights: Path) -> Mobilenet:
    """The real net, or skip."""
    if not (shared_weights / "mobilenet_v2.safetensors").is_file():
        pytest.skip(f"{shared_weights} has no mobilenet_v2.safetensors")
    net = perceptual("mobilenet", shared_weights)
    assert isinstance(net, Mobilenet)
    return net


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> dict[str, Image.Image]:
    """Centre squares of photos whose class is known, 224 x 224, by name; or skip."""
    photos = {}
    for name, pixels in read_photos(shared_data / "val.tar"):
        if Path(name).stem in CLASSES:
            photo = Image.fromarray(pixels)
            side = min(photo.size)
            left, top = ((size - side) // 2 for size in photo.size)
            square = photo.crop((left, top, left + side, top + side))
            photos[Path(name).stem] = square.resize((224, 224), Image.Resampling.BICUBIC)
    if not photos:
        pytest.skip(f"{shared_data / 'val.tar'} has none of the labelled photos")
    return photos


def tensor(photo: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(photo, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


@torch.inference_mode()
def test_the_net_knows_what_photos_show(judge: Mobilenet, labelled: dict[str, Image.Image]) -> None:
    hits = 0
    for name, photo in labelled.items():
        logits = judge.logits(tensor(photo))
        assert logits.shape == (1, 1001)
        hits += int(logits.argmax()) == CLASSES[name] + 1  # class 0 is "background"
    assert hits >= 0.8 * len(labelled)  # 23 of 26


@torch.inference_mode()
def test_the_distance_grows_with_blur(judge: Mobilenet, labelled: dict[str, Image.Image]) -> None:
    photo = next(iter(labelled.values()))
    truth = tensor(photo)
    assert [tuple(depth.shape[1:]) for depth in judge.features(truth)] == [
        *((24, 56, 56), (32, 28, 28), (96, 14, 14), (320, 7, 7))
    ]
    blurred = [tensor(photo.filter(ImageFilter.GaussianBlur(radius))) for radius in (0.5, 1, 2, 4)]
    distances = [float(judge(truth, other)) for other in (truth, *blurred)]
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert 0 < distances[1] < 0.5 * distances[-1]
    assert not any(parameter.requires_grad for parameter in judge.parameters())


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (15, 8)])
def test_halving_pads_as_tensorflow_does(size: tuple[int, int]) -> None:
    """Against TensorFlow's own rule: the sum of both ends' padding, its smaller half in front."""
    torch.manual_seed(0)
    conv, x = Halving(2, 2, groups=1), torch.randn(1, 2, *size)
    height, width = (-(-side // 2) for side in size)
    wanted = torch.empty(1, 2, height, width)
    top, left = (max((-(-side // 2) - 1) * 2 + 3 - side, 0) // 2 for side in size)
    padded = F.pad(x, (left, 3, top, 3))
    for row in range(height):
        for column in range(width):
            window = padded[0, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            wanted[0, :, row, column] = (conv.weight * window).sum((1, 2, 3)) + conv.bias
    assert torch.allclose(conv(x), wanted, atol=1e-5)


def test_missing_and_foreign_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mobilenet_v2"):
        perceptual("mobilenet", tmp_path)
    state = {
        f"features.{key}": value.half() for key, value in mobilenet._layers().state_dict().items()
    }
    save_file(state, tmp_path / "mobilenet_v2.safetensors")
    with pytest.raises(InputError, match="not the weights of MobileNetV2"):
        perceptual("mobilenet", tmp_path)


def test_the_judge_is_measured_and_never_trained_on() -> None:
    assert METRICS == ("squeeze", "vgg19", "mobilenet", "alex")
    assert "mobilenet" not in TRAINING_LOSSES


def test_a_row_of_all_metrics_is_one_line() -> None:
    row = Row("base", 9, 4096, 40, dict.fromkeys(METRICS, 0.25), 20.0, 1.0, 12.0, 500.0)
    assert str(row) == (
        "base   K 4096 squeeze 0.2500 vgg19 0.2500 mobilenet 0.2500 alex 0.2500 psnr 20.00 dB "
        "used 100.0% entropy 12.00 bits decode 500 ms/MP"
    )


def test_a_model_with_a_base_codebook_only_is_measured_as_base(
    photos: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = Tokenizer(build("light", CONFIG), torch.randn(64, 4))
    path = tmp_path / "ema.safetensors"
    checkpoint.save_ema(model, path)
    pictures = tmp_path / "pictures"
    arguments = ["measure", str(path), "--data", str(photos), "--weights", str(tmp_path)]
    arguments += ["--tiers", "1,2", "--metrics", "", "--crop", "32", "--pictures", str(pictures)]
    result = CliRunner().invoke(train, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (row,) = map(json.loads, result.stdout.splitlines())
    assert (row["schema"], row["name"], row["tier"]) == ("vqcodec.train.measure/1", "base", 9)
    assert (row["codebook_size"], row["n_photos"]) == (64, 3)
    assert sorted(file.name for file in pictures.iterdir()) == [f"{n}-base.png" for n in range(3)]


def test_only_tiers_that_have_a_codebook_are_measured(photos: Path, tiny_pack: Path) -> None:
    whole = load(store.find(tiny_pack), device="cpu")
    fewer = {tier: whole.codebooks[tier] for tier in sorted(whole.codebooks)[:2]}
    nets = Nets(whole.net, fewer, torch.device("cpu"))
    rows = measure(nets, photos, photos, tiers=range(1, 10), most=1, crop_px=32, metrics=[])
    assert [row.tier for row in rows] == sorted(fewer)
    assert [row.name for row in rows] == [f"tier {tier}" for tier in fewer]
    none = Nets(whole.net, {}, torch.device("cpu"))
    with pytest.raises(InputError, match="no codebook"):
        measure(none, photos, photos, tiers=[1], metrics=[])


def test_packs_are_measured_as_they_code(
    photos: Path, tiny_context_pack: Path, tiny_pack: Path
) -> None:
    arguments = ["--data", str(photos), "--weights", str(photos), "--metrics", "", "--json"]

    def bits(model: Path | str, *more: str) -> list[float]:
        asked = ["measure", str(model), *arguments, "--tiers", "4,6", *more]
        result = CliRunner().invoke(train, asked, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return [json.loads(line)["coded_bits"] for line in result.stdout.splitlines()]

    nearest, cheaper = bits(tiny_context_pack, "--rdo", "0"), bits(tiny_context_pack, "--rdo", "9")
    assert all(b < a for a, b in zip(nearest, cheaper, strict=True))
    assert all(a <= b for a, b in zip(bits(tiny_pack), (6, 8), strict=True))

"""A training recipe: a TOML file to a checked dataclass.

Everything that decides what a model becomes stands here, apart from what the machine gives (data,
time, threads), which comes by option. A key that is not known is an error: a misspelt one would be
ignored.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from vqcodec.errors import InputError
from vqcodec.packs import store
from vqcodec.training.map_recipes import Context, RestorerRecipe

TRAINING_LOSSES = ("squeeze", "vgg19")  # "alex" is the yardstick and never a loss
STAGES = ("base", "adversarial", "tiers")  # in the order in which they run
CHOICES = {
    "critic_on": ("patch", *TRAINING_LOSSES),
    "critic_weight": ("fixed", "adaptive"),
    "critic_check": ("lecam", "r1", "none"),
    "tune": ("everything", "decoder", "quantiser", "codebooks"),
    "tiers_from": ("words", "used words", "latents"),
}


@dataclass(frozen=True)
class Stage:
    """One run of the loop. Shares are of the budget, so that a run fills it on any machine.

    Attributes:
        minutes: time budget, unless an option gives another.
        crop_px: side of the training crops, a multiple of the stride.
        batch: crops per step; as many as there are tiers let each step see each tier once.
        learning_rate: AdamW's, before the decay.
        tier_rate: learning rate of what each tier has for itself (FiLM tables, codebooks), as a
            multiple of the nets'.
        warmup_steps: steps of linear warm-up.
        decay_from: share after which the learning rate follows a cosine down to 2 %.
        ema: decay of the averaged weights, the ones that are kept.
        l1: weight of the mean absolute difference.
        colour: weight of the mean absolute difference of means over 16 x 16 pixels, which
            perceptual nets hardly look at.
        commitment: weight of the SimVQ loss.
        perceptual: weight per feature net, "squeeze" (LPIPS) or "vgg19".
        window_px: side of the random window a feature net looks at; 0 or missing is the whole crop.
        critic: weight of the critic's loss for the decoder; 0 trains without a critic.
        critic_on: what the critic sees: "patch" (the picture) or the features of a net of
            `perceptual`, in that net's window.
        critic_weight: "fixed", or "adaptive": `critic` times the ratio of the other losses'
            gradient to the critic's, both at the picture.
        critic_check: against a critic that wins: "lecam", "r1" or "none".
        critic_from: share after which the critic is used; it learns from 2 % earlier.
        critic_window_px: side of the random window of a critic on "patch"; 0 is the whole crop.
        critic_rate: the critic's learning rate as a multiple of the nets'.
        lecam: weight of the LeCam regulariser.
        r1: weight of the R1 gradient penalty (Mescheder et al. 2018).
        plain_until: share to train without quantisation before the codebook is fitted (from
            nothing).
        tune: what learns: "everything", "decoder" (and what is in "quantiser"), "quantiser" (the
            codebooks and taming's 1x1 convolutions around them, as the paper tunes) or "codebooks"
            alone.
        seed: of crops, windows and weights.
    """

    minutes: float = 60.0
    crop_px: int = 128
    batch: int = 9
    learning_rate: float = 2e-4
    tier_rate: float = 1.0
    warmup_steps: int = 40
    decay_from: float = 0.5
    ema: float = 0.995
    l1: float = 1.0
    colour: float = 0.0
    commitment: float = 1.0
    perceptual: Mapping[str, float] = field(default_factory=dict)
    window_px: Mapping[str, int] = field(default_factory=dict)
    critic: float = 0.0
    critic_on: str = "patch"
    critic_weight: str = "fixed"
    critic_check: str = "lecam"
    critic_from: float = 0.0
    critic_window_px: int = 0
    critic_rate: float = 1.0
    lecam: float = 0.01
    r1: float = 1.0
    plain_until: float = 0.0
    tune: str = "everything"
    seed: int = 0


@dataclass(frozen=True)
class Codebooks:
    """How codebooks are made.

    Attributes:
        base_size: K of the base codebook.
        base_tier: the tier condition under which the base codebook is trained.
        latents: living latents to collect per tier for fitting and for usage counts; to codebooks
            above 2048 words 16 per word are fitted at least.
        n_init: restarts of k-means per tier.
        tiers_from: what is clustered to a tier's codebook: "words" of the base (the paper's way),
            "used words" (weighted by how often they are used under the tier's condition), or
            "latents" (the encoder's output under that condition).
        seed: of k-means.
    """

    base_size: int = 4096
    base_tier: int = 9
    latents: int = 16384
    n_init: int = 4
    tiers_from: str = "used words"
    seed: int = 0


@dataclass(frozen=True)
class Recipe:
    """A whole recipe; see models/recipes for examples.

    Attributes:
        name: of the pack.
        summary: one line for the manifest.
        licence: of the weights, for the manifest.
        default_tier: for the manifest; 0 takes tier 8, or the highest of fewer tiers.
        net_kind: `net.kind` of the manifest; empty takes that of the start weights.
        net_config: `net.config` of the manifest.
        codebooks: the table `[codebooks]`.
        context: the table `[context]`, or None.
        restorer: the table `[restorer]`, or None.
        stages: the tables `[base]`, `[adversarial]` and `[tiers]`, those that the recipe has.
        training: the table `[training]`, copied into the manifest (data sources, free keys).
        text: the file, which a run keeps a copy of.
    """

    name: str
    summary: str = ""
    licence: str = ""
    default_tier: int = 0
    net_kind: str = ""
    net_config: Mapping[str, Any] = field(default_factory=dict)
    codebooks: Codebooks = field(default_factory=Codebooks)
    context: Context | None = None
    restorer: RestorerRecipe | None = None
    stages: Mapping[str, Stage] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


def find_recipe(name_or_path: str | Path) -> Path:
    """Find a recipe by its file, or by its name among those that come with the models.

    Raises:
        InputError: there is none.
    """
    path = Path(name_or_path)
    if path.is_file() or path.suffix == ".toml":
        return path
    folders = [folder / "recipes" for folder in store.search_folders()]
    for folder in folders:
        if (folder / f"{path.name}.toml").is_file():
            return folder / f"{path.name}.toml"
    known = sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
    raise InputError(
        f"recipe '{name_or_path}' not found; known: {', '.join(known) or 'none'}. Give a name or "
        "a TOML file.",
        path=path,
    )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: the file is missing or no TOML, a key is unknown, a value has the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}.", path=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error}).", path=path) from error
    net = table.pop("net", {})
    stages = {
        key: _take(Stage, table.pop(key), f"{path}: [{key}]") for key in STAGES if key in table
    }
    codebooks = _take(Codebooks, table.pop("codebooks", {}), f"{path}: [codebooks]")
    context = _map_table(Context, table, "context", path)
    restorer = _map_table(RestorerRecipe, table, "restorer", path)
    known = {"kind": "net_kind", "config": "net_config"}
    for key in net.keys() - known.keys():
        raise InputError(f"{path}: [net] has the unknown key '{key}'.", field=key)
    table |= {known[key]: value for key, value in net.items()}
    if "name" not in table:
        raise InputError(f"{path}: 'name' is missing.", field="name")
    recipe: Recipe = _take(
        Recipe,
        table,
        str(path),
        codebooks=codebooks,
        context=context,
        restorer=restorer,
        stages=stages,
        text=text,
    )
    for key, stage in stages.items():
        _check(stage, f"{path}: [{key}]")
    return recipe


def _map_table(kind: type, table: dict[str, Any], name: str, path: Path) -> Any:
    """Take a table of what learns from index maps, where there is one."""
    values = table.pop(name, None)
    if values is None:
        return None
    made = _take(kind, values, f"{path}: [{name}]")
    try:
        made.check()
    except ValueError as error:
        raise InputError(f"{path}: [{name}]: {error}.") from None
    return made


def _take(kind: type, table: Mapping[str, Any], place: str, **more: Any) -> Any:
    """Make a dataclass from a table, each value of the type of its default."""
    known = {item.name: item for item in fields(kind) if item.name not in more}
    out: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise InputError(f"{place}: unknown key '{key}'; known: {', '.join(known)}.", field=key)
        wanted = str(known[key].type).split("[")[0]
        good = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
            "Mapping": isinstance(value, dict),
        }[wanted]
        if not good:
            raise InputError(f"{place}: '{key}' is {value!r}; wanted {wanted}.", field=key)
        if key in CHOICES and value not in CHOICES[key]:
            known = ", ".join(repr(choice) for choice in CHOICES[key])
            raise InputError(f"{place}: '{key}' is {value!r}; known: {known}.", field=key)
        out[key] = float(value) if wanted == "float" else value
    return kind(**out, **more)


def _check(stage: Stage, place: str) -> None:
    for name in [*stage.perceptual, *stage.window_px]:
        if name not in TRAINING_LOSSES:
            known = ", ".join(TRAINING_LOSSES)
            raise InputError(f"{place}: perceptual net '{name}' is not one of {known}.", field=name)
    if stage.critic and stage.critic_on not in ("patch", *stage.perceptual):
        raise InputError(
            f"{place}: the critic looks at '{stage.critic_on}', which 'perceptual' does not name.",
            field="critic_on",
        )
    if stage.crop_px < 16 or stage.crop_px % 16 or stage.batch < 1 or stage.minutes <= 0:
        raise InputError(
            f"{place}: crop_px must be a multiple of 16, batch and minutes above 0.", field=place
        )
    for name, side in {**stage.window_px, "critic": stage.critic_window_px}.items():
        if not 0 <= side <= stage.crop_px:
            raise InputError(f"{place}: the window of '{name}' is larger than a crop.", field=name)

"""The set-up files agree with each other and keep torchvision out."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vqcodec import viewing

CORE = {"click", "constriction", "numpy", "pillow", "reedsolo", "safetensors"}
BACKENDS = {"torch": {"torch"}, "onnx": {"onnx", "onnxruntime"}}  # extra: what it brings


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements(project: dict) -> list[Requirement]:
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def test_the_core_is_lean(project: dict) -> None:
    assert {Requirement(line).name for line in project["dependencies"]} == CORE


def test_each_backend_is_an_extra_and_what_needs_torch_brings_it(project: dict) -> None:
    extras = {
        extra: {Requirement(line).name for line in lines}
        for extra, lines in project["optional-dependencies"].items()
    }
    assert {extra: extras[extra] for extra in BACKENDS} == BACKENDS
    brings = {
        extra: {
            inner
            for line in lines
            if Requirement(line).name == project["name"]
            for inner in Requirement(line).extras
        }
        for extra, lines in project["optional-dependencies"].items()
    }
    for extra in ("taming", "train", "measure", "demo"):
        assert "torch" in brings[extra], extra
    assert "measure" in brings["eval"]
    assert brings["dev"] >= {"measure", "onnx"}


def test_every_requirement_is_pinned_inside_its_bounds(project: dict, pins: dict[str, str]) -> None:
    for requirement in requirements(project):
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_pins_name_no_local_build(pins: dict[str, str]) -> None:
    assert all(re.fullmatch(r"[0-9.]+(post[0-9]+)?", version) for version in pins.values())


def test_the_environment_follows_the_pins_and_has_no_torchvision(pins: dict[str, str]) -> None:
    for name in CORE | {"torch", "onnx", "onnxruntime"}:
        installed = metadata.version(name).partition("+")[0]
        if installed != pins[name]:
            pytest.skip(f"{name} {installed} here, constraints.txt has {pins[name]}")
    assert importlib.util.find_spec("torchvision") is None


def test_make_lists_every_target(root: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True)
    shown = set(re.findall(r"^  make ([a-z-]+) +\S", done.stdout, re.MULTILINE))
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert shown == set(phony.group(1).split())


def test_the_check_script_parses(root: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    subprocess.run([bash, "-n", str(root / ".ci" / "run")], check=True)


def test_the_version_is_written_once(root: Path, project: dict) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (root / "vqcodec").rglob("*.py"))
    assert f'"{project["version"]}"' not in text


def test_the_wheel_takes_the_page_to_where_it_is_looked_for(root: Path) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    hatch = tomllib.loads(text)["tool"]["hatch"]["build"]
    sources = {root / to: root / of for of, to in hatch["targets"]["wheel"]["sources"].items()}
    in_wheel, in_checkout = viewing.PLACES
    assert sources[in_wheel] == in_checkout
    assert hatch["artifacts"] == [f"/{in_checkout.relative_to(root).as_posix()}/**"]
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="pip install hatchling")
    files = {
        file.distribution_path for file in wheel.WheelBuilder(str(root)).recurse_included_files()
    }
    assert "vqcodec/viewing.py" in files
    assert ("vqcodec/_viewer/index.html" in files) == (in_checkout / "index.html").is_file()
    assert not [name for name in files if "node_modules" in name]

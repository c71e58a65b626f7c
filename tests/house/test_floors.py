"""Floors, circles, late torch, file length; what eval may use; the document's table of floors."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import vqcodec

PACKAGE = "vqcodec"
ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 300
# Bottom first. A unit may import units on lower floors and itself, never a sibling on its floor.
FLOORS: list[set[str]] = [
    {"errors"},
    {"bitstream", "entropy", "indices", "pixels"},
    {
        "payload",
        "packing",
        "fec",
        "packs",
        "inspection",
        "channel",
        "ratecontrol",
        "tiles",
        "backends",
    },
    {"verification", "transport", "viewing", "reception", "nets", "onnx", "rdo"},
    {"painting"},
    {"codec"},
    {"__init__"},
    {"training", "pillow"},
    {"compression", "importing"},
    {"cli"},
    {"__main__"},
]
STDLIB_ONLY = {"errors", "bitstream", "inspection", "channel", "transport", "viewing", "__init__"}
TORCH_UNITS = {"nets", "training", "compression", "importing"}  # the only ones that import torch


def unit_of(dotted: str) -> str:
    """Name the unit that a module belongs to."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def module_name(path: Path, root: Path) -> str:
    """Dotted name of a file of the package."""
    parts = (PACKAGE, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def targets(node: ast.AST, module: str, is_package: bool, known: set[str]) -> list[str]:
    """Dotted names an import statement reaches, relative imports resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        here = module.split(".")
        if not is_package:
            here = here[:-1]
        here = here[: len(here) - (node.level - 1)]
        base = ".".join([*here, *([base] if base else [])])
    return [f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names]


def lazy_nodes(tree: ast.Module) -> set[ast.AST]:
    """Everything that runs only when a function is called, or never (`if TYPE_CHECKING`)."""
    out: set[ast.AST] = set()
    for node in ast.walk(tree):
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            out.update(ast.walk(node))
        elif is_typing:
            out.update(inner for part in node.body for inner in ast.walk(part))
    return out


def check(root: Path) -> list[str]:
    """Return what breaks the rules in a package's folder, one line each."""
    files = sorted(root.rglob("*.py"))
    names = {module_name(p, root): p for p in files}
    known = set(names)
    floor = {unit: n for n, units in enumerate(FLOORS) for unit in units}
    faults: list[str] = []
    edges: dict[str, set[str]] = {m: set() for m in names}
    for module, path in names.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        mine = unit_of(module)
        if len(text.splitlines()) > MAX_LINES:
            faults.append(f"{module}: {len(text.splitlines())} lines, at most {MAX_LINES}")
        if mine not in floor:
            faults.append(f"{module}: no floor is named for '{mine}'")
            continue
        inner = lazy_nodes(tree)
        for node in ast.walk(tree):
            for target in targets(node, module, path.name == "__init__.py", known):
                top = target.split(".")[0]
                lazy = node in inner
                if top == PACKAGE:
                    theirs = unit_of(target)
                    if target in known and target != module and not lazy:
                        edges[module].add(target)
                    if theirs != mine and floor.get(theirs, 99) >= floor[mine]:
                        faults.append(
                            f"{module}:{node.lineno} imports {target}, not on a lower floor"
                        )
                elif top == "torch" and not lazy and mine not in TORCH_UNITS:
                    faults.append(f"{module}:{node.lineno} imports torch at module level")
                elif mine in STDLIB_ONLY and not lazy and top not in sys.stdlib_module_names:
                    faults.append(f"{module}:{node.lineno} imports {top}; this unit is stdlib only")
    return faults + circles(edges)


def circles(edges: dict[str, set[str]]) -> list[str]:
    """Return the import circles among modules."""
    state: dict[str, int] = {}
    faults: list[str] = []

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if state.get(module) == 1:
            faults.append("circle: " + " -> ".join([*trail[trail.index(module) :], module]))
        if state.get(module):
            return
        state[module] = 1
        for other in sorted(edges[module]):
            visit(other, (*trail, module))
        state[module] = 2

    for module in edges:
        visit(module, ())
    return faults


def test_the_package_keeps_its_floors() -> None:
    assert check(ROOT / PACKAGE) == []


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"bitstream/a.py": "import vqcodec.nets"}, "not on a lower floor"),
        ({"entropy/a.py": "from vqcodec.indices import scan"}, "not on a lower floor"),
        ({"codec.py": "import torch"}, "imports torch at module level"),
        ({"inspection.py": "import numpy"}, "stdlib only"),
        ({"utils.py": ""}, "no floor is named"),
        ({"errors.py": "\n" * 301}, "at most 300"),
        (
            {"nets/a.py": "from vqcodec.nets import b", "nets/b.py": "from vqcodec.nets import a"},
            "circle",
        ),
    ],
)
def test_the_check_finds_a_broken_rule(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert any(fault in found for found in check(tmp_path))


def test_the_document_shows_these_floors() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    shown: dict[int, set[str]] = {}
    for number, unit in re.findall(r"^\| (\d) \| `(\w+)(?:\.py|/)` \|", text, re.MULTILINE):
        shown.setdefault(int(number), set()).add(unit)
    told = {number: units for number, units in enumerate(FLOORS) if units != {"__main__"}}
    assert shown == told


EVAL = ROOT / "eval"
# What eval may import of the package besides `vqcodec` itself: a user's way in, so that files are
# made as users make them.
EVAL_ALSO = {"codecs/vqc.py": {"vqcodec.cli.main"}}


def foreign(text: str, path: str) -> list[str]:
    """Return what a file of eval imports of the package although it is not public."""
    nodes = list(ast.walk(ast.parse(text)))
    allowed = {PACKAGE, *EVAL_ALSO.get(path, ())}
    found = [target for node in nodes for target in targets(node, "eval", False, set())]
    rooms = [
        f"{PACKAGE}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE
        for alias in node.names
        if alias.name not in vqcodec.__all__
    ]
    return [t for t in found if t.split(".")[0] == PACKAGE and t not in allowed] + rooms


@pytest.mark.parametrize(
    "path", sorted(path.relative_to(EVAL).as_posix() for path in EVAL.rglob("*.py"))
)
def test_eval_uses_only_public_names(path: str) -> None:
    text = (EVAL / path).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert foreign(text, path) == []


def test_the_check_of_eval_finds_private_names() -> None:
    private = "import vqcodec\nfrom vqcodec import encode\nimport vqcodec.codec\n"
    assert foreign(private, "rd.py") == ["vqcodec.codec"]
    assert foreign("from vqcodec import encode, packs", "rd.py") == ["vqcodec.packs"]
    inside = "def f():\n    from vqcodec.cli.main import main\n"
    assert foreign(inside, "rd.py") == ["vqcodec.cli.main"]
    assert foreign(inside, "codecs/vqc.py") == []
    assert foreign("from vqcodec.cli import main", "codecs/vqc.py") == ["vqcodec.cli"]
    # An exception that is no longer needed goes.
    for path, names in EVAL_ALSO.items():
        text = (EVAL / path).read_text(encoding="utf-8")
        assert all(name in text for name in names)

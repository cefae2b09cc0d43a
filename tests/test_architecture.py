"""The house plan, read off the source: who imports whom, what stays light, what must not appear anywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROWS: list[dict[str, set[str]]] = [
    {"cli": {"catalog", "doctor"}, "catalog": set(), "doctor": {"catalog"}},
    {"compare": set()},
    {"studies": set()},
    {"training": set()},
    {"agents": set()},
    {"critics": set(), "optim": set(), "diagnostics": set(), "suites": set()},
    {"linalg": {"views"}, "views": set()},
    {"config": {"registry"}, "registry": set()},
]
"""Room -> the rooms of its own row that it may import. All rows below are open to it, none above."""

BANNED_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "th.load", "yaml.load", "os.system", "os.popen"}
WAITS = {"item", "cpu", "numpy", "tolist", "to"}
"""Tensor methods that wait for the device, or move a tensor to another one."""


def sources() -> dict[str, Path]:
    """Module name -> file, for all of smoothrl, agents included."""
    found = {}
    for package, folder in (("smoothrl", ROOT / "smoothrl"), ("smoothrl.agents", ROOT / "agents")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


SOURCES = sources()
TREES = {module: ast.parse(path.read_text(), str(path)) for module, path in SOURCES.items()}


def room(module: str) -> str:
    """`smoothrl.config.loader` -> `config`; the package itself has no room."""
    return module.split(".")[1] if "." in module else ""


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Every module that this one imports anywhere, in functions and for type checkers too, and the line."""
    is_package = SOURCES[module].name == "__init__.py"
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: None if is_package and node.level == 1 else -node.level or None]
            source = ".".join([*parents, *filter(None, [node.module])] if node.level else [node.module or ""])
            for alias in node.names:  # `from smoothrl import registry` imports smoothrl.registry
                submodule = f"{source}.{alias.name}"
                yield (submodule if submodule in SOURCES else source), node.lineno


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_every_module_is_in_a_room_of_the_plan() -> None:
    rooms = {room for row in ROWS for room in row}
    assert {room(module) for module in SOURCES} - {""} == rooms


def test_rooms_import_only_from_below() -> None:
    allowed = {
        name: {name, *neighbors, *(below for lower in ROWS[i + 1 :] for below in lower)}
        for i, row in enumerate(ROWS)
        for name, neighbors in row.items()
    }
    allowed[""] = set()  # smoothrl/__init__.py is imported first, whatever is imported: it stays empty
    wrong = [
        f"{SOURCES[module].relative_to(ROOT)}:{line} imports {target}: {room(module) or 'smoothrl'} may not import "
        f"{room(target)}"
        for module in SOURCES
        for target, line in imports(module)
        if target.partition(".")[0] == "smoothrl" and room(target) and room(target) not in allowed[room(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_agent_is_imported_statically() -> None:
    """Configs name agents, and the registry finds them: a new file in agents/ must need no change anywhere else."""
    wrong = [
        f"{SOURCES[module].relative_to(ROOT)}:{line} imports {target}"
        for module in SOURCES
        if room(module) != "agents"
        for target, line in imports(module)
        if target.startswith(("smoothrl.agents", "agents"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "module",
    ["smoothrl", "smoothrl.registry", "smoothrl.config", "smoothrl.suites", "smoothrl.cli", "smoothrl.catalog",
     "smoothrl.doctor", "smoothrl.compare", "smoothrl.studies", "smoothrl.training", "smoothrl.views",
     "smoothrl.critics", "smoothrl.optim", "smoothrl.diagnostics"],
)  # fmt: skip
def test_importing_brings_no_torch(module: str) -> None:
    """`--help`, `show` and every refusal come at once because nothing on their way waits for torch."""
    code = f"import sys, {module}; print(*{{'torch', 'stable_baselines3', 'tensorboard'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", SOURCES)
def test_no_code_in_data(module: str) -> None:
    """Nothing of ours unpickles, evaluates a string, or runs one in a shell."""
    wrong = [
        f"line {line}: import {name}" for name, line in imports(module) if name.partition(".")[0] in BANNED_MODULES
    ]
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Call):
            name = dotted(node.func).removeprefix("builtins.")
            shell = any(
                keyword.arg == "shell"
                and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
                for keyword in node.keywords
            )
            if name in BANNED_CALLS or shell:
                wrong.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert not wrong


def test_public_names_have_docstrings() -> None:
    """Every class and function of a room that users import from, private modules included: they are read too."""
    rooms = {room for row in ROWS for room in row} - {"cli", "catalog", "doctor"}
    missing = [
        f"{SOURCES[module].relative_to(ROOT)}:{node.lineno} {node.name}"
        for module, tree in TREES.items()
        if room(module) in rooms
        for node in tree.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not missing, "\n".join(missing)
    undocumented = [str(SOURCES[module]) for module, tree in TREES.items() if not ast.get_docstring(tree)]
    assert not undocumented


def defines(module: str, function: str) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in ast.walk(TREES[module]))


@pytest.mark.parametrize("agent", [m for m in SOURCES if m.startswith("smoothrl.agents.") and defines(m, "update")])
def test_an_update_contains_no_wait_for_the_device(agent: str) -> None:
    """`update` and every method it calls, directly or not. What a call into torch does is tested in conformance/."""
    methods: dict[str, list[ast.FunctionDef]] = {}
    for module in (agent, "smoothrl.agents._smooth_agent", "smoothrl.agents._families"):
        for node in ast.walk(TREES[module]):
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef):
                        methods.setdefault(method.name, []).append(method)

    reached: set[str] = set()
    todo = ["update"]
    while todo:
        name = todo.pop()
        if name in methods and name not in reached:
            reached.add(name)
            names = {
                dotted(node) for method in methods[name] for node in ast.walk(method) if isinstance(node, ast.expr)
            }
            todo += [name.removeprefix("self.") for name in names if name.startswith("self.")]
    assert {"update", "critic_loss", "_critic_penalty", "_descend", "_advance_critic"} <= reached

    waits = [
        f"{name}, line {node.lineno}: {ast.unparse(node)}"
        for name in reached
        for method in methods[name]
        for node in ast.walk(method)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WAITS
    ]
    assert not waits


def test_regularizers_and_adaptations_contain_no_wait_for_the_device() -> None:
    """They run inside the update; only building one (`leading`, on the device once) may wait."""
    waits = [
        f"{SOURCES[module].relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for module, tree in TREES.items()
        if room(module) in {"critics", "optim", "linalg"}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WAITS - {"to"}
    ]
    assert not waits

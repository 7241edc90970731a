"""Who may import whom, and other promises that no type checker enforces."""

from __future__ import annotations

import ast
import glob
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("agent", "envs", "tasks")
SOURCES = sorted(
    path for top in TOPS for path in (ROOT / top).rglob("*.py") if "assets" not in path.relative_to(ROOT).parts
)
SHARED = {f"deskbench.envs.{name}" for name in ("wire", "actions", "keys", "wait", "pipe")}
ON_THE_DESKTOP = {
    "Xlib",
    "mss",
    "numpy",
    "PIL",
    "jeepney",
    "gi",
    "pyautogui",
    "Quartz",
    "AppKit",
    "ApplicationServices",
}


AT_THE_TOP = {"agent/_root": "deskbench", "agent/_verifiers": "deskbench_verifiers"}
"""Packages at the top of an installation, and where they are."""


def module_of(path: Path) -> str:
    if (name := AT_THE_TOP.get(path.parent.relative_to(ROOT).as_posix())) is not None:
        return name
    return "deskbench." + path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too; `from a import b` gives a.b if that is a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


MODULES = {module_of(path) for path in SOURCES}


def ours(path: Path) -> Iterator[str]:
    return (name for name in imports(path) if name.startswith("deskbench."))


def of(prefix: str) -> list[Path]:
    return [path for path in SOURCES if path.relative_to(ROOT).as_posix().startswith(prefix)]


def allowed(prefixes: set[str], name: str) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def wrong_imports(paths: list[Path], prefixes: set[str]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {name}" for path in paths for name in ours(path) if not allowed(prefixes, name)]


def test_envs_knows_neither_tasks_nor_agent() -> None:
    assert wrong_imports(of("envs/"), {"deskbench.envs"}) == []


def test_tasks_do_not_know_the_agent() -> None:
    assert wrong_imports(of("tasks/"), {"deskbench.envs", "deskbench.tasks"}) == []


def test_metrics_are_pure_functions_of_values_and_files() -> None:
    pure = {"deskbench.tasks.metrics", "deskbench.tasks.registry", "deskbench.envs.errors"}
    assert wrong_imports(of("tasks/metrics/"), pure) == []


def test_an_agent_cannot_reach_the_desktop_the_checks_or_the_expected_values() -> None:
    seen = {
        f"deskbench.envs.{name}"
        for name in ("types", "actions", "targets", "tree", "errors", "foreign", "wait", "keys", "redact")
    }
    rooms = ("agents", "models", "programs", "prompting", "replies")
    own = {f"deskbench.agent.{name}" for name in ("base", *rooms)}
    paths = [path for name in rooms for path in of(f"agent/{name}/")]
    assert wrong_imports(paths, seen | own) == []


def test_the_server_can_be_copied_into_a_foreign_machine() -> None:
    paths = of("envs/server/")
    assert wrong_imports(paths, SHARED | {"deskbench.envs.server"}) == []
    known = set(sys.stdlib_module_names) | ON_THE_DESKTOP | {"deskbench"}
    foreign = [f"{p.name}: {name}" for p in paths for name in imports(p) if name.partition(".")[0] not in known]
    assert foreign == []


def test_what_the_server_shares_needs_the_standard_library_alone() -> None:
    known = set(sys.stdlib_module_names)
    for module in SHARED:
        path = ROOT / (module.removeprefix("deskbench.").replace(".", "/") + ".py")
        foreign = {n for n in imports(path) if n.partition(".")[0] not in known and not allowed(SHARED, n)}
        assert foreign <= {"deskbench.envs"}, path


def test_there_is_no_import_cycle() -> None:
    """Counts every import, including those inside functions and those for types only."""
    graph = {module_of(path): set(ours(path)) - {module_of(path)} for path in SOURCES}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above[above.index(module) :], module))
        if module not in done:
            for inner in sorted(graph.get(module, ())):
                visit(inner, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("top", ["agent", "envs"])
def test_a_newcomer_can_look_over_the_top(top: str) -> None:
    assert len([path for path in SOURCES if path.parent == ROOT / top and path.name != "__init__.py"]) <= 12


def test_the_packages_that_are_shipped_are_the_packages_that_are_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    there = {module_of(path) for path in SOURCES if path.name == "__init__.py"}
    assert set(settings["packages"]) == there | {"deskbench.docker"}  # files for building images, without code


def test_every_data_file_is_shipped() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = {
        (ROOT / package.removeprefix("deskbench.") / name).resolve()
        for package, globs in patterns.items()
        for pattern in globs
        for name in glob.glob(  # noqa: PTH207  (setuptools uses this one, which leaves out what begins with a dot)
            pattern, root_dir=ROOT / package.removeprefix("deskbench."), recursive=True
        )
    }
    there = {
        path
        for top in (*TOPS, "docker")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }
    assert there - shipped == set()


LAYOUT = re.compile(r"run\.json|ledger\.sqlite|episode\.json|steps\.jsonl")
LAYOUT_FOLDERS = {"episodes", "frames", "files"}


def spelled(path: Path) -> Iterator[tuple[int, str]]:
    """Names of a run folder's files in a file's code: strings that contain one, and paths joined from one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield from ((node.lineno, name) for name in LAYOUT.findall(node.value))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            yield from ((node.lineno, name) for name in LAYOUT_FOLDERS & {node.right.value})


def test_one_room_knows_what_is_where_in_a_run_folder() -> None:
    own = set(of("agent/runs/"))
    wrong = [f"{path}:{line}: {name}" for path in of("agent/") if path not in own for line, name in spelled(path)]
    assert wrong == []
    assert {name for path in own for _, name in spelled(path)} == {
        *LAYOUT.pattern.replace("\\", "").split("|"),
        *LAYOUT_FOLDERS,
    }


def calls(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_one_file_sleeps() -> None:
    asleep = {path for path in SOURCES for _, name in calls(path) if name == "time.sleep"}
    assert asleep == {ROOT / "envs/wait.py"}


@pytest.mark.parametrize("forbidden", ["eval", "exec", "compile", "os.system", "pickle.loads", "pickle.load"])
def test_nothing_is_evaluated(forbidden: str) -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in SOURCES for line, name in calls(path) if name == forbidden]
    assert found == []


def test_functions_fit_on_a_screen() -> None:
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    long.append(f"{path.relative_to(ROOT)}:{node.name} has {lines} lines")
    assert long == []

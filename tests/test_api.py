"""docs/api.md: every name on it can be imported, and its examples run as they are."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deskbench.agent import base
from deskbench.envs import errors, types

PAGE = (Path(__file__).parents[1] / "docs/api.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `([\w.]+)`\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
EXAMPLES = [
    example for section in SECTIONS.values() for example in re.findall(r"```python\n(.*?)```", section, re.DOTALL)
]


def public() -> Iterator[tuple[str, str]]:
    for module, section in SECTIONS.items():
        for row in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE):
            yield from ((module, name) for name in re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize(("module", "name"), [*public()])
def test_every_name_on_the_page_can_be_imported(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None


def test_the_page_has_every_name_of_the_modules_whose_names_are_listed() -> None:
    listed = set(public())
    own = {name for name in base.__all__ if name not in vars(errors)}
    assert {("deskbench.agent.base", name) for name in own} <= listed
    constants = {"ACTION_TYPES", "ENDS_EPISODE", "MAX_PIXELS"}
    assert {("deskbench.envs.types", name) for name in {*types.__all__} - constants} <= listed
    raised = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert {name for module, name in listed if module == errors.__name__} == raised


@pytest.mark.parametrize("module", SECTIONS)
def test_every_section_has_an_example(module: str) -> None:
    assert "```python\n" in SECTIONS[module]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs_as_it_stands(example: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")

"""Planners describe their targets in words, and a grounder finds them on the screen. There are two forms:
`agent.click("the Save button")` (GTA1, Agent-S), and pyautogui with a comment above each point (Jedi).
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable

from deskbench.agent.replies.calls import Call, Malformed
from deskbench.agent.replies.source_values import parse_source

Locate = Callable[[str], tuple[int, int]]
"""A grounder: maps a target in words to its point in pixels of the screen."""

_ARGUMENTS = {
    "instruction": "start_point", "element_description": "start_point", "starting_description": "start_point",
    "ending_description": "end_point",
}  # fmt: skip
_POSITIONAL = {
    "click": ("instruction",), "type": ("element_description",), "scroll": ("instruction",),
    "drag_and_drop": ("starting_description", "ending_description"),
    "highlight_text_span": ("starting_description", "ending_description"),
}  # fmt: skip
_POINTED = frozenset(
    """
    click doubleClick rightClick middleClick leftClick tripleClick moveTo dragTo mouseDown mouseUp scroll triple_click
    """.split()
)


def ground_call(call: Call, locate: Locate | None) -> Call:
    """A call of `agent` with points in place of its targets.

    Raises:
        Malformed: a target is not a text.
    """
    order = _POSITIONAL.get(call.name, ())
    arguments = {order[int(k)] if k.isdigit() and int(k) < len(order) else k: v for k, v in call.arguments.items()}
    for name, point in _ARGUMENTS.items():
        meant = arguments.pop(name, None)
        if meant is None:
            continue
        if not isinstance(meant, str) or not meant.strip():
            raise Malformed(f"{call.name}: {name} must say in words what is meant")
        arguments[point] = list(_found(meant, locate))
    return dataclasses.replace(call, arguments=arguments)


def ground_source(source: str, locate: Locate | None) -> str:
    """Source with the points that the comments above its calls describe; calls without a comment stay as they are.

    Raises:
        ReplyError: the source is not Python.
    """
    lines = source.split("\n")
    tree = parse_source(source)
    for node in tree.body:
        call = node.value if isinstance(node, ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _POINTED):
            continue
        meant = _comment_above(lines, node.lineno - 1)
        if meant and _has_point(call):
            _put(call, _found(meant, locate))
    return ast.unparse(tree)


def _comment_above(lines: list[str], index: int) -> str:
    """The comment lines directly above a line."""
    found: list[str] = []
    while index > 0 and lines[index - 1].lstrip().startswith("#"):
        index -= 1
        found.insert(0, lines[index].lstrip("# \t"))
    return " ".join(found).strip()


def _has_point(call: ast.Call) -> bool:
    numbers = sum(isinstance(argument, ast.Constant) for argument in call.args)
    return numbers >= 2 or {"x", "y"} <= {keyword.arg for keyword in call.keywords}


def _put(call: ast.Call, point: tuple[int, int]) -> None:
    """Replace the call's own point."""
    named = {"x", "y"} & {keyword.arg for keyword in call.keywords}
    if named:
        call.keywords = [keyword for keyword in call.keywords if keyword.arg not in ("x", "y")]
    else:
        first = 1 if isinstance(call.func, ast.Attribute) and call.func.attr == "scroll" else 0
        del call.args[first : first + 2]
        for keyword, argument in zip(("clicks", "button"), call.args[first:], strict=False):
            call.keywords.append(ast.keyword(keyword, argument))
        del call.args[first:]
    call.keywords += [ast.keyword(name, ast.Constant(value)) for name, value in zip("xy", point, strict=True)]


def _found(meant: str, locate: Locate | None) -> tuple[int, int]:
    if locate is None:
        raise Malformed(f"nobody is here to find {meant[:60]!r}")
    return locate(meant)

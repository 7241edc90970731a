"""Turn pyautogui source into canonical actions; `ast` reads the source, and nothing evaluates it.

The text comes from the model, so it may be hostile: the reader knows pyautogui's mouse and keyboard functions, plain
values and a few pure functions, and does a bounded amount of work.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.pyautogui_calls import Calls
from deskbench.agent.replies.source_values import Budget, Evaluator, Unsupported, parse_source
from deskbench.envs.types import Action, Exec

MODULES = ("pyautogui", "time", "pyperclip")
_MAX_SOURCE = 100_000


def parse_pyautogui(
    source: str,
    screen: tuple[int, int],
    *,
    pointer: tuple[int, int] = (0, 0),
    code_allowed: bool = False,
    names: Mapping[str, object] | None = None,
    family: bool = False,
) -> list[Action]:
    """Read pyautogui source into actions.

    Args:
        source: Python text; `import` lines may be missing.
        screen: width and height in pixels; coordinates are pixels of it.
        pointer: where the pointer is before the first action; a drag begins there.
        code_allowed: source beyond mouse and keyboard becomes one `exec` of the whole text, after the imports and
            `names` that it may rely on.
        names: variables that the source may use, such as `{"tag_1": (x, y)}`.
        family: points may be fractions of the screen, and `computer.terminate`, `wait` and `triple_click` are known.

    Returns:
        The actions; empty if the source does nothing (only comments, imports and variables).

    Raises:
        ReplyError: a part cannot be read; the message names its line and is meant for the model.
    """
    if len(source) > _MAX_SOURCE:
        raise ReplyError(f"the code has {len(source)} characters; at most {_MAX_SOURCE} are read")
    tree = parse_source(source)
    calls = Calls(screen, pointer, family=family)
    try:
        _Reader(calls, dict(names or {})).run(tree.body)
        calls.check_clipboard(tree)
    except Unsupported as error:
        if not code_allowed:
            raise ReplyError(str(error)) from None
        return [Exec("python", _prelude(names) + source)]
    except RecursionError:
        raise ReplyError("the code is nested too deeply") from None
    return calls.actions


def _prelude(names: Mapping[str, object] | None) -> str:
    """The code that the source may rely on: OSWorld imports both modules before an action."""
    return "import pyautogui, time\npyautogui.FAILSAFE = False\n" + "".join(
        f"{name} = {value!r}\n" for name, value in (names or {}).items()
    )


class _Reader:
    """Walks through statements, keeps variables, and passes calls of pyautogui on."""

    def __init__(self, calls: Calls, names: dict[str, object]) -> None:
        self._calls = calls
        self._budget = Budget()
        self._names: dict[str, object] = {**calls.modules(), **names}
        self._values = Evaluator(self._names, self._budget, calls)

    def run(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self._budget.spend(statement)
            handler = getattr(self, f"_do_{type(statement).__name__.lower()}", None)
            if handler is None:
                what = _STATEMENTS.get(type(statement).__name__, type(statement).__name__)
                raise Unsupported(statement, f"{what} cannot be used here; write plain pyautogui calls")
            handler(statement)

    def _do_pass(self, _node: ast.Pass) -> None:
        """Nothing."""

    def _do_expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self._values.of(node.value)

    def _do_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name not in MODULES:
                raise Unsupported(node, f"the module {alias.name!r} cannot be used; only {', '.join(MODULES)}")
            self._names[alias.asname or alias.name] = self._calls.modules()[alias.name]

    def _do_importfrom(self, node: ast.ImportFrom) -> None:
        if node.module not in MODULES or node.level:
            raise Unsupported(node, f"the module {node.module!r} cannot be used; only {', '.join(MODULES)}")
        for alias in node.names:
            if alias.name == "*":
                self._names.update(self._calls.functions(node.module))
            else:
                self._names[alias.asname or alias.name] = self._calls.attribute(node, node.module, alias.name)

    def _do_assign(self, node: ast.Assign) -> None:
        value = self._values.of(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, self._values.of(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise Unsupported(node, "only a plain variable can be changed in place")
        left = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
        self._names[node.target.id] = self._values.of(ast.copy_location(ast.BinOp(left, node.op, node.value), node))

    def _bind(self, target: ast.expr, value: object) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (tuple, list)):
            if len(target.elts) != len(value) or any(isinstance(part, ast.Starred) for part in target.elts):
                raise ReplyError(f"line {target.lineno}: {len(value)} values for {len(target.elts)} names")
            for part, item in zip(target.elts, value, strict=True):
                self._bind(part, item)
        elif not (isinstance(target, ast.Attribute) and target.attr in ("PAUSE", "FAILSAFE")):
            raise Unsupported(target, f"cannot assign to {ast.unparse(target)[:40]!r}")

    def _do_if(self, node: ast.If) -> None:
        self.run(node.body if self._values.of(node.test) else node.orelse)

    def _do_for(self, node: ast.For) -> None:
        items = self._values.sequence(node.iter)
        for item in items:
            self._budget.spend(node)
            self._bind(node.target, item)
            self.run(node.body)
        self.run(node.orelse)

    def _do_with(self, node: ast.With) -> None:
        held = [key for item in node.items for key in self._held_by(item)]
        for key in held:
            self._calls.key_down(node, key)
        self.run(node.body)
        for key in reversed(held):
            self._calls.key_up(node, key)

    def _held_by(self, item: ast.withitem) -> list[str]:
        call = item.context_expr
        if isinstance(call, ast.Call) and item.optional_vars is None:
            function = self._values.of(call.func)
            if self._calls.is_hold(function):
                return self._calls.held_keys(call, *self._values.arguments(call))
        raise Unsupported(call, "`with` is for pyautogui.hold(...) only")


_STATEMENTS = {
    "While": "`while`", "FunctionDef": "`def`", "ClassDef": "`class`", "Try": "`try`", "Return": "`return`",
    "Break": "`break`", "Continue": "`continue`", "Raise": "`raise`", "Assert": "`assert`", "Delete": "`del`",
    "AsyncFunctionDef": "`async def`", "Global": "`global`", "Match": "`match`",
}  # fmt: skip

"""Evaluate a small part of Python: constants, arithmetic, strings and lists, with bounded work and size."""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from deskbench.agent.base import ReplyError
from deskbench.agent.replies.valid import valid
from deskbench.envs.foreign import python_tree

MAX_WORK = 50_000
"""Most expressions and statements read in one reply; each iteration of a loop counts."""
MAX_SIZE = 100_000
"""Longest string or list, in characters or items."""
_MAX_NUMBER = 10**15
_MAX_DEPTH = 60


class Unsupported(ReplyError):
    """Valid Python that the reader does not support; if code is allowed, it can run on the desktop instead."""

    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', 1)}: {message}")


# Models write "\d" and "5and"; Python's warnings about these must not appear in the user's terminal.
warnings.filterwarnings("ignore", category=SyntaxWarning, module="<reply>")


def parse_source(source: str) -> ast.Module:
    """The syntax tree of a reply's source.

    Raises:
        ReplyError: the source is not Python.
    """
    try:
        tree: ast.Module = python_tree(source, "<reply>")
        return tree
    except SyntaxError as error:
        raise ReplyError(f"line {error.lineno}: the code is not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ReplyError(f"the code is not Python: {type(error).__name__}") from None


class Size(NamedTuple):
    """What `pyautogui.size()` returns, in pixels."""

    width: int
    height: int


class Point(NamedTuple):
    """What `pyautogui.position()` returns, in pixels."""

    x: int
    y: int


class Module(NamedTuple):
    """A module that the source may name."""

    name: str


class Function(NamedTuple):
    """A function of such a module."""

    module: str
    name: str


class Caller(Protocol):
    """Implements the functions of the known modules."""

    def attribute(self, node: ast.AST, module: str, name: str) -> object:
        """A function or constant of a module."""

    def call(self, node: ast.Call, function: Function, args: list[Any], kwargs: dict[str, Any]) -> object:
        """Carry out a call, which adds actions or returns a value."""


class Budget:
    """Counts the work done."""

    def __init__(self) -> None:
        self._left = MAX_WORK

    def spend(self, node: ast.AST, amount: int = 1) -> None:
        """Count work.

        Raises:
            Unsupported: there is too much work.
        """
        self._left -= amount
        if self._left < 0:
            raise Unsupported(node, f"the code does too much: at most {MAX_WORK} operations are read")


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
_PURE: dict[str, Callable[..., Any]] = {
    "int": int, "float": float, "str": str, "len": len, "round": round, "abs": abs, "min": min, "max": max,
    "sum": sum, "bool": bool, "list": list, "tuple": tuple,
    "sorted": sorted, "reversed": lambda items: list(items)[::-1],
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "zip": lambda *items: list(zip(*items, strict=False)),
    "print": lambda *_args, **_kwargs: None,
}  # fmt: skip
_METHODS = {
    "upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "split", "splitlines", "startswith",
    "endswith", "replace", "join", "removeprefix", "removesuffix",
}  # fmt: skip
_WIDE = re.compile(r"\d{3,}")


class Evaluator:
    """Evaluates expressions.

    Args:
        names: the variables, shared with the code that assigns them.
        budget: the budget of the whole reply.
        caller: implements the functions of modules.
    """

    def __init__(self, names: Mapping[str, object], budget: Budget, caller: Caller) -> None:
        self._names = names
        self._budget = budget
        self._caller = caller
        self._depth = 0

    def of(self, node: ast.expr) -> Any:
        """The value of an expression.

        Raises:
            Unsupported: the reader does not support the expression.
            ReplyError: the expression has no value (division by zero, an undefined name).
        """
        self._budget.spend(node)
        handler = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        if handler is None:
            raise Unsupported(node, f"{ast.unparse(node)[:60]!r} cannot be read; write plain values")
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise ReplyError(f"line {node.lineno}: the expression is nested too deeply")
            return self._bounded(node, handler(node))
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise ReplyError(f"line {node.lineno}: {error}") from None
        finally:
            self._depth -= 1

    def sequence(self, node: ast.expr) -> list[Any]:
        """The items that a loop iterates over."""
        value = self.of(node)
        if not isinstance(value, (list, tuple, str, range)):
            raise ReplyError(f"line {node.lineno}: cannot loop over {type(value).__name__}")
        return list(value)

    def arguments(self, node: ast.Call) -> tuple[list[Any], dict[str, Any]]:
        """The values of a call's arguments, with `*list` unpacked."""
        args: list[Any] = []
        for part in node.args:
            args.extend(self.sequence(part.value) if isinstance(part, ast.Starred) else [self.of(part)])
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise Unsupported(node, "`**` in a call cannot be read; write the arguments out")
            kwargs[keyword.arg] = self.of(keyword.value)
        return args, kwargs

    def _bounded(self, node: ast.expr, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise ReplyError(f"line {node.lineno}: the number is too large")
        if isinstance(value, (str, list, tuple, range)):
            self._fits(node, len(value))
        return value

    def _fits(self, node: ast.expr, size: int) -> None:
        if size > MAX_SIZE:
            raise Unsupported(node, f"a string or list of {size} items is too long; at most {MAX_SIZE}")

    def _of_constant(self, node: ast.Constant) -> Any:
        if node.value is None or isinstance(node.value, (int, float, str)):
            return valid(node.value)
        raise Unsupported(node, f"the value {ast.unparse(node)[:40]} cannot be used")

    def _of_name(self, node: ast.Name) -> Any:
        if node.id in self._names:
            return self._names[node.id]
        if node.id in _PURE or node.id == "range":
            return Function("", node.id)
        raise Unsupported(node, f"the name {node.id!r} is not defined")

    def _of_tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._of_list(node))

    def _of_list(self, node: ast.List | ast.Tuple) -> list[Any]:
        out: list[Any] = []
        for part in node.elts:
            out.extend(self.sequence(part.value) if isinstance(part, ast.Starred) else [self.of(part)])
            self._fits(part, len(out))
        return out

    def _of_binop(self, node: ast.BinOp) -> Any:
        left, right = self.of(node.left), self.of(node.right)
        function = _BINARY.get(type(node.op))
        if function is None:
            raise Unsupported(node, f"the operator in {ast.unparse(node)[:40]!r} cannot be read")
        if isinstance(node.op, ast.Pow) and (abs(left) > 10**6 or abs(right) > 32):
            raise ReplyError(f"line {node.lineno}: the power is too large")
        if isinstance(node.op, ast.Mult):
            self._check_repeat(node, left, right)
        if isinstance(node.op, ast.Mod) and isinstance(left, str) and (_WIDE.search(left) or "*" in left):
            raise Unsupported(node, "a field this wide cannot be read")
        return function(left, right)

    def _check_repeat(self, node: ast.BinOp, left: Any, right: Any) -> None:
        for items, count in ((left, right), (right, left)):
            if isinstance(items, (str, list, tuple)) and isinstance(count, int):
                self._fits(node, len(items) * count)

    def _of_unaryop(self, node: ast.UnaryOp) -> Any:
        function = _UNARY.get(type(node.op))
        if function is None:
            raise Unsupported(node, "the operator `~` cannot be read")
        return function(self.of(node.operand))

    def _of_boolop(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for part in node.values:
            value = self.of(part)
            if bool(value) is isinstance(node.op, ast.Or):
                break
        return value

    def _of_compare(self, node: ast.Compare) -> bool:
        left = self.of(node.left)
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self.of(part)
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def _of_ifexp(self, node: ast.IfExp) -> Any:
        return self.of(node.body if self.of(node.test) else node.orelse)

    def _of_subscript(self, node: ast.Subscript) -> Any:
        value = self.of(node.value)
        if not isinstance(value, (str, list, tuple)):
            raise Unsupported(node, f"{type(value).__name__} cannot be indexed here")
        if isinstance(node.slice, ast.Slice):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            return value[slice(*(None if part is None else self.of(part) for part in parts))]
        return value[self.of(node.slice)]

    def _of_joinedstr(self, node: ast.JoinedStr) -> str:
        return "".join(str(self.of(part)) for part in node.values)

    def _of_formattedvalue(self, node: ast.FormattedValue) -> str:
        value = self.of(node.value)
        spec = "" if node.format_spec is None else str(self.of(node.format_spec))
        if not isinstance(value, (int, float, str)) or _WIDE.search(spec):
            raise Unsupported(node, f"the field {ast.unparse(node)[:40]} cannot be read")
        return format(repr(value) if node.conversion == ord("r") else value, spec)

    def _of_attribute(self, node: ast.Attribute) -> Any:
        value = self.of(node.value)
        if isinstance(value, Module):
            return self._caller.attribute(node, value.name, node.attr)
        if isinstance(value, (Size, Point)) and node.attr in value._fields:
            return getattr(value, node.attr)
        raise Unsupported(node, f"{node.attr!r} of {type(value).__name__} cannot be used")

    def _of_call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute):
            value = self.of(node.func.value)
            if isinstance(value, str):
                return self._call_method(node, value, node.func.attr)
            if isinstance(value, list) and node.func.attr in ("append", "extend"):
                raise Unsupported(node, "lists cannot be changed here; write the whole list")
        function = self.of(node.func)
        args, kwargs = self.arguments(node)
        if not isinstance(function, Function):
            raise Unsupported(node, f"{ast.unparse(node.func)[:40]!r} is not a function")
        if function.module:
            return self._caller.call(node, function, args, kwargs)
        return self._call_pure(node, function.name, args, kwargs)

    def _call_pure(self, node: ast.Call, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        for value in args:
            if isinstance(value, (str, list, tuple)):
                self._budget.spend(node, len(value) // 100)
        if name == "range":
            items = range(*args, **kwargs)
            self._budget.spend(node, min(len(items), MAX_WORK + 1) if len(items) < MAX_SIZE else MAX_WORK + 1)
            return list(items)
        if name == "round" and args and isinstance(args[0], float) and not math.isfinite(args[0]):
            raise ReplyError(f"line {node.lineno}: the number is not finite")
        if name in ("sorted", "min", "max") and kwargs.keys() - {"reverse", "default"}:
            raise Unsupported(node, f"{name} with a function cannot be read")
        return _PURE[name](*args, **kwargs)

    def _call_method(self, node: ast.Call, value: str, name: str) -> Any:
        args, kwargs = self.arguments(node)
        if name not in _METHODS:
            raise Unsupported(node, f"the string method {name!r} cannot be read")
        if name == "replace" and len(args) >= 2 and isinstance(args[1], str):
            self._fits(node, len(value) + (value.count(args[0]) if args[0] else len(value) + 1) * len(args[1]))
        if name == "join" and args and isinstance(args[0], (list, tuple)):
            self._fits(node, len(value) * len(args[0]) + sum(len(part) for part in args[0]))
        return getattr(value, name)(*args, **kwargs)

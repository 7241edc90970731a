"""What crosses the wire between controller and desktop. Both ends import it; it uses only the standard library.

`POST /v1/step` takes a `StepRequest` as JSON and answers with one line of JSON (`StepReply`), a newline, and the raw
PNG bytes if there is a new frame: no base64, and one round trip. `POST /v1/observe` is the same without actions. `GET
/v1/health` answers with a `Health`. docs/protocol.md explains the protocol to authors of clients.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import reprlib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deskbench.envs.actions import Action, ActionError, nearest, parse_actions

PROTOCOL = 1
CONTENT_TYPE = "application/vnd.deskbench.step"
POLICIES = ("settled", "quiet", "immediate", "fixed:SECONDS", "none")
SETTLING = ("settled", "quiet")
"""Policies that wait until the screen has settled."""
EVIDENCE = ("rest", "quiet")
MAX_BODY = 64 * 2**20
"""The largest request or answer, in bytes, that the other end reads into memory."""
MAX_DEPTH = 64
"""The most levels of arrays and objects in JSON; the accessibility tree is a string."""
TREE_DEPTH = 512
"""The same in a listing: a folder in a folder counts as two levels."""
MAX_JSON = 32 * 2**20
"""The most bytes of JSON. In memory it takes up to twelve times that, with characters of four bytes."""
MAX_VALUES = 1_000_000
"""The most values in JSON. Each takes a hundred bytes or more in memory, but only three on the wire."""
MAX_ESCAPES = 3_000_000
"""The most backslashes in JSON. CPython 3.11 makes a string for each one while it reads."""
MAX_DIGITS = 20
"""The most digits of an integer; 64 bits need no more."""
MAX_SIDE = 32_768
"""The most pixels of a screen's width or height; X's coordinates go no further."""
MAX_PIXELS = 36_000_000
"""The most pixels of a picture from the desktop; larger ones are refused. 8K has 33 million, which take 270 MB to
decode.
"""


class WireError(ValueError):
    """A message violates this protocol; the error names the field."""


class TooMuch(WireError):
    """The JSON has too many bytes, values or levels."""


@dataclass(frozen=True)
class Observe:
    """What to look at after the actions, and when.

    Attributes:
        policy: `settled` (screen has reacted and gone quiet), `quiet` (the same, but what programs wait for is no
            evidence), `immediate`, `fixed:SECONDS`, or `none`.
        screenshot: take a screenshot.
        accessibility: take the accessibility tree (OSWorld's XML).
        terminal: take the text of the focused terminal.
        unless: the frame (SHA-256 of the PNG, hex) that the caller already has; it is not sent again.
        max_settle: hard maximum in seconds for `settled`; None for the server's default.
    """

    policy: str = "settled"
    screenshot: bool = True
    accessibility: bool = False
    terminal: bool = False
    unless: str | None = None
    max_settle: float | None = None

    def __post_init__(self) -> None:
        parse_policy(self.policy)


def parse_policy(policy: str) -> tuple[str, float]:
    """Split `fixed:1.5` into ("fixed", 1.5); other policies become (name, 0.0).

    Raises:
        WireError: not a policy.
    """
    name, _, seconds = policy.partition(":")
    if name == "fixed":
        try:
            value = float(seconds)
        except ValueError:
            value = -1.0
        if 0 <= value <= 600:
            return name, value
    elif policy in POLICIES:
        return policy, 0.0
    raise WireError(f"policy is {policy!r}; it must be one of {', '.join(POLICIES)} with SECONDS from 0 to 600")


@dataclass(frozen=True)
class StepRequest:
    """Actions in, observation out. The same `id` is never carried out twice: the server repeats its first answer."""

    id: str
    actions: tuple[Action, ...] = ()
    observe: Observe = field(default_factory=Observe)

    def to_json(self) -> dict[str, Any]:
        """The body of `POST /v1/step`."""
        return {
            "id": self.id,
            "actions": [a.to_json() for a in self.actions],
            "observe": {k: v for k, v in dataclasses.asdict(self.observe).items() if v is not None},
        }

    @classmethod
    def from_json(cls, value: object) -> StepRequest:
        """Read a request.

        Raises:
            WireError: names the field.
        """
        _closed(value, ("id", "actions", "observe"), "request")
        assert isinstance(value, Mapping)
        if not isinstance(value.get("id"), str) or not 1 <= len(value["id"]) <= 200:
            raise WireError("id must be a string of 1 to 200 characters")
        try:
            actions = tuple(parse_actions(value.get("actions", [])))
        except ActionError as error:
            raise WireError(str(error)) from None
        return cls(value["id"], actions, decode(Observe, value.get("observe", {}), "observe"))


@dataclass(frozen=True)
class ActionResult:
    """The result of one action.

    Attributes:
        ok: it was carried out.
        error: why not, in one line; the actions after a failed one are not carried out.
        output: its output (cursor position, output of code), or None.
        ms: milliseconds that it took.
    """

    ok: bool
    error: str | None = None
    output: str | None = None
    ms: float = 0.0


@dataclass(frozen=True)
class Seen:
    """The facts of an observation; the PNG bytes follow them.

    Attributes:
        frame: SHA-256 of the PNG in hex, or None if the request did not ask for a screenshot.
        unchanged: the frame is the one that the caller named in `unless`; no bytes follow.
        width, height: of the screen in pixels.
        cursor: pointer position in pixels.
        settled: whether the screen was quiet when the screenshot was taken; None if the policy does not wait.
        settled_by: the evidence: `rest` (every program sleeps, and none will soon wake by itself) or `quiet` (nothing
            has changed for long enough). None if the screen has not settled, or from a server that does not say.
        settle_ms: from the end of the last action to the moment of the screenshot.
        capture_ms: milliseconds for screenshot and encoding.
        accessibility: OSWorld's XML, or None.
        accessibility_complete: False if the time limit cut the tree.
        terminal: text of the focused terminal, or None.
        problems: requested parts that could not be read, one line each.
    """

    frame: str | None
    unchanged: bool
    width: int
    height: int
    cursor: tuple[int, int]
    settled: bool | None
    settle_ms: float
    capture_ms: float = 0.0
    accessibility: str | None = None
    accessibility_complete: bool = True
    terminal: str | None = None
    problems: tuple[str, ...] = ()
    settled_by: str | None = None

    def __post_init__(self) -> None:
        check_size(self.width, self.height, "the screen")
        if max(map(abs, self.cursor)) > 2 * MAX_SIDE:
            raise WireError(f"the cursor is at {self.cursor}")
        if self.frame is not None and not _FRAME.fullmatch(self.frame):
            raise WireError(f"the frame is {reprlib.repr(self.frame)}; it must be a SHA-256 in hex")
        if self.settled_by is not None and self.settled_by not in EVIDENCE:
            raise WireError(f"settled_by is {reprlib.repr(self.settled_by)}; it must be one of {', '.join(EVIDENCE)}")


_FRAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StepReply:
    """The answer to a StepRequest; `seen` is None for the policy `none`."""

    id: str
    results: tuple[ActionResult, ...] = ()
    act_ms: float = 0.0
    seen: Seen | None = None

    def encode(self, png: bytes | None) -> bytes:
        """Encode as one line of JSON, a newline, and the PNG."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=True).encode() + b"\n" + (png or b"")

    @classmethod
    def decode(cls, body: bytes) -> tuple[StepReply, bytes | None]:
        """Read an answer.

        Raises:
            WireError: not such an answer.
        """
        head, newline, png = body.partition(b"\n")
        if not newline:
            raise WireError("the answer has no line of JSON")
        reply: StepReply = decode(cls, loads(head), "answer")
        return reply, png or None


@dataclass(frozen=True)
class Health:
    """What works on this desktop, and the reason for what does not.

    Attributes:
        server: `deskbench` or `osworld`.
        protocol: version of this protocol (0 for a server without it).
        platform: `Linux`, `Windows` or `Darwin`.
        screen: width and height in pixels.
        features: name to "" (works) or the reason why it does not. Names: screenshot, input, settle, accessibility,
            terminal, recording, clipboard, exec.
        versions: versions of the programs that matter, for the manifest.
    """

    server: str
    protocol: int
    platform: str
    screen: tuple[int, int]
    features: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_size(*self.screen, "the screen")


@dataclass(frozen=True)
class Sleeper:
    """A program at one moment of a settling.

    Attributes:
        id: its process.
        name: as the kernel has it.
        awake: it ran, or waited for a core.
        moved: it has run since the moment before.
        ran: it has run since the actions began.
        hidden: its timers are not known.
        wake: when it wakes by itself, in milliseconds since the last action ended; None if others must wake it.
    """

    id: int
    name: str
    awake: bool
    moved: bool
    ran: bool
    hidden: bool
    wake: float | None = None


@dataclass(frozen=True)
class Moment:
    """What was known at one moment of a settling; `still` is None where programs cannot be seen."""

    ms: float
    windows: int
    running: int
    still: bool | None = None
    programs: tuple[Sleeper, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """A rectangle of the screen that was drawn to; `habitual`: a caret or a clock."""

    ms: float
    x: int
    y: int
    width: int
    height: int
    habitual: bool


@dataclass(frozen=True)
class Film:
    """One settling, and what was drawn after it. All times are milliseconds since the last action ended.

    Attributes:
        number: of this desktop's settlings, from 1.
        began: just before the first action.
        ended: when it was answered; None if it has not been.
        now: the end of what this film shows: the present, or the beginning of the next settling.
        settled: the answer.
        by: its evidence, as `Seen.settled_by`.
        launching: a program was being started.
        moments: the moments at which something was different.
        drawn: oldest first.
        looking: milliseconds of a core that looking at the programs and the screen took, the look before the actions
            included; 0 where that is not measured.
    """

    number: int
    began: float
    ended: float | None
    now: float
    settled: bool | None
    by: str
    launching: bool
    moments: tuple[Moment, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    looking: float = 0.0


@dataclass(frozen=True)
class Films:
    """The answer to `GET /v1/settlings`: the last ones, oldest first."""

    films: tuple[Film, ...]


@dataclass(frozen=True)
class Ran:
    """The answer to `POST /v1/run`: a command's exit status and its decoded output."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Executed:
    """The answer of OSWorld's `/execute`: the same fields under other names."""

    returncode: int
    output: str
    error: str


@dataclass(frozen=True)
class Accessible:
    """The answer of OSWorld's `/accessibility`: the tree as XML."""

    AT: str


@dataclass(frozen=True)
class Shown:
    """The answer of OSWorld's `/terminal`: the focused terminal's text, or None if there is no terminal."""

    output: str | None


@dataclass(frozen=True)
class Failure:
    """The body of an error: deskbench's server uses `error`, OSWorld's uses either key."""

    error: str | None = None
    message: str | None = None


def check_size(width: int, height: int, what: str) -> None:
    """Check that a screen or picture may have this size in pixels.

    Raises:
        WireError: it may not.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise WireError(f"{what} has {width}x{height} pixels")


def loads(body: bytes, depth: int = MAX_DEPTH) -> Any:
    """Read strict JSON in UTF-8: no NaN, no infinity, no duplicate keys, integers up to MAX_DIGITS, limited depth.

    Half of a surrogate pair, which JSON can contain but UTF-8 cannot, becomes U+FFFD.

    Raises:
        TooMuch: more than MAX_JSON, MAX_VALUES, MAX_ESCAPES or `depth` levels.
        WireError: anything else.
    """
    if len(body) > MAX_JSON:
        raise TooMuch(f"the JSON has {len(body)} bytes; at most {MAX_JSON} are read")
    try:
        text = body.decode()
        _count(text)
        value = _STRICT.decode(text)
        if _HALF_WRITTEN.search(text):
            value = _mend([value])[0]
    except RecursionError:
        raise TooMuch(f"the JSON has more than {depth} levels") from None
    except TooMuch:
        raise
    except ValueError as error:
        raise WireError(f"not JSON: {str(error)[:200]}") from None
    if text.count("[") + text.count("{") > depth:
        _measure(value, depth)
    return value


def _count(text: str) -> None:
    """Check the number of values before they are made. If it seems too high, count again without the contents of
    strings.
    """
    if text.count("\\") > MAX_ESCAPES:
        raise TooMuch(f"the JSON has more than {MAX_ESCAPES} escapes")
    if _separators(text) <= MAX_VALUES:
        return
    parts = text.replace("\\\\", "").replace('\\"', "")
    if parts.count('"') > 4 * MAX_VALUES or _separators("".join(parts.split('"')[::2])) > MAX_VALUES:
        raise TooMuch(f"the JSON has more than {MAX_VALUES} values")


def _separators(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


_HALF_WRITTEN = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


def _mend(whole: list[Any]) -> list[Any]:
    """Replace half surrogate pairs in all strings."""
    waiting: list[Any] = [whole]
    while waiting:
        node = waiting.pop()
        for key, inner in list(node.items() if isinstance(node, dict) else enumerate(node)):
            if isinstance(inner, str):
                node[key] = _HALF.sub("\ufffd", inner)
            elif isinstance(inner, (dict, list)):
                waiting.append(inner)
        if isinstance(node, dict) and any(map(_HALF.search, node)):
            repaired = _once([(_HALF.sub("\ufffd", key), inner) for key, inner in node.items()])
            node.clear()
            node.update(repaired)
    return whole


def _measure(value: object, depth: int) -> None:
    level = [value]
    for _ in range(depth):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise TooMuch(f"the JSON has more than {depth} levels")


def _inside(value: object) -> list[object]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in found if isinstance(one, (dict, list))]


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


_STRICT = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
)


def decode(cls: Any, value: object, where: str, *, closed: bool = True) -> Any:
    """Turn a value from `loads` into one of the dataclasses above, by its annotations, nested ones included.

    Args:
        cls: a dataclass of scalars, `tuple[...]`, `dict[str, ...]`, dataclasses, and these or None.
        value: a JSON object.
        where: its name in errors.
        closed: unknown keys are errors. OSWorld's answers may have keys that are not read here.

    Raises:
        WireError: names the field.
    """
    readers = _readers(cls)
    if closed:
        _closed(value, readers, where)
    elif not isinstance(value, Mapping):
        raise WireError(f"{where} is not a JSON object but {_short(value)}")
    assert isinstance(value, Mapping)
    fields: dict[str, Any] = {}
    for name, given in value.items():
        if name in readers:
            read, meant = readers[name]
            try:
                fields[name] = read(given)
            except _MisfitError:
                raise WireError(f"{where}.{name} is {_short(given)}; it must be {meant}") from None
    try:
        return cls(**fields)
    except TypeError as error:
        raise WireError(f"{where}: {error}") from None


class _MisfitError(Exception):
    """A value does not have the type of its annotation."""


_Reader = Callable[[Any], Any]


@functools.cache
def _readers(cls: Any) -> dict[str, tuple[_Reader, str]]:
    """For each field, the function that reads it, and its annotation."""
    hints = typing.get_type_hints(cls)
    return {one.name: (_reader(hints[one.name], one.name), str(one.type)) for one in dataclasses.fields(cls)}


def _reader(annotation: Any, name: str) -> _Reader:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        (meant,) = (one for one in inner if one is not type(None))
        return functools.partial(_read_optional, _reader(meant, name))
    if origin is tuple and inner[-1] is Ellipsis:
        return functools.partial(_read_many, _reader(inner[0], name))
    if origin is tuple:
        return functools.partial(_read_each, [_reader(one, name) for one in inner])
    if origin is dict:
        return functools.partial(_read_dict, _reader(inner[1], name))
    if dataclasses.is_dataclass(annotation):
        return functools.partial(decode, annotation, where=name)
    return _SCALARS[annotation]


def _read_optional(read: _Reader, value: object) -> Any:
    return None if value is None else read(value)


def _read_many(read: _Reader, value: object) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _MisfitError
    return tuple([read(one) for one in value])


def _read_each(reads: list[_Reader], value: object) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or len(value) != len(reads):
        raise _MisfitError
    return tuple([read(one) for read, one in zip(reads, value)])  # noqa: B905  (compared above)


def _read_dict(read: _Reader, value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _MisfitError
    return {key: read(one) for key, one in value.items()}


def _read_str(value: object) -> str:
    if not isinstance(value, str):
        raise _MisfitError
    return value


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _MisfitError
    return value


def _read_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise _MisfitError
    return value


def _read_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**64:
        raise _MisfitError
    return float(value)


_SCALARS: dict[Any, _Reader] = {str: _read_str, bool: _read_bool, int: _read_int, float: _read_float}


def folder_tree(value: object) -> dict[str, object]:
    """Check OSWorld's listing of a folder: {"type", "name", "children"}, or {"error"} if it was refused.

    Raises:
        WireError: not such a tree.
    """
    if not isinstance(value, dict) or value.get("type", "directory") != "directory" or not _is_text(value, "name"):
        raise WireError(f"the listing is {_short(value)}")
    waiting = [value]
    while waiting:
        folder = waiting.pop()
        children = folder.get("children", [])
        if not isinstance(children, list) or not _is_text(folder, "error"):
            raise WireError(f"a folder of the listing is {_short(folder)}")
        for child in children:
            _check_entry(child)
        waiting += [child for child in children if child.get("type") != "file"]
    return value


def place(value: object) -> tuple[int, int]:
    """Read OSWorld's `[x, y]` of the pointer, in pixels.

    Raises:
        WireError: it has another form.
    """
    if not isinstance(value, list) or len(value) != 2:
        raise WireError(f"the cursor is {_short(value)}")
    try:
        x, y = map(_read_int, value)
    except _MisfitError:
        raise WireError(f"the cursor is {_short(value)}") from None
    if max(abs(x), abs(y)) > 2 * MAX_SIDE:
        raise WireError(f"the cursor is {_short(value)}")
    return x, y


def _is_text(entry: dict[str, object], key: str) -> bool:
    return isinstance(entry.get(key, ""), str)


def _check_entry(entry: object) -> None:
    """Check a file or folder in a listing. An unreadable folder may have only its error."""
    if not isinstance(entry, dict):
        raise WireError(f"an entry of the listing is {_short(entry)}")
    if "error" in entry and "name" not in entry:
        return
    name = entry.get("name")
    if entry.get("type") not in ("file", "directory") or not isinstance(name, str):
        raise WireError(f"an entry of the listing is {_short(entry)}")
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name) > MAX_NAME:
        raise WireError(f"a name in the listing is {_short(name)}")


MAX_NAME = 1024
"""The most characters of a file's name; file systems allow 255."""


def _short(value: object) -> str:
    """An untrusted value, shortened for a one-line message."""
    return reprlib.repr(value)[:200]


def _closed(value: object, known: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise WireError(f"{where} must be a JSON object, not {type(value).__name__}")
    for name in value:
        if name not in known:
            raise WireError(f"{where}: unknown field {_short(name)}{nearest(str(name)[:100], known)}")

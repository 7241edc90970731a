"""What crosses the wire between controller and desktop; both ends import it (standard library only).

`POST /v1/step` takes a `StepRequest` as JSON and answers with one line of JSON (`StepReply`), a newline, and the raw
PNG bytes if there is a new frame: no base64, one round trip. `POST /v1/observe` is the same without actions,
`GET /v1/health` answers a `Health`. docs/protocol.md is the page for those who write a client.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deskbench.envs.actions import Action, ActionError, nearest, parse_actions

PROTOCOL = 1
CONTENT_TYPE = "application/vnd.deskbench.step"
POLICIES = ("settled", "immediate", "fixed:SECONDS", "none")
MAX_BODY = 64 * 2**20
"""Bytes of a request or an answer that the other end will read into memory."""


class WireError(ValueError):
    """What arrived is not what this protocol says; the message names the field."""


@dataclass(frozen=True)
class Observe:
    """What to look at after the actions, and when.

    Attributes:
        policy: `settled` (screen has reacted and gone quiet), `immediate`, `fixed:SECONDS`, or `none`.
        screenshot: take a screenshot.
        accessibility: take the accessibility tree (OSWorld's XML).
        terminal: take the text of the focused terminal.
        unless: frame (SHA-256 of the PNG, hex) that the caller has already; the same frame is not sent again.
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
    """`fixed:1.5` to ("fixed", 1.5); the others to (name, 0.0).

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
    raise WireError(f"policy is {policy!r}; it is one of {', '.join(POLICIES)} with SECONDS from 0 to 600")


@dataclass(frozen=True)
class StepRequest:
    """Actions in, observation out. The same `id` is never carried out twice: its first answer is sent again."""

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
            WireError: naming the field.
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
    """What became of one action.

    Attributes:
        ok: it was carried out.
        error: why not, in one line; the actions behind a failed one are not carried out.
        output: what it answers (cursor position, output of code), or None.
        ms: milliseconds that it took.
    """

    ok: bool
    error: str | None = None
    output: str | None = None
    ms: float = 0.0


@dataclass(frozen=True)
class Seen:
    """The observation's facts; the PNG bytes travel behind them.

    Attributes:
        frame: SHA-256 of the PNG in hex, or None when no screenshot was asked for.
        unchanged: the frame is the one that the caller named in `unless`; no bytes follow.
        width, height: of the screen in pixels.
        cursor: pointer position in pixels.
        settled: the screen was quiet when it was taken; None where the policy does not wait.
        settle_ms: from the end of the last action to the moment of the screenshot.
        capture_ms: milliseconds for screenshot and encoding.
        accessibility: OSWorld's XML, or None.
        accessibility_complete: False when the time limit cut the tree.
        terminal: text of the focused terminal, or None.
        problems: what was asked for and could not be had, one line each.
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


@dataclass(frozen=True)
class StepReply:
    """The answer to a StepRequest; `seen` is None for the policy `none`."""

    id: str
    results: tuple[ActionResult, ...] = ()
    act_ms: float = 0.0
    seen: Seen | None = None

    def encode(self, png: bytes | None) -> bytes:
        """One line of JSON, a newline, the PNG."""
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
        try:
            value = json.loads(head)
        except ValueError as error:
            raise WireError(f"the answer's first line is not JSON: {error}") from None
        _closed(value, [f.name for f in dataclasses.fields(cls)], "answer")
        results = tuple(decode(ActionResult, item, "results") for item in value.get("results", []))
        seen = value.get("seen")
        reply = cls(
            id=str(value.get("id")),
            results=results,
            act_ms=float(value.get("act_ms", 0.0)),
            seen=None if seen is None else decode(Seen, seen, "seen"),
        )
        return reply, png or None


@dataclass(frozen=True)
class Health:
    """What works on this desktop, and why not where it does not.

    Attributes:
        server: `deskbench` or `osworld`.
        protocol: version of this protocol (0 for a server without it).
        platform: `Linux`, `Windows` or `Darwin`.
        screen: width and height in pixels.
        features: name to "" (works) or the reason why it does not. Names: screenshot, input, settle, accessibility,
            terminal, recording, clipboard, exec.
        versions: of the programs that matter, for the manifest.
    """

    server: str
    protocol: int
    platform: str
    screen: tuple[int, int]
    features: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def decode(cls: type[Any], value: object, where: str) -> Any:
    """A JSON object to one of the flat dataclasses above; unknown keys and wrong types are errors."""
    known = {f.name: f for f in dataclasses.fields(cls)}
    _closed(value, known, where)
    assert isinstance(value, Mapping)
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
    for name, v in fields.items():
        if not _fits(v, str(known[name].type)):
            raise WireError(f"{where}.{name} is {v!r}; it must be {known[name].type}")
    try:
        return cls(**fields)
    except TypeError as error:
        raise WireError(f"{where}: {error}") from None


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,), "bool": (bool,), "int": (int,), "float": (int, float), "None": (type(None),),
    "tuple": (tuple,), "dict": (dict,),
}  # fmt: skip


def _fits(value: object, annotation: str) -> bool:
    allowed = [kind for part in annotation.split(" | ") for kind in _KINDS[part.partition("[")[0]]]
    if isinstance(value, bool):
        return bool in allowed
    return isinstance(value, tuple(allowed))


def _closed(value: object, known: object, where: str) -> None:
    if not isinstance(value, Mapping):
        raise WireError(f"{where} is a JSON object, not {type(value).__name__}")
    for name in value:
        if name not in known:  # type: ignore[operator]
            raise WireError(f"{where}: unknown field {name!r}{nearest(str(name), known)}")

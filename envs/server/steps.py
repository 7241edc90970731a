"""`/v1/step` and `/v1/observe`: actions in, settled observation out, one round trip; nothing is carried out twice."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from deskbench.envs import wait
from deskbench.envs.actions import (
    Action,
    AskUser,
    CursorPosition,
    Done,
    Exec,
    Fail,
    TakeScreenshot,
    Wait,
    Zoom,
)
from deskbench.envs.server.commands import CommandTimeout
from deskbench.envs.server.http.limits import MAX_SETTLE, REMEMBERED, REMEMBERED_BYTES
from deskbench.envs.server.http.server import HttpError, Request, Response, Route
from deskbench.envs.wire import (
    CONTENT_TYPE,
    SETTLING,
    ActionResult,
    Observe,
    Seen,
    StepReply,
    StepRequest,
    WireError,
    parse_policy,
)

if TYPE_CHECKING:
    from deskbench.envs.server.desk import Desk
    from deskbench.envs.server.settle import Settling

TREE_SECONDS = 5.0
"""Seconds for an observation's accessibility tree. After that, the answer has what was read, marked as partial."""
EXEC_SECONDS = 120.0
MAX_SHOWN = 2**18
"""The most characters of code output in the answer to a step. A model reads no more, and files can hold the rest."""


class Answers:
    """The last answers of one role, by request id. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[str, Future[bytes]] = {}
        self._made: OrderedDict[str, int] = OrderedDict()  # sizes in bytes of finished answers
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, identity: str, make: Callable[[], bytes]) -> bytes:
        """The answer to this request, made by whoever asks first. Everyone who repeats the request gets it, even an
        error.
        """
        mine: Future[bytes] = Future()
        with self._lock:
            found = self._kept.setdefault(identity, mine)
        if found is mine:
            size = 0
            try:
                answer = make()
                size = len(answer)
                mine.set_result(answer)
            except BaseException as error:  # noqa: BLE001  (a repeated request must get the same answer)
                mine.set_exception(error)
            self._keep(identity, size)
        return found.result()

    def _keep(self, identity: str, size: int) -> None:
        """Drop the oldest answers beyond the limits. An answer still in the making is never dropped, and so not made
        twice.
        """
        with self._lock:
            self._made[identity] = size
            self._bytes += size
            while len(self._made) > 1 and (len(self._made) > REMEMBERED or self._bytes > REMEMBERED_BYTES):
                oldest, size = self._made.popitem(last=False)
                self._bytes -= size
                del self._kept[oldest]


class Steps:
    """The steps of one desktop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._acting = threading.Lock()
        # An agent that uses the same id must not get control's answer.
        self._answers = {role: Answers() for role in ("control", "agent")}

    def step(self, request: Request) -> Response:
        """Handle `POST /v1/step`."""
        return self._answer(request)

    def observe(self, request: Request) -> Response:
        """Handle `POST /v1/observe`: a step without actions."""
        if "actions" in request.json():
            raise HttpError(400, "observe takes no actions; POST them to /v1/step")
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        try:
            wanted = StepRequest.from_json(request.json())
        except WireError as error:
            raise HttpError(400, str(error)) from None
        if any(isinstance(a, Exec) for a in wanted.actions) and request.role != "control":
            raise HttpError(403, "exec needs the control token")
        if wanted.observe.max_settle is not None and not 0 <= wanted.observe.max_settle <= MAX_SETTLE:
            raise HttpError(400, f"observe.max_settle is {wanted.observe.max_settle}; it must be 0 to {MAX_SETTLE:g}")
        answers = self._answers[request.role]
        return Response(200, answers.get(wanted.id, lambda: self._carry_out(wanted)), CONTENT_TYPE)

    def _carry_out(self, wanted: StepRequest) -> bytes:
        if not wanted.actions:
            reply, png = self._look(wanted, (), 0.0, None)
            return reply.encode(png)
        with self._acting:
            waits = wanted.observe.policy in SETTLING
            settling = self._desk.begin_settling() if waits else None
            began = time.monotonic()
            results = self._act(wanted.actions)
            ended = time.monotonic()
            act_ms = (ended - began) * 1e3
            if settling is not None:
                settling.start = ended
            reply, png = self._look(wanted, results, act_ms, settling)
        return reply.encode(png)

    def _act(self, actions: tuple[Action, ...]) -> tuple[ActionResult, ...]:
        results: list[ActionResult] = []
        for action in actions:
            if results and not results[-1].ok:
                results.append(ActionResult(False, "not carried out: an action before it failed"))
                continue
            began = time.monotonic()
            try:
                output, error = self._perform(action), None
            except (ValueError, CommandTimeout) as problem:
                output, error = None, str(problem)
                self._desk.input.release_all()
            except BaseException:
                # Our own error becomes the request's answer and the desktop goes on, so nothing may stay pressed.
                self._desk.input.release_all()
                raise
            results.append(ActionResult(error is None, error, output, (time.monotonic() - began) * 1e3))
        return tuple(results)

    def _perform(self, action: Action) -> str | None:
        if isinstance(action, Wait):
            self._wait(action)
        elif isinstance(action, CursorPosition):
            x, y = self._desk.screen.cursor()
            return f"{x}, {y}"
        elif isinstance(action, Exec):
            return self._desk.run_source(action.lang, action.source, EXEC_SECONDS)[:MAX_SHOWN]
        elif not isinstance(action, (TakeScreenshot, Zoom, Done, Fail, AskUser)):
            return self._desk.input.perform(action)
        return None

    def _wait(self, action: Wait) -> None:
        if action.seconds is None:
            self._desk.settle(self._desk.begin_settling())
        else:
            wait.sleep(action.seconds)

    def _look(
        self, wanted: StepRequest, results: tuple[ActionResult, ...], act_ms: float, settling: Settling | None
    ) -> tuple[StepReply, bytes | None]:
        look = wanted.observe
        policy, seconds = parse_policy(look.policy)
        if policy == "none":
            return StepReply(wanted.id, results, act_ms, None), None
        began = time.monotonic()
        settled: bool | None = None
        by: str | None = None
        if policy in SETTLING:
            settling = settling or self._desk.look_back()
            settling.rest = settling.rest if policy == "settled" else None
            settled = self._desk.settle(settling, look.max_settle)
            by = settling.by if settled else None
        elif policy == "fixed":
            wait.sleep(seconds)
        seen, png = self._see(look, settled, by, (time.monotonic() - began) * 1e3)
        return StepReply(wanted.id, results, act_ms, seen), png

    def _see(self, look: Observe, settled: bool | None, by: str | None, settle_ms: float) -> tuple[Seen, bytes | None]:
        began = time.monotonic()
        screen = self._desk.screen
        frame = screen.capture() if look.screenshot else None
        capture_ms = (time.monotonic() - began) * 1e3
        problems: list[str] = []
        tree, complete, terminal = None, True, None
        if look.accessibility:
            tree, complete = self._desk.tree(TREE_SECONDS * self._desk.patience, problems)
        if look.terminal:
            terminal = self._desk.terminal(problems)
        unchanged = frame is not None and frame.sha256 == look.unless
        seen = Seen(
            frame=frame.sha256 if frame else None,
            unchanged=unchanged,
            width=screen.width,
            height=screen.height,
            cursor=frame.cursor if frame else screen.cursor(),
            settled=settled,
            settle_ms=settle_ms,
            capture_ms=capture_ms,
            accessibility=tree,
            accessibility_complete=complete,
            terminal=terminal,
            problems=tuple(problems),
            settled_by=by,
        )
        return seen, frame.png if frame and not unchanged else None


def routes(desk: Desk) -> list[Route]:
    """The two routes, bound to a desktop."""
    steps = Steps(desk)
    return [
        Route("POST", "/v1/step", steps.step, "agent", desk.watch),
        Route("POST", "/v1/observe", steps.observe, "agent", desk.watch),
    ]

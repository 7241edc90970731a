"""The episode loop. Live runs, the oracle, baselines, replays and trainers' environments all go through `play`.

`play` is driven from outside, one decision at a time. `run_episode` drives it with an agent, `deskbench.Env` with what
a trainer sends.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from deskbench.agent.base import (
    Agent,
    AgentCrash,
    AgentError,
    Decision,
    Ending,
    Goal,
    ModelError,
    ModelFatal,
    Needs,
    RefusalError,
    Undecided,
    Usage,
)
from deskbench.agent.config import MAX_SECONDS, MAX_STEPS
from deskbench.agent.limits import GRACE_SECONDS, SCORE_SECONDS, SETUP_SECONDS, STEP_SECONDS, Limited
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter, ScoreRecord, Totals, usage_record
from deskbench.envs import wait
from deskbench.envs.actions import ACTION_TYPES
from deskbench.envs.desktop import Desktop
from deskbench.envs.errors import (
    AssetError,
    CheckError,
    EnvError,
    SetupError,
    StartError,
    StorageError,
    Unfit,
    UsageError,
)
from deskbench.envs.types import (
    Action,
    ActionResult,
    AskUser,
    CursorPosition,
    Done,
    Exec,
    Fail,
    Observation,
    TakeScreenshot,
    Type,
    Wait,
    Zoom,
)
from deskbench.envs.wire import Observe
from deskbench.tasks.metrics.support.differences import Revision
from deskbench.tasks.scoring.parts import Part, opens, prepare, together
from deskbench.tasks.types import Score, Task
from deskbench.tasks.user import NOBODY
from deskbench.tasks.world import Context, World

GOES_ON = (Ending.DONE, Ending.FAILED)
"""Endings of a part after which the next part may begin."""
INERT = (AskUser, CursorPosition, Done, Fail, TakeScreenshot, Wait, Zoom)
"""Actions that cannot make a desktop die."""
NO_CODE = "code is not allowed in this task; use the mouse and the keyboard"
NO_TIME = "there was no time left for this"
SETTLING, CODE, CHARACTER = 12.0, 120.0, 0.02
"""Most seconds for a wait without a number, for a piece of code, and for one typed character."""


@dataclass(frozen=True)
class Plan:
    """The plan of one episode.

    Attributes:
        task, repeat, attempt, seed: which task, and which episode of it.
        agent_name, provider_name: for the record.
        max_steps, max_seconds: the user's limits; None for the task's own limits, or the defaults.
        policy: when to observe (`envs.wire.Observe`).
        osworld_strict: the revision of OSWorld whose mistakes the checks repeat.
        code_allowed: whether the action space allows `exec` (the task must allow it, too).
        budget_usd: cost in US dollars that ends the episode, or None.
        assets: a folder on the controller for downloads that all episodes share.
        deaths: number of earlier attempts of this episode whose desktop died while the agent acted.
        on_tamper: the score when this happens again: `zero` or `unscored`.
        task_json: the task file's content, for the record.
        hidden: as `Goal.hidden`.
        ask: returns the user's answer to a question from the agent.
        step_seconds: the most seconds that a step may take, or None for `Plan.step_within`'s own limit.
    """

    task: Task
    agent_name: str
    provider_name: str
    assets: Path
    repeat: int = 0
    attempt: int = 1
    seed: int = 0
    max_steps: int | None = None
    max_seconds: float | None = None
    policy: str = "settled"
    osworld_strict: Revision | None = None
    code_allowed: bool = False
    budget_usd: float | None = None
    deaths: int = 0
    on_tamper: str = "zero"
    task_json: Mapping[str, object] = field(default_factory=dict)
    hidden: tuple[Path, ...] = ()
    ask: Callable[[str], str] = lambda question: NOBODY
    step_seconds: float | None = None

    @property
    def steps(self) -> int:
        """The most decisions the agent may make."""
        return self.max_steps or self.task.limits.steps or MAX_STEPS

    @property
    def seconds(self) -> float:
        """The most seconds the episode may take."""
        return self.max_seconds or self.task.limits.seconds or MAX_SECONDS

    def step_within(self, left: float) -> float:
        """The most seconds that the next step may take, if the episode has so many left."""
        return self.step_seconds or max(left, 0.0) + STEP_SECONDS


@dataclass
class Doing:
    """What an episode does at the moment, for display and for whoever watches over it.

    Attributes:
        phase: what is done if it is not the agent's turn, or empty.
        step: number of the last decision, from 1; 0 before the first.
        actions: the actions of the last decision.
        alive: called before each part of the episode with the most seconds that this part may take.
    """

    phase: str = "start the desktop"
    step: int = 0
    actions: tuple[Action, ...] = ()
    alive: Callable[[float], None] = lambda seconds: None


class Peek:
    """Sent to `play` in place of a decision: asks for the score of the desktop as it is. It is no step."""


@dataclass(frozen=True)
class Ended:
    """The end of an episode.

    Attributes:
        record: what was written.
        score: the score, with the outcome of every check.
        observation: the last one, or None if the desktop failed before the first.
        error: the error that ended the episode or kept it from being scored, or None.
    """

    record: EpisodeRecord
    score: Score
    observation: Observation | None
    error: Exception | None


Playing = Generator[Goal | Observation | Score, Decision | Peek | None, Ended]
"""An episode that is driven from outside; see `play`."""
Parts = Generator[Goal | Observation | Score, Decision | Peek | None, tuple[Ending, Score]]
Turns = Generator[Goal | Observation | Score, Decision | Peek | None, tuple[Ending, Observation]]


@dataclass
class _Run:
    """The state of a running episode."""

    plan: Plan
    limited: Limited
    interrupted: Callable[[], bool]
    began: float = field(default_factory=wait.now)
    started: float = field(default_factory=time.time)
    usage: Usage = field(default_factory=Usage)
    unscored: str | None = None
    totals: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    last: Action | None = None
    screen: tuple[int, int] = (0, 0)
    deadline: float = 0.0
    acted: bool = False
    deaths: int = 0
    permanent: bool = False
    fatal: ModelFatal | None = None
    cause: Exception | None = None
    shown: Observation | None = None
    doing: Doing = field(default_factory=Doing)

    @property
    def steps(self) -> int:
        """Decisions so far."""
        return int(self.totals.get("steps", 0))

    def add(self, name: str, value: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + value

    def seen(self, observation: Observation) -> Observation:
        for name in ("act_ms", "settle_ms", "roundtrip_ms"):
            self.add(name, getattr(observation, name))
        self.shown = observation
        return observation


def run_episode(
    plan: Plan,
    agent: Agent,
    desktop: Desktop | Exception,
    writer: EpisodeWriter,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    reset_ms: float = 0.0,
    doing: Doing | None = None,
) -> EpisodeRecord:
    """Prepare, loop, score and record.

    Args:
        plan: the episode to run.
        agent: a new agent.
        desktop: a fresh desktop, or the error that kept it from starting.
        writer: writes the episode's record.
        interrupted: whether the run is to stop.
        reset_ms: milliseconds that the desktop took to start.
        doing: is kept up to date, for display; it learns how long each part may take.

    Raises:
        ModelFatal: no other episode of this run can succeed; raised after this episode was recorded.
        StorageError: the run folder cannot be written.
        UsageError: the user made a mistake that could not be found earlier.
    """
    playing = play(
        plan,
        desktop,
        writer,
        needs=lambda: agent.needs,
        close=agent.close,
        interrupted=interrupted,
        reset_ms=reset_ms,
        doing=doing,
    )
    with closing(playing):
        return _driven(playing, agent).record


def _driven(playing: Playing, agent: Agent) -> Ended:
    """Let an agent play an episode to its end."""
    try:
        shown = next(playing)
        while True:
            try:
                decision = _answer(agent, shown)
            except Exception as error:  # noqa: BLE001  (`play` decides what it means)
                shown = playing.throw(error)
            else:
                shown = playing.send(decision)
    except StopIteration as end:
        ended: Ended = end.value
        return ended


def _answer(agent: Agent, shown: Goal | Observation | Score) -> Decision | None:
    if isinstance(shown, Observation):
        return _decide(agent, shown)
    if isinstance(shown, Goal):
        with _theirs(agent):
            agent.start(shown)
    return None


def play(
    plan: Plan,
    desktop: Desktop | Exception,
    writer: EpisodeWriter,
    *,
    needs: Callable[[], Needs] = Needs,
    close: Callable[[], None] = lambda: None,
    interrupted: Callable[[], bool] = lambda: False,
    reset_ms: float = 0.0,
    doing: Doing | None = None,
) -> Playing:
    """Prepare, loop, score and record, driven from outside.

    It yields the goal of each part of the task; the answer to that is None. Then it yields observations; the answer to
    each is a decision, a `Peek` (it then yields a score and waits again), or None, which ends the episode as
    interrupted. An `AgentError` that is thrown into it ends the episode as that of an agent. The generator returns how
    the episode ended; closing it early leaves the episode without a record.

    Args:
        plan: the episode to run.
        desktop: a fresh desktop, or the error that kept it from starting.
        writer: writes the episode's record.
        needs: what the observations have to show, asked for after the goal was yielded.
        close: releases the agent; called before the record is finished.
        interrupted: whether the run is to stop.
        reset_ms: milliseconds that the desktop took to start.
        doing: is kept up to date, for display; it learns how long each part may take.

    Raises:
        ModelFatal, StorageError, UsageError: as `run_episode`.
    """
    run = _Run(plan, Limited(desktop, interrupted), interrupted, totals={"reset_ms": reset_ms}, deaths=plan.deaths)
    run.doing = doing or run.doing
    world = World(cast(Desktop, run.limited), plan.task, writer.files, plan.assets)
    with ExitStack() as ends:
        ends.callback(_closed, close, writer)
        try:
            context = _context(run, world, writer)
            ends.callback(_closed, context.close, writer)
            ending, found = yield from _play(run, needs, context, world, writer)
        except EnvError as error:
            ending, found = _broke_off(run, writer, error)
        except (UsageError, StorageError):
            raise
        except CheckError as error:
            ending, found = Ending.AGENT_ERROR, Score.none(f"the task is broken: {error}")
            _note_error(run, writer, error)
        except Exception as error:  # noqa: BLE001  (the boundary of an episode: our bug in one must not end others)
            ending, found = _crashed(run, writer, error)
    record = _finished(run, world, writer, ending, found)
    if run.fatal is not None:
        raise run.fatal
    return Ended(record, found, run.shown, run.cause)


def _context(run: _Run, world: World, writer: EpisodeWriter) -> Context:
    run.screen = world.desktop.health().screen
    return Context(world.desktop, run.plan.task, writer.files, run.plan.assets, run.screen, writer.note)


def _broke_off(run: _Run, writer: EpisodeWriter, error: EnvError) -> tuple[Ending, Score]:
    """A failure of the desktop is not scored, unless the desktop dies twice while the agent acts.

    Three kinds of failures never count against the agent: failures in set-up, failures that would happen on any
    desktop, and failures that come from stopping the run.
    """
    _note_error(run, writer, error)
    if run.interrupted():
        return Ending.INTERRUPTED, Score.none("the run was interrupted")
    run.permanent = _permanent(error) or (not run.acted and _unfit(error))
    if run.acted and not run.permanent and not isinstance(error, (StartError, SetupError)):
        run.deaths += 1
        if run.deaths > 1:
            reason = f"the desktop died twice while the agent acted: {error}"
            return Ending.ENV_ERROR, Score(value=0.0 if run.plan.on_tamper == "zero" else None, reason=reason)
    whose = "" if isinstance(error, AssetError) else "the desktop failed: "
    return Ending.ENV_ERROR, Score.none(f"{whose}{error}")


def _permanent(error: BaseException | None) -> bool:
    """Whether this error, or one of its causes, would happen again on another desktop."""
    while error is not None:
        if isinstance(error, EnvError) and error.permanent:
            return True
        error = error.__cause__
    return False


def _unfit(error: EnvError) -> bool:
    """Whether a set-up step failed because its input is unfit; another desktop would not change that."""
    return isinstance(error, SetupError) and isinstance(error.__cause__, Unfit)


def _crashed(run: _Run, writer: EpisodeWriter, error: Exception) -> tuple[Ending, Score]:
    _note_error(run, writer, error)
    return Ending.CRASHED, Score.none(f"deskbench failed: {run.error}")


def _closed(close: Callable[[], None], writer: EpisodeWriter) -> None:
    """Close something; an error is recorded and otherwise ignored."""
    try:
        close()
    except Exception as error:  # noqa: BLE001  (the boundary to agents and tasks)
        writer.note("error", {"error": f"closing: {_named(error)}", "traceback": _traced(error)})


def _finished(run: _Run, world: World, writer: EpisodeWriter, ending: Ending, found: Score) -> EpisodeRecord:
    """Write episode.json; if that fails, write it without the answer, the end state and a score."""
    try:
        record = _record(run, world, ending, found)
        writer.finish(record)
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  (the boundary to data from desktops and agents)
        ending, found = _crashed(run, writer, error)
        record = _record(run, World(world.desktop, world.task, world.cache, world.assets), ending, found)
        writer.finish(record)
    return record


def _play(run: _Run, needs: Callable[[], Needs], context: Context, world: World, writer: EpisodeWriter) -> Parts:
    """Play the parts of the task in order, until a gate stays closed; most tasks have one part."""
    with _setting_up(run):
        parts = prepare(context, world, strict=run.plan.osworld_strict)
    run.deadline = wait.now() + run.plan.seconds
    scores: list[Score] = []
    for part in parts:
        with _setting_up(run):
            part.begin()
        ending, observation = yield from _loop(run, needs, world, writer, part)
        if part is parts[-1] or ending not in GOES_ON:
            writer.final(observation)
        scores.append(_score(run, world, part, ending))
        if len(parts) > 1:
            writer.note(
                "phase",
                {"name": part.name, "told": part.instruction, "ending": ending.value, "score": scores[-1].value},
            )
        if part is parts[-1] or ending not in GOES_ON:
            break
        if not opens(part, scores[-1]):
            writer.final(observation)
            break
    return ending, together(parts, scores)


@contextmanager
def _timed(run: _Run, name: str) -> Iterator[None]:
    began = wait.now()
    try:
        yield
    finally:
        run.add(name, (wait.now() - began) * 1e3)


@contextmanager
def _setting_up(run: _Run) -> Iterator[None]:
    run.doing.phase = "set up the task"
    run.doing.alive(SETUP_SECONDS + GRACE_SECONDS)
    with _timed(run, "setup_ms"), run.limited.within(SETUP_SECONDS, "set-up"):
        try:
            yield
        except Unfit as error:
            raise SetupError(str(error)) from error


def _loop(run: _Run, needs: Callable[[], Needs], world: World, writer: EpisodeWriter, part: Part) -> Turns:
    """Observe, take a decision, record and act until the episode ends; returns the ending and the last observation."""
    plan, desktop = run.plan, world.desktop
    max_steps = plan.steps
    run.last = None
    run.doing.phase = ""
    run.doing.alive(plan.step_within(run.deadline - wait.now()))
    failed = None
    try:
        yield _goal(run, max_steps, part.instruction, writer)
    except AgentError as error:
        failed = error
    observation = run.seen(desktop.observe(_look(plan, needs())))
    if failed is not None:
        return _agent_failed(run, writer, failed), observation
    for index in range(run.steps, max_steps):
        if (ending := _out_of(run)) is not None:
            return ending, observation
        run.doing.alive(plan.step_within(run.deadline - wait.now()))
        writer.looks(observation)
        try:
            decision = yield observation
            while isinstance(decision, Peek):
                decision = yield _peeked(run, world, part)
            if decision is None:
                return Ending.INTERRUPTED, observation
            writer.step(index, observation, _counted(run, decision))
            observation = run.seen(_carry_out(run, decision, desktop, needs()))
        except AgentError as error:
            undecided = isinstance(error, Undecided)
            ending = (_out_of(run) or Ending.TIME_LIMIT) if undecided else _agent_failed(run, writer, error)
            if error.decision is not None:  # it holds the cost of the failed step
                writer.step(index, observation, _counted(run, error.decision))
            return ending, observation
        if (ending := _said(run, decision.actions)) is not None:
            return ending, observation
    return Ending.STEP_LIMIT, observation


def _peeked(run: _Run, world: World, part: Part) -> Score:
    """The score of the desktop as it is, if scoring leaves it as it is; costs the agent no time."""
    if part.changes:
        return Score.none("the checks of this task change the desktop, so only the end state is scored")
    began, state, kept = wait.now(), dict(world.state), world.kept
    try:
        return _judged(run, part, said_fail=False)
    finally:
        world.state, world.kept = state, kept
        run.deadline += wait.now() - began


def _goal(run: _Run, max_steps: int, instruction: str, writer: EpisodeWriter) -> Goal:
    plan = run.plan
    return Goal(
        instruction=instruction,
        width=run.screen[0],
        height=run.screen[1],
        code_allowed=_code_allowed(plan),
        max_steps=max_steps - run.steps,
        seed=plan.seed,
        seconds=run.deadline - wait.now(),
        files=writer.agent,
        hidden=plan.hidden,
        interrupted=run.interrupted,
    )


def _look(plan: Plan, needs: Needs) -> Observe:
    return Observe(
        policy=plan.policy,
        screenshot=needs.screenshot,
        accessibility=needs.accessibility,
        terminal=needs.terminal,
    )


def _out_of(run: _Run) -> Ending | None:
    """The ending if the run was interrupted, or the time or the budget is spent; else None."""
    if run.interrupted():
        return Ending.INTERRUPTED
    if wait.now() > run.deadline:
        return Ending.TIME_LIMIT
    cost = run.usage.cost_usd
    if run.plan.budget_usd is not None and cost is not None and cost >= run.plan.budget_usd:
        return Ending.BUDGET
    return None


def _counted(run: _Run, decision: Decision) -> Decision:
    run.doing.step, run.doing.actions = run.doing.step + 1, decision.actions
    run.usage = run.usage + decision.usage
    run.add("steps", 1)
    run.add("actions", len(decision.actions))
    run.add("model_ms", decision.model_ms)
    return decision


def _decide(agent: Agent, observation: Observation) -> Decision:
    with _theirs(agent):
        decision: object = agent.act(observation)
        if not isinstance(decision, Decision):
            raise TypeError(f"act() returned {type(decision).__name__}, which is not a Decision")
        for action in decision.actions:
            if not isinstance(action, tuple(ACTION_TYPES.values())):
                raise TypeError(f"act() decided on {action!r}, which is not an action")
        return decision


@contextmanager
def _theirs(agent: Agent) -> Iterator[None]:
    """The boundary to agents, including users' own: a bug in their code becomes AgentCrash; known errors pass."""
    try:
        yield
    except (AgentError, CheckError, EnvError, StorageError, UsageError):
        raise
    except Exception as error:
        raise AgentCrash(f"{agent.name}: {_named(error)}") from error


def _said(run: _Run, actions: Sequence[Action]) -> Ending | None:
    """The ending if the agent's last action is Done or Fail; else None."""
    run.last = actions[-1] if actions else None
    if isinstance(run.last, Done):
        return Ending.DONE
    return Ending.FAILED if isinstance(run.last, Fail) else None


def _code_allowed(plan: Plan) -> bool:
    return plan.code_allowed and plan.task.requires.code


def _carry_out(run: _Run, decision: Decision, desktop: Desktop, needs: Needs) -> Observation:
    """Carry out a decision in one round trip and observe.

    This refuses code that is not allowed or has no time left, and all actions after it, whatever the agent believes.
    A question goes to the task's user. A zoom changes nothing, because the agent already has the whole picture.

    Raises:
        ModelError: the endpoint that plays the user failed.
    """
    actions = decision.actions
    allowed, why = _allowed(run, actions)
    run.acted = run.acted or not all(isinstance(action, INERT) for action in allowed)
    observation = desktop.act(allowed, _look(run.plan, needs))
    if len(allowed) < len(actions):
        refused = ActionResult(False, why)
        results = observation.results + (refused,) * (len(actions) - len(allowed))
        observation = replace(observation, results=results)
    questions = [action.text or "" for action in actions if isinstance(action, AskUser)]
    if questions:
        observation = replace(observation, answer="\n".join(run.plan.ask(question) for question in questions))
    return observation


def _allowed(run: _Run, actions: Sequence[Action]) -> tuple[tuple[Action, ...], str]:
    """The actions to carry out, with waits cut to the time that is left, and why the next action is refused."""
    left = run.deadline - wait.now()
    kept: list[Action] = []
    for action in actions:
        if isinstance(action, Exec) and not _code_allowed(run.plan):
            return tuple(kept), NO_CODE
        if isinstance(action, Exec) and kept and left <= 0:
            return tuple(kept), NO_TIME
        longest = _longest(action)
        if isinstance(action, Wait) and longest > left:
            longest = max(0.0, left)
            action = Wait(longest)  # noqa: PLW2901
        left -= longest
        kept.append(action)
    return tuple(kept), ""


def _longest(action: Action) -> float:
    """The most seconds that an action itself takes."""
    if isinstance(action, Wait):
        return SETTLING if action.seconds is None else action.seconds
    if isinstance(action, Type):
        return len(action.text) * CHARACTER
    return CODE if isinstance(action, Exec) else 0.0


def _agent_failed(run: _Run, writer: EpisodeWriter, error: AgentError) -> Ending:
    """Record an agent's error. Its own fault counts and is scored; an endpoint's failure or a crash is not scored."""
    _note_error(run, writer, error)
    if isinstance(error, AgentCrash):
        run.unscored = f"the agent's code failed: {error}"
        return Ending.AGENT_CRASH
    if isinstance(error, ModelError):
        run.unscored = f"the model's endpoint failed: {error}"
    if isinstance(error, ModelFatal):
        run.fatal = error
    return Ending.REFUSED if isinstance(error, RefusalError) else Ending.AGENT_ERROR


def _note_error(run: _Run, writer: EpisodeWriter, error: Exception) -> None:
    run.cause, run.error = error, _named(error)
    writer.note("error", {"error": run.error, "traceback": _traced(error)})


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _traced(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def _score(run: _Run, world: World, part: Part, ending: Ending) -> Score:
    if ending is Ending.INTERRUPTED:
        return Score.none("the run was interrupted")
    if run.unscored is not None:
        return Score.none(run.unscored)
    run.doing.phase = "score the end state"
    run.doing.alive(SCORE_SECONDS + GRACE_SECONDS)
    if isinstance(run.last, Done):
        world.answer = run.last.answer
    return _judged(run, part, said_fail=ending is Ending.FAILED)


def _judged(run: _Run, part: Part, *, said_fail: bool) -> Score:
    try:
        with _timed(run, "score_ms"), run.limited.within(SCORE_SECONDS, "scoring"):
            return part.judge(said_fail)
    except Unfit as error:
        return Score(value=0.0, reason=str(error))
    except CheckError as error:
        run.cause, run.error = error, f"CheckError: {error}"
        return Score.none(f"the check failed: {error}")


def _record(run: _Run, world: World, ending: Ending, found: Score) -> EpisodeRecord:
    plan, task = run.plan, run.plan.task
    wall_ms = (wait.now() - run.began) * 1e3 + run.totals.get("reset_ms", 0.0)
    return EpisodeRecord(
        task=task.key,
        task_id=task.id,
        suite=task.suite,
        instruction=task.instruction,
        task_sha256=task.sha256,
        feasible=task.feasible,
        attempt=plan.attempt,
        repeat=plan.repeat,
        agent=plan.agent_name,
        provider=plan.provider_name,
        seed=plan.seed,
        width=run.screen[0],
        height=run.screen[1],
        policy=plan.policy,
        max_steps=plan.steps,
        max_seconds=plan.seconds,
        osworld_strict=plan.osworld_strict,
        started=run.started,
        finished=time.time(),
        ending=ending,
        score=ScoreRecord.model_validate(found.model_dump(mode="json")),
        deaths=run.deaths,
        tampered=run.deaths > 1,
        permanent=run.permanent,
        error=run.error,
        answer=world.answer,
        totals=Totals(**run.totals, wall_ms=wall_ms, usage=usage_record(run.usage)),  # type: ignore[arg-type]
        task_path=str(task.path.resolve()),
        task_json=dict(plan.task_json),
        state=world.state,
    )

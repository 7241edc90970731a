"""The episode loop. Live runs, the oracle, baselines and replays all go through `run_episode`."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
    Usage,
)
from deskbench.agent.config import MAX_SECONDS, MAX_STEPS
from deskbench.agent.limits import SCORE_SECONDS, SETUP_SECONDS, Limited
from deskbench.agent.runs.record import EpisodeRecord, EpisodeWriter, ScoreRecord, Totals, usage_record
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
        ask: returns the user's answer to a question from the agent.
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
    ask: Callable[[str], str] = lambda question: NOBODY

    @property
    def steps(self) -> int:
        """The most decisions the agent may make."""
        return self.max_steps or self.task.limits.steps or MAX_STEPS

    @property
    def seconds(self) -> float:
        """The most seconds the episode may take."""
        return self.max_seconds or self.task.limits.seconds or MAX_SECONDS


@dataclass
class _Run:
    """The state of a running episode."""

    plan: Plan
    limited: Limited
    interrupted: Callable[[], bool]
    began: float = field(default_factory=time.monotonic)
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

    @property
    def steps(self) -> int:
        """Decisions so far."""
        return int(self.totals.get("steps", 0))

    def add(self, name: str, value: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + value

    def seen(self, observation: Observation) -> Observation:
        for name in ("act_ms", "settle_ms", "roundtrip_ms"):
            self.add(name, getattr(observation, name))
        return observation


def run_episode(
    plan: Plan,
    agent: Agent,
    desktop: Desktop | Exception,
    writer: EpisodeWriter,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    reset_ms: float = 0.0,
) -> EpisodeRecord:
    """Prepare, loop, score and record.

    Args:
        plan: the episode to run.
        agent: a new agent.
        desktop: a fresh desktop, or the error that kept it from starting.
        writer: writes the episode's record.
        interrupted: whether the run is to stop.
        reset_ms: milliseconds that the desktop took to start.

    Raises:
        ModelFatal: no other episode of this run can succeed; raised after this episode was recorded.
        StorageError: the run folder cannot be written.
        UsageError: the user made a mistake that could not be found earlier.
    """
    run = _Run(plan, Limited(desktop, interrupted), interrupted, totals={"reset_ms": reset_ms}, deaths=plan.deaths)
    world = World(cast(Desktop, run.limited), plan.task, writer.files, plan.assets)
    with ExitStack() as ends:
        ends.callback(_closed, agent.close, writer)
        try:
            context = _context(run, world, writer)
            ends.callback(_closed, context.close, writer)
            ending, found = _play(run, agent, context, world, writer)
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
    return record


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


def _play(run: _Run, agent: Agent, context: Context, world: World, writer: EpisodeWriter) -> tuple[Ending, Score]:
    """Play the parts of the task in order, until a gate stays closed; most tasks have one part."""
    with _setting_up(run):
        parts = prepare(context, world, strict=run.plan.osworld_strict)
    run.deadline = time.monotonic() + run.plan.seconds
    scores: list[Score] = []
    for part in parts:
        with _setting_up(run):
            part.begin()
        ending, observation = _loop(run, agent, world.desktop, writer, part.instruction)
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
    began = time.monotonic()
    try:
        yield
    finally:
        run.add(name, (time.monotonic() - began) * 1e3)


@contextmanager
def _setting_up(run: _Run) -> Iterator[None]:
    with _timed(run, "setup_ms"), run.limited.within(SETUP_SECONDS, "set-up"):
        try:
            yield
        except Unfit as error:
            raise SetupError(str(error)) from error


def _loop(
    run: _Run, agent: Agent, desktop: Desktop, writer: EpisodeWriter, instruction: str
) -> tuple[Ending, Observation]:
    """Observe, decide, record and act until the episode ends; returns the ending and the last observation."""
    plan = run.plan
    max_steps = plan.steps
    run.last = None
    failed = _started(agent, _goal(run, max_steps, instruction))
    observation = run.seen(desktop.observe(_look(plan, agent.needs)))
    if failed is not None:
        return _agent_failed(run, writer, failed), observation
    for index in range(run.steps, max_steps):
        if (ending := _out_of(run)) is not None:
            return ending, observation
        try:
            decision = _decide(agent, observation)
            writer.step(index, observation, _counted(run, decision))
            observation = run.seen(_carry_out(run, decision, desktop, agent.needs))
        except AgentError as error:
            ending = _agent_failed(run, writer, error)
            if error.decision is not None:  # it holds the cost of the failed step
                writer.step(index, observation, _counted(run, error.decision))
            return ending, observation
        if (ending := _said(run, decision.actions)) is not None:
            return ending, observation
    return Ending.STEP_LIMIT, observation


def _goal(run: _Run, max_steps: int, instruction: str) -> Goal:
    plan = run.plan
    return Goal(
        instruction=instruction,
        width=run.screen[0],
        height=run.screen[1],
        code_allowed=_code_allowed(plan),
        max_steps=max_steps - run.steps,
        seed=plan.seed,
        seconds=run.deadline - time.monotonic(),
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
    if time.monotonic() > run.deadline:
        return Ending.TIME_LIMIT
    cost = run.usage.cost_usd
    if run.plan.budget_usd is not None and cost is not None and cost >= run.plan.budget_usd:
        return Ending.BUDGET
    return None


def _counted(run: _Run, decision: Decision) -> Decision:
    run.usage = run.usage + decision.usage
    run.add("steps", 1)
    run.add("actions", len(decision.actions))
    run.add("model_ms", decision.model_ms)
    return decision


def _started(agent: Agent, goal: Goal) -> AgentError | None:
    """Give the agent its task; returns the error if it cannot begin, else None."""
    try:
        with _theirs(agent):
            agent.start(goal)
    except AgentError as error:
        return error
    return None


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
    except (AgentError, CheckError, EnvError, StorageError):
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
    left = run.deadline - time.monotonic()
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
    run.error = _named(error)
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
    if isinstance(run.last, Done):
        world.answer = run.last.answer
    try:
        with _timed(run, "score_ms"), run.limited.within(SCORE_SECONDS, "scoring"):
            return part.judge(ending is Ending.FAILED)
    except Unfit as error:
        return Score(value=0.0, reason=str(error))
    except CheckError as error:
        run.error = f"CheckError: {error}"
        return Score.none(f"the check failed: {error}")


def _record(run: _Run, world: World, ending: Ending, found: Score) -> EpisodeRecord:
    plan, task = run.plan, run.plan.task
    wall_ms = (time.monotonic() - run.began) * 1e3 + run.totals.get("reset_ms", 0.0)
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

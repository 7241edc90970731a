"""Run one attempt on a desktop of this process. Every engine does it so, wherever the process is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deskbench.agent.base import Agent, AgentCrash, Decision, Goal, Needs
from deskbench.agent.build import ASSETS, Prepared
from deskbench.agent.engines.base import Attempt
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.runs.ledger import Planned
from deskbench.agent.runs.record import EpisodeWriter
from deskbench.agent.user import user_of
from deskbench.agent.watched import watched
from deskbench.envs import wait
from deskbench.envs.desktop import Desktop, DesktopSpec, Provider
from deskbench.envs.errors import StorageError, UsageError
from deskbench.envs.types import Observation
from deskbench.tasks.types import Task


def perform(attempt: Attempt, prepared: Prepared, provider: Provider, end_seconds: float) -> None:
    """Start a desktop, run the attempt on it, and stop it.

    Args:
        attempt: what to run.
        prepared: the run that it belongs to.
        provider: starts the desktop.
        end_seconds: how long the end of the desktop may take.

    Raises:
        ModelFatal, StorageError, UsageError: as `run_episode`.
    """
    writer = EpisodeWriter(attempt.folder, attempt.hand_in)
    try:
        _with_desktop(attempt, prepared, provider, writer, end_seconds)
    finally:
        writer.close()


def _with_desktop(
    attempt: Attempt, prepared: Prepared, provider: Provider, writer: EpisodeWriter, end_seconds: float
) -> None:
    plan, worker, began = attempt.plan, attempt.worker, wait.now()
    desktop = started(provider, prepared.spec(plan.task))
    if not isinstance(desktop, Exception):
        worker.desktop = desktop
    attempt.begin()
    try:
        with watched(prepared.config, desktop, writer):
            run_episode(
                plan,
                made(prepared.make_agent, plan.task),
                desktop,
                writer,
                interrupted=attempt.interrupted,
                reset_ms=(wait.now() - began) * 1e3,
                doing=attempt.doing,
            )
    finally:
        worker.alive(end_seconds)
        mine = worker.take()
        if mine is not None:
            stopped(provider, mine, writer)


def plan_of(
    prepared: Prepared, task: Task, episode: Planned, number: int, *, deaths: int = 0, record: Path | None = None
) -> Plan:
    """The plan of an attempt, by the settings of its run; `deaths` as in `Plan`; `record` is the run's folder."""
    config = prepared.config
    expected = task.path if Path(config.source).is_file() else task.folder
    return Plan(
        task=task,
        agent_name=config.agent,
        provider_name=config.provider,
        assets=ASSETS,
        repeat=episode.repeat,
        attempt=number,
        seed=episode.seed,
        max_steps=config.max_steps,
        max_seconds=config.max_seconds,
        policy=config.policy,
        osworld_strict=config.osworld_strict,
        code_allowed=config.code_allowed,
        budget_usd=config.episode_budget_usd,
        deaths=deaths,
        on_tamper=config.on_tamper,
        task_json=prepared.files[task.key],
        hidden=(expected.absolute(), *([] if record is None else [record.absolute()])),
        ask=user_of(task, config),
        step_seconds=config.step_seconds,
    )


def made(make_agent: Callable[[Task], Agent], task: Task) -> Agent:
    """An agent for a task; one that cannot be made becomes an agent that fails with the reason."""
    try:
        return make_agent(task)
    except (UsageError, StorageError):
        raise
    except Exception as error:  # noqa: BLE001  (the boundary to agents, users' own among them)
        return _NeverMade(error)


def started(provider: Provider, spec: DesktopSpec) -> Desktop | Exception:
    """A desktop, or the error that kept it from starting; the episode is then recorded with this error."""
    try:
        return provider.start(spec)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001  (the boundary to providers, users' own among them)
        return error


def stopped(provider: Provider, desktop: Desktop, writer: EpisodeWriter | None = None) -> None:
    """Stop the desktop of an episode; an error is recorded, if there is a writer, and otherwise ignored."""
    try:
        provider.stop(desktop)
    except Exception as error:  # noqa: BLE001  (the boundary to providers; the episode is recorded, and counts)
        if writer is not None:
            writer.note("error", {"error": f"stopping the desktop: {type(error).__name__}: {error}"})


class _NeverMade:
    """Stands in for an agent that could not be made, so that the episode is recorded with the error."""

    name = "never-made"
    needs = Needs()

    def __init__(self, error: Exception) -> None:
        self._error = error

    def start(self, goal: Goal) -> None:
        raise AgentCrash(f"the agent cannot be made: {self._error}") from self._error

    def act(self, observation: Observation) -> Decision:
        raise AgentCrash(f"the agent cannot be made: {self._error}") from self._error

    def close(self) -> None:
        """Nothing to release."""

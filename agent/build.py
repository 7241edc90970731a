"""Turn names into objects: the only module that knows every agent and every provider."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from platformdirs import user_cache_path

from deskbench.agent.agents.profile import profile_names
from deskbench.agent.base import Agent, Checked, Configured, Needs
from deskbench.agent.config import RunConfig
from deskbench.agent.statistics.protocol import NOTHING
from deskbench.agent.user import lacks_player
from deskbench.envs.actions import nearest
from deskbench.envs.desktop import DesktopSpec, Provider
from deskbench.envs.errors import AgentCrash, DeskbenchError, UsageError
from deskbench.envs.redact import KNOWN, secret_of, secrets_in, without_logins
from deskbench.tasks.load import check_all, skip_reason
from deskbench.tasks.taskfile import Problem
from deskbench.tasks.types import Task

AGENTS = {
    "oracle": "deskbench.agent.agents.scripted:OracleAgent",
    "null": "deskbench.agent.agents.simple:NullAgent",
    "fail": "deskbench.agent.agents.simple:FailAgent",
    "random": "deskbench.agent.agents.simple:RandomAgent",
    "human": "deskbench.agent.agents.human:HumanAgent",
    "vlm": "deskbench.agent.agents.vlm:VlmAgent",
    "mixture": "deskbench.agent.agents.mixture:MixtureAgent",
    "program": "deskbench.agent.programs.agent:ProgramAgent",
}
FAMILIES = "deskbench.agent.agents.family:FamilyAgent"
PROVIDERS = {
    "local": "deskbench.envs.providers.local:LocalProvider",
    "docker": "deskbench.envs.providers.docker.osworld:make",
    "wine": "deskbench.envs.providers.wine:WineProvider",
    "qemu": "deskbench.envs.providers.qemu.provider:QemuProvider",
    "remote": "deskbench.envs.providers.remote:RemoteProvider",
    "fake": "deskbench.envs.providers.fake:FakeProvider",
}
BLIND = ("oracle", "null", "fail", "random")
"""Agents whose decisions do not depend on what they see."""
TAKE_ARGUMENTS = ("docker", "qemu", "remote")
DESKTOP_PATH = "/usr/bin:/bin:/usr/games"
"""Where the local provider's desktops find programs."""
ASSETS = user_cache_path("deskbench") / "assets"
"""Folder of downloads, shared by all runs of one user."""


@dataclass(frozen=True)
class Prepared:
    """A run whose names are all resolved, before any machine starts.

    Attributes:
        config: the configuration, unchanged.
        tasks: the tasks to run.
        skipped: tasks that this desktop cannot run, each with the reason.
        make_agent: makes an agent for one episode of a task.
        files: the content of the task files when they were read, by task key; for the record.
        made_of: what the provider's desktops consist of; for the record.
        observation: what the agent sees, in the words of the setting `observation`; for the record.
        warnings: the parts of the task files that are not read.
        spec: the desktop that a task needs.
    """

    config: RunConfig
    tasks: tuple[Task, ...]
    skipped: tuple[tuple[Task, str], ...]
    make_agent: Callable[[Task], Agent]
    files: Mapping[str, dict[str, Any]] = field(repr=False)
    made_of: Mapping[str, str] = field(default_factory=dict)
    observation: str = ""
    warnings: tuple[Problem, ...] = ()

    def spec(self, task: Task) -> DesktopSpec:
        """The desktop that a task needs."""
        config = self.config
        network = task.requires.network if config.network else "off"
        return DesktopSpec(config.width, config.height, network=network, isolated=config.isolated)


def lookup(kind: str, names: dict[str, str], name: str) -> Any:
    """Find a class by its short name or as package.module:Class.

    Raises:
        UsageError: the name is unknown, or the class cannot be imported.
    """
    dotted = names.get(name, name if ":" in name else None)
    if dotted is None:
        raise UsageError(f"unknown {kind} {name!r}{nearest(name, names)}")
    module, _, attribute = dotted.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the boundary to users' own modules
        known = isinstance(error, (ImportError, AttributeError))
        why = str(error) if known else f"{type(error).__name__}: {error}"
        raise UsageError(f"{kind} {name!r} cannot be imported: {why}") from error
    if not callable(found):
        raise UsageError(f"{kind} {name!r} is a {type(found).__name__}, not a class")
    return found


def make_provider(name: str) -> Provider:
    """Make a provider by name; the text after a short name's colon is its argument (`remote:http://10.0.0.5:5000`).

    Raises:
        UsageError: the provider is unknown or cannot be imported, or its argument is wrong.
    """
    short, colon, argument = name.partition(":")
    with_argument = bool(colon) and short in PROVIDERS
    made = lookup("provider", PROVIDERS, short if with_argument else name)
    if with_argument and short not in TAKE_ARGUMENTS:
        raise UsageError(f"provider {short!r} takes no argument; given: {argument!r}")
    provider: Provider = made(argument) if with_argument else made()
    return provider


def with_image(provider: str | None, image: str | None) -> str | None:
    """A provider's name with an image as its argument; an image alone means the provider `docker`.

    Raises:
        UsageError: the provider's name already has an argument.
    """
    if image is None:
        return provider
    name = provider or "docker"
    if ":" in name:
        raise UsageError(f"--image {image}: the provider {name} already says what to start")
    return f"{name}:{image}"


def prepare(config: RunConfig) -> Prepared:
    """Read all tasks and resolve all names.

    Raises:
        UsageError: names the first mistake.
    """
    _learn_secrets(config)
    provider = make_provider(config.provider)
    made_of, system = provider.describe(), provider.platform
    provider.close()
    if config.agent == "human" and config.parallel > 1:
        raise UsageError("agent human: one person uses one desktop; leave out --parallel")
    make_agent = agent_maker(config)
    found = check_all(config.source, split=config.split, host_files=config.host_files)
    tasks = _chosen(list(found.usable()), config.only)
    kept, skipped = [], []
    apps = {app: shutil.which(app, path=DESKTOP_PATH) is not None for task in tasks for app in task.requires.apps}
    for task in tasks:
        reason = _skip(config, task, apps, system)
        if reason is None:
            kept.append(task)
        else:
            skipped.append((task, reason))
    needs = _try_agent(config.agent, lambda: make_agent(kept[0])) if kept else Needs()
    files = {task.key: task.written for task in kept}
    seen = NOTHING if config.agent in BLIND else config.agent_settings.get("observation") or _observation(needs)
    return Prepared(config, tuple(kept), tuple(skipped), make_agent, files, made_of, seen, found.warnings)


def _observation(needs: Needs) -> str:
    named = {"screenshot": needs.screenshot, "a11y_tree": needs.accessibility, "terminal": needs.terminal}
    return "_".join(name for name, wanted in named.items() if wanted) or NOTHING


def _learn_secrets(config: RunConfig) -> None:
    """Learn the secrets that must not be written, and refuse a setting that is a secret: run.json would hold it.

    Raises:
        UsageError: names the setting.
    """
    KNOWN.add(*secrets_in(os.environ))
    settings = {
        **config.agent_settings, "provider": config.provider, "user_base_url": config.user_base_url or "",
        "results_url": config.results_url or "",
    }  # fmt: skip
    for name, value in settings.items():
        if name.endswith("_env"):
            secret_of(value)
        if without_logins(value) != value:
            raise UsageError(f"{name} is a URL that contains a user or a password: put keys in environment variables")


def _try_agent(name: str, make: Callable[[], Agent]) -> Needs:
    """Find wrong settings and unreachable endpoints now, before the first desktop starts; returns what it needs.

    Raises:
        UsageError, AgentError: the agent's own errors.
        AgentCrash: the agent cannot be made, or its check crashes; the message is one line.
    """
    try:
        with contextlib.closing(make()) as agent:
            if isinstance(agent, Checked):
                agent.check()
            return agent.needs
    except DeskbenchError:
        raise
    except Exception as error:
        raise AgentCrash(f"agent {name!r}: {type(error).__name__}: {error}") from error


def _skip(config: RunConfig, task: Task, apps: dict[str, bool], system: str | None) -> str | None:
    """Why to skip a task, or None. Programs are looked up here for the local provider only; others answer later."""
    if config.agent == "oracle" and not task.oracle:
        return "has no oracle"
    lacking = lacks_player(task, config)
    if lacking is not None:
        return lacking
    if config.provider != "local":
        apps = dict.fromkeys(apps, True)
    return skip_reason(task, platform=system, network=config.network, has_app=apps)


def _chosen(tasks: list[Task], only: tuple[str, ...]) -> list[Task]:
    if not only:
        return tasks
    names = {task.id for task in tasks} | {task.key for task in tasks}
    for name in only:
        if name not in names:
            raise UsageError(f"no task {name!r}{nearest(name, names)}")
    return [task for task in tasks if task.id in only or task.key in only]


def agent_maker(config: RunConfig) -> Callable[[Task], Agent]:
    """A function that makes the agent for an episode of a task.

    Raises:
        UsageError: the agent is unknown.
    """
    if config.agent == "oracle" and not config.agent_settings:
        made = lookup("agent", AGENTS, config.agent)
        return lambda task: made(task.oracle)
    make = agent_factory(config.agent, config.agent_settings)
    return lambda task: make()


def agent_factory(name: str, settings: Mapping[str, str]) -> Callable[[], Agent]:
    """A function that makes a new agent for each episode; a family's name is also an agent's name.

    Raises:
        UsageError: the agent is unknown, or it has no settings but some were given.
    """
    if name not in AGENTS and (name in profile_names() or name.endswith(".toml")):
        given = {"profile": name, **settings}
        family = lookup("agent", {name: FAMILIES}, name)
        return lambda: family.from_settings(given)
    made = lookup("agent", dict.fromkeys(profile_names(), "") | AGENTS, name)
    if isinstance(made, Configured):
        return lambda: made.from_settings(settings)
    if settings:
        raise UsageError(f"agent {name!r} has no settings; given: {', '.join(settings)}")
    return made  # type: ignore[no-any-return]

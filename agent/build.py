"""Names to live objects: the only place that knows every agent and every provider."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from platformdirs import user_cache_path

from deskbench.agent.agents.family import FamilyAgent
from deskbench.agent.agents.profile import profile_names
from deskbench.agent.base import Agent, Checked, Configured
from deskbench.agent.config import RunConfig
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
}
PROVIDERS = {
    "local": "deskbench.envs.providers.local:LocalProvider",
    "docker": "deskbench.envs.providers.docker.osworld:make",
    "wine": "deskbench.envs.providers.wine:WineProvider",
    "qemu": "deskbench.envs.providers.qemu.provider:QemuProvider",
    "remote": "deskbench.envs.providers.remote:RemoteProvider",
    "fake": "deskbench.envs.providers.fake:FakeProvider",
}
TAKE_ARGUMENTS = ("docker", "qemu", "remote")
DESKTOP_PATH = "/usr/bin:/bin:/usr/games"
"""Where the local provider's desktops find programs."""
ASSETS = user_cache_path("deskbench") / "assets"
"""Downloads, shared by all runs of a person."""


@dataclass(frozen=True)
class Prepared:
    """A run with every name resolved, before a machine starts.

    Attributes:
        config: as given.
        tasks: to be run.
        skipped: tasks that this desktop cannot do, with the reason.
        make_agent: an agent for one episode of a task.
        files: what stood in the task files when they were read, by task key; for the record.
        made_of: what the provider's desktops are made of; for the record.
        warnings: what of the task files is not read.
        spec: the desktop that a task wants.
    """

    config: RunConfig
    tasks: tuple[Task, ...]
    skipped: tuple[tuple[Task, str], ...]
    make_agent: Callable[[Task], Agent]
    files: Mapping[str, dict[str, Any]] = field(repr=False)
    made_of: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def spec(self, task: Task) -> DesktopSpec:
        """The desktop that a task wants."""
        config = self.config
        network = task.requires.network if config.network else "off"
        return DesktopSpec(config.width, config.height, network=network, isolated=config.isolated)


def lookup(kind: str, names: dict[str, str], name: str) -> Any:
    """A class by its short name or as package.module:Class.

    Raises:
        UsageError: unknown, or it cannot be imported.
    """
    dotted = names.get(name, name if ":" in name else None)
    if dotted is None:
        raise UsageError(f"unknown {kind} {name!r}{nearest(name, names)}")
    module, _, attribute = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the boundary to people's own modules
        known = isinstance(error, (ImportError, AttributeError))
        why = str(error) if known else f"{type(error).__name__}: {error}"
        raise UsageError(f"{kind} {name!r} cannot be imported: {why}") from error


def make_provider(name: str) -> Provider:
    """A provider by name; what stands behind a short name's colon is its argument (`remote:http://10.0.0.5:5000`).

    Raises:
        UsageError: unknown, it cannot be imported, or its argument is wrong.
    """
    short, colon, argument = name.partition(":")
    with_argument = bool(colon) and short in PROVIDERS
    made = lookup("provider", PROVIDERS, short if with_argument else name)
    if with_argument and short not in TAKE_ARGUMENTS:
        raise UsageError(f"provider {short!r} takes no argument; given: {argument!r}")
    provider: Provider = made(argument) if with_argument else made()
    return provider


def with_image(provider: str | None, image: str | None) -> str | None:
    """A provider's name with an image as its argument; containers are meant where only an image is named.

    Raises:
        UsageError: the provider takes no argument, or has one already.
    """
    if image is None:
        return provider
    name = provider or "docker"
    if ":" in name:
        raise UsageError(f"--image {image}: the provider {name} says already what it starts")
    return f"{name}:{image}"


def prepare(config: RunConfig) -> Prepared:
    """Read every task and resolve every name.

    Raises:
        UsageError: the first thing that is wrong.
    """
    _learn_secrets(config)
    provider = make_provider(config.provider)
    made_of, system = provider.describe(), provider.platform
    provider.close()
    if config.agent == "human" and config.parallel > 1:
        raise UsageError("agent human: one person, one desktop; leave out --parallel")
    make_agent = _agent_maker(config)
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
    if kept:
        _try_agent(config.agent, lambda: make_agent(kept[0]))
    files = {task.key: task.written for task in kept}
    return Prepared(config, tuple(kept), tuple(skipped), make_agent, files, made_of, found.warnings)


def _learn_secrets(config: RunConfig) -> None:
    """Know what must not be written; a setting that is itself a secret would be, in run.json.

    Raises:
        UsageError: naming the setting.
    """
    KNOWN.add(*secrets_in(os.environ))
    settings = {**config.agent_settings, "provider": config.provider, "user_base_url": config.user_base_url or ""}
    for name, value in settings.items():
        if name.endswith("_env"):
            secret_of(value)
        if without_logins(value) != value:
            raise UsageError(f"{name} is a URL with a user or a password in it: name keys by environment variables")


def _try_agent(name: str, make: Callable[[], Agent]) -> None:
    """Settings that are wrong and endpoints that are down are found now, not when the first desktop is up.

    Raises:
        UsageError, AgentError: what the agent says.
        AgentCrash: it cannot be made, or its code fails when it is asked; on one line.
    """
    try:
        with contextlib.closing(make()) as agent:
            if isinstance(agent, Checked):
                agent.check()
    except DeskbenchError:
        raise
    except Exception as error:
        raise AgentCrash(f"agent {name!r}: {type(error).__name__}: {error}") from error


def _skip(config: RunConfig, task: Task, apps: dict[str, bool], system: str | None) -> str | None:
    """What runs on this machine is known before it starts; another provider's desktop is asked when it is up."""
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


def _agent_maker(config: RunConfig) -> Callable[[Task], Agent]:
    if config.agent == "oracle" and not config.agent_settings:
        made = lookup("agent", AGENTS, config.agent)
        return lambda task: made(task.oracle)
    make = agent_factory(config.agent, config.agent_settings)
    return lambda task: make()


def agent_factory(name: str, settings: Mapping[str, str]) -> Callable[[], Agent]:
    """How an agent is made anew for each episode; a family of models is an agent by its own name.

    Raises:
        UsageError: unknown, or it has no settings and is given some.
    """
    if name not in AGENTS and (name in profile_names() or name.endswith(".toml")):
        given = {"profile": name, **settings}
        return lambda: FamilyAgent.from_settings(given)
    made = lookup("agent", dict.fromkeys(profile_names(), "") | AGENTS, name)
    if isinstance(made, Configured):
        return lambda: made.from_settings(settings)
    if settings:
        raise UsageError(f"agent {name!r} has no settings; given: {', '.join(settings)}")
    return made  # type: ignore[no-any-return]

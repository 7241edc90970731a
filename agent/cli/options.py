"""The options of `deskbench run`, in the groups of its `--help`.

An option that is not given is None, so a settings file can set it; `show_default` names the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deskbench.agent.cli import complete
from deskbench.agent.cli.complete import RUN
from deskbench.agent.cli.fidelity import STRICT_HELP

Opt = typer.Option
MODEL, DESKTOP, TASKS, LIMITS, SCORING, OUTPUT = (
    {"rich_help_panel": title}
    for title in ("Agent and model", "Desktop", "Tasks", "Limits", "Scoring", "Settings and output")
)
"""Where `deskbench run --help` lists an option."""

Source = Annotated[
    str | None,
    typer.Argument(help="File, folder, suite or checkout.", show_default="basics", autocompletion=complete.sources),
]
Agent = Annotated[
    str | None,
    Opt(
        help="A family of `deskbench models`, oracle, null, ... or module:Class.",
        show_default="vlm",
        autocompletion=complete.agents,
        **MODEL,
    ),
]
BaseUrl = Annotated[str | None, Opt(help="The model's endpoint, such as http://127.0.0.1:8000/v1", **MODEL)]
Model = Annotated[str | None, Opt(help="The model's name at the endpoint.", **MODEL)]
ApiKeyEnv = Annotated[str | None, Opt(help="The environment variable that holds the API key.", **MODEL)]
Observation = Annotated[
    str | None,
    Opt(
        help="screenshot, a11y_tree, screenshot_a11y_tree or som",
        show_default="the agent's",
        autocompletion=complete.choices("screenshot", "a11y_tree", "screenshot_a11y_tree", "som"),
        **MODEL,
    ),
]
ActionSpace = Annotated[
    str | None,
    Opt(
        help="pyautogui, computer_13 or actions",
        show_default="the agent's",
        autocompletion=complete.choices("pyautogui", "computer_13", "actions"),
        **MODEL,
    ),
]
Policy = Annotated[
    str | None,
    Opt(
        help="When to look: settled, quiet, immediate or fixed:SECONDS.",
        show_default="settled",
        autocompletion=complete.choices("settled", "quiet", "immediate"),
        **MODEL,
    ),
]
Provider = Annotated[
    str | None,
    Opt(
        help="local, docker, qemu, wine, remote:URL or :FILE.toml",
        show_default="local",
        autocompletion=complete.providers,
        **DESKTOP,
    ),
]
Image = Annotated[str | None, Opt(help="Image to start, such as full (docker).", **DESKTOP)]
Parallel = Annotated[int | None, Opt("-n", "--parallel", help="Desktops to run at once.", show_default="1", **DESKTOP)]
Engine = Annotated[
    str | None,
    Opt(
        help="Where desktops are: threads (here) or ray (many machines).",
        show_default="threads",
        autocompletion=complete.choices("threads", "ray"),
        **DESKTOP,
    ),
]
Address = Annotated[
    str | None,
    Opt(
        metavar="HOST:PORT",
        help="The Ray cluster to join (--engine ray).",
        show_default="one on this machine",
        **DESKTOP,
    ),
]
Screen = Annotated[str | None, Opt(help="Screen size.", show_default="1280x800", **DESKTOP)]
Network = Annotated[
    bool | None, Opt(help="Give network access to the tasks that require it.", show_default="no-network", **DESKTOP)
]
Unisolated = Annotated[
    bool | None,
    Opt("--unisolated/--isolated", help="Run desktops without a sandbox.", show_default="isolated", **DESKTOP),
]
Retries = Annotated[int | None, Opt(help="New attempts after the infrastructure fails.", show_default="2", **DESKTOP)]
Only = Annotated[
    list[str] | None,
    Opt("--task", help="Run only this task (repeatable).", show_default="all", autocompletion=complete.tasks, **TASKS),
]
Split = Annotated[str | None, Opt(help="Split of an OSWorld checkout, such as test_small.", **TASKS)]
Repeats = Annotated[int | None, Opt(help="Episodes per task.", show_default="1", **TASKS)]
Seed = Annotated[int | None, Opt(help="Seed of the first repeat.", show_default="0", **TASKS)]
HostFiles = Annotated[
    bool | None,
    Opt(help="Let tasks use files of this machine outside their own folder.", show_default="no-host-files", **TASKS),
]
MaxSteps = Annotated[int | None, Opt(help="Decisions per episode.", show_default="the task's own, or 15", **LIMITS)]
MaxSeconds = Annotated[float | None, Opt(help="Seconds per episode.", show_default="the task's own, or 600", **LIMITS)]
Budget = Annotated[float | None, Opt(help="Start no new episode once this many US dollars are spent.", **LIMITS)]
OsworldStrict = Annotated[str | None, Opt(metavar="[=REVISION]", help=STRICT_HELP, **SCORING)]
OnTamper = Annotated[
    str | None,
    Opt(
        help="Score when a desktop dies twice while the agent acts: zero or unscored.",
        show_default="zero",
        autocompletion=complete.choices("zero", "unscored"),
        **SCORING,
    ),
]
Video = Annotated[bool | None, Opt(help="Film the screen of each episode.", show_default="no-video", **DESKTOP)]
TakeOver = Annotated[
    bool | None,
    Opt(help="Let a person take over desktops (`view --take-over`).", show_default="no-take-over", **DESKTOP),
]
Config = Annotated[Path | None, Opt(help="A TOML file of settings; it overrides your own defaults.", **OUTPUT)]
Set = Annotated[list[str] | None, Opt("--set", help="A setting, key=value (repeatable).", **OUTPUT)]
Out = Annotated[Path | None, Opt(help="The run's folder.", show_default="runs/<time>-<agent>-<suite>", **OUTPUT)]
Resume = Annotated[Path | None, Opt(help="Continue the run in this folder.", **RUN, **OUTPUT)]
Reuse = Annotated[Path | None, Opt(help="Take over the episodes of this run that would end the same.", **RUN, **OUTPUT)]
Plan = Annotated[bool, Opt("--plan", help="Only print what --reuse would do.", **OUTPUT)]
AsJson = Annotated[bool, Opt("--json", help="Print one JSON document on stdout; messages go to stderr.", **OUTPUT)]

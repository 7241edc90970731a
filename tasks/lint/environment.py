"""Rules about a task's environment: the clock, other machines, fixed waits, changes that remain, granted rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import PurePosixPath

from deskbench.tasks.lint.facts import Command, Facts, Text, command_line
from deskbench.tasks.lint.findings import Edit, Hit
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.web.live import live_web

_BROWSERS = re.compile(r"\b(chromium|google-chrome|chrome|firefox|epiphany|thunderbird)\b", re.I)
_USER = re.compile(
    r"/home/(?!user\b)([a-z_][\w-]*)(?=/|$|[\s\"'])|C:[\\/]+Users[\\/]+(?!User\b|Public\b)([\w .-]+?)[\\/]", re.I
)
_RELATIVE = re.compile(
    r"\b(today|tomorrow|yesterday|(next|this|last|coming) (week|weekend|month|year|monday|tuesday|"
    r"wednesday|thursday|friday|saturday|sunday)|current (date|time|day|month|year))\b", re.I)  # fmt: skip
_DATE = re.compile(r"\b(20\d\d[-/.]\d\d?([-/.]\d\d?)?|\d\d?[-/.]\d\d?[-/.]20\d\d|"
                   r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{1,2},? 20\d\d|"
                   r"\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* 20\d\d)\b")  # fmt: skip
_SLEEP = re.compile(r"(?:^|[;&|(\s'\"])sleep\s+\d|\btime\.sleep\(|Start-Sleep|\btimeout /t", re.I)
_LOOP = re.compile(r"\b(while|until|for)\b")
_SYSTEM = re.compile(
    r"(?:>>?|\btee (?:-a )?|\b(?:touch|mkdir|rm|chmod|chown|sed -i)\b[^;&|]*?)\s*[\"']?"
    r"(/(?:etc|usr|opt|var|boot|root|srv)/[^\s\"';&|]*)|"
    r"\b(?:cp|mv|install|ln)\b[^;&|]*\s[\"']?(/(?:etc|usr|opt|var|boot|root|srv)/[^\s\"';&|]*)[\"']?\s*(?:$|[;&|\n])"
)
_SED = re.compile(r"sed -i\S*(?: -[eE])? (?:'[^']*'|\"[^\"]*\"|s\S+)")
_INSTALLS = re.compile(r"\b(?:apt(?:-get)?|dpkg|snap|dnf|yum) (?:-\S+ )*(?:install|remove|purge|-i)\b")
_HOMELESS = re.compile(r"^(/(?!home/|tmp/|root/|media/|mnt/|Users/)|[A-Z]:/(Windows|Program Files)\b)", re.I)
_SHELLS = frozenset(
    {"sh", "bash", "env", "sudo", "cd", "export", "nohup", "setsid", "cmd", "start", "socat", "timeout"}
)


@rule(
    "DB021", "warning", "a date, or a user's name, that is not the same on every machine and day",
    source="Epoch's review of OSWorld",
    help="give the date in the instruction, use `rule_relativeTime` as expected, or write ~ for the home folder",
    bad={"instruction": "Write tomorrow's date into letter.txt as year-month-day, and save it.",
         "evaluator": {"expected": {"rules": {"expected": "2026-03-05"}}}},
    good={"instruction": "Write the day after 4 March 2026 into letter.txt as year-month-day, and save it.",
          "evaluator": {"expected": {"rules": {"expected": "2026-03-05"}}}},
)  # fmt: skip
def assumed(facts: Facts) -> Iterator[Hit]:
    """A task that says "tomorrow" and expects a fixed date is right on one day only.

    The same holds for home folders of named users. Local desktops, containers and virtual machines all have `user`, and
    `~` is right everywhere.
    """
    relative = _RELATIVE.search(facts.task.instruction)
    for text in facts.texts:
        user = _USER.search(text.text) if "/" in text.text or "\\" in text.text else None
        if user and text.phase != "instruction" and user[0].lower() not in facts.instruction:
            yield Hit(text.where, f"the home folder of {user[1] or user[2]}")
        if relative and text.phase == "expected" and _DATE.search(text.text) and not _by_clock(facts, text):
            yield Hit(text.where, f"the instruction says {relative[0]!r}, but the expected date is fixed")


def _by_clock(facts: Facts, text: Text) -> bool:
    return any(text.where.startswith(c.where) and c.type != "rule" for c in facts.expected)


@rule(
    "DB022", "warning", "set-up waits for a fixed time",
    source="ours: OSWorld's fixed sleeps add up to 80 s a task, and are too short on a busy machine",
    help="wait for a condition: activate_window, or execute with until",
    bad={"config": [{"type": "launch", "parameters": {"command": ["mousepad"]}},
                    {"type": "sleep", "parameters": {"seconds": 3}},
                    {"type": "activate_window", "parameters": {"window_name": "Mousepad"}}]},
    good={"config": [{"type": "launch", "parameters": {"command": ["mousepad"]}},
                     {"type": "activate_window", "parameters": {"window_name": "Mousepad"}}]},
    fixable=True,
)  # fmt: skip
def sleeps(facts: Facts) -> Iterator[Hit]:
    """A fixed time is too long on a fast machine, and too short on a busy one, where set-up then fails at random.

    `launch` waits for the program's window and `activate_window` for the window that it names, so a sleep before
    `activate_window` is useless: `--fix` removes it. The rule does not report a sleep in a loop that polls.
    """
    for steps in (facts.task.config, facts.task.evaluator.postconfig):
        for step, after in zip_longest(steps, steps[1:]):
            if step.type == "sleep":
                needless = after is not None and after.type == "activate_window"
                edits = (Edit("remove", step.where),) if needless else ()
                yield Hit(step.where, f"sleeps {step.parameters.get('seconds')} s", edits)
            elif step.type in ("execute", "command", "launch"):
                line = command_line(step)
                if _SLEEP.search(line) and not _LOOP.search(line):
                    yield Hit(f"{step.where}.parameters.command", "the command sleeps for a fixed time")


@rule(
    "DB025", "error", "set-up starts a program that `requires` does not name",
    source="inspect-evals-lint's undeclared dependencies",
    help="add the program to requires.apps",
    bad={"requires": {"apps": ["galculator"]}}, good={"requires": {"apps": ["galculator", "mousepad"]}}, fixable=True,
)  # fmt: skip
def undeclared(facts: Facts) -> Iterator[Hit]:
    """A desktop that lacks the program cannot do the task.

    With the program in `requires.apps`, deskbench skips the task on such a desktop and gives the reason. Otherwise each
    episode fails in set-up. The rule ignores task files without any of deskbench's keys: they come from elsewhere and
    mean one particular image.
    """
    if not facts.ours:
        return
    known = {_program(app) for app in facts.task.requires.apps}
    missing: dict[str, str] = {}
    for call in facts.task.config:
        name = _started(call.parameters.get("command")) if call.type == "launch" else ""
        if name and name not in known:
            missing.setdefault(name, f"{call.where}.parameters.command")
    for number, (name, where) in enumerate(missing.items()):
        edits = _declare(facts, list(missing), number)
        yield Hit(where, f"starts {name}, which requires.apps does not name", edits)


def _started(command: object) -> str:
    """The program that a command starts; empty for a shell, a file from the home folder, or an unusual name."""
    words = command if isinstance(command, list) else str(command).split()
    word = str(words[0]) if words else ""
    name = _program(word)
    own = word.startswith(("~", "./", "$", "/home/"))
    return "" if own or name in _SHELLS or not re.fullmatch(r"[\w.+-]+", name) else name


def _program(word: str) -> str:
    return PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe")


def _declare(facts: Facts, names: list[str], number: int) -> tuple[Edit, ...]:
    """The edit that adds one of several programs; without a list in the file, the first edit adds all."""
    requires = facts.task.written.get("requires")
    if isinstance(requires, dict) and isinstance(requires.get("apps"), list):
        return (Edit("insert", "$.requires.apps", "", names[number]),)
    if number:
        return ()
    if isinstance(requires, dict):
        return (Edit("insert", "$.requires", "apps", names),)
    return (Edit("insert", "$", "requires", {"apps": names}),)


@rule(
    "DB026", "warning", "set-up changes the system outside the home folder",
    source="ABC II.4",
    help="write below ~ or /tmp, and install software in the image",
    bad={"config": [{"type": "write_file", "parameters": {"path": "/etc/letter.txt", "text": "x"}}]},
    good={"config": [{"type": "write_file", "parameters": {"path": "/tmp/letter.txt", "text": "x"}}]},
)  # fmt: skip
def outside_home(facts: Facts) -> Iterator[Hit]:
    """If a provider reuses a desktop, changes that a task makes to the system may still be there for the next task.

    Such changes also need rights that most desktops do not give. Install packages in the image instead: then every run
    has the same versions.
    """
    for put in facts.puts:
        if put.phase == "config" and _HOMELESS.match(put.path.replace("\\", "/")):
            yield Hit(put.where, f"writes {put.path}")
    for command in facts.commands:
        if command.phase == "config" and (what := _touches(command)):
            yield Hit(command.where, what)


def _touches(command: Command) -> str:
    found = _SYSTEM.search(_SED.sub("sed -i", command.line))
    installs = _INSTALLS.search(command.line)
    if installs:
        return f"installs packages: {installs[0]}"
    path = (found[1] or found[2]) if found else ""
    return f"changes {path}" if path and not path.startswith("/var/tmp") else ""


@rule(
    "DB030", "error", "the task requires something that it does not use",
    source="BenchJack V8; Harbor's container rules",
    help="remove it from requires",
    bad={"requires": {"network": "full"}}, good={"requires": {"network": "off"}}, fixable=True,
)  # fmt: skip
def needless_rights(facts: Facts) -> Iterator[Hit]:
    """Each requirement opens a shortcut: a web search, or a script instead of work on the screen.

    A task uses the network if it has an address, a browser or a command that fetches something. It uses a name in the
    list if the name occurs in the task, and `code` if the oracle or a solution runs code.
    """
    written = facts.task.written.get("requires")
    given = written if isinstance(written, dict) else {}
    network = facts.task.requires.network if "network" in given else "off"
    if network == "full" and not _uses_network(facts):
        yield Hit("$.requires.network", "nothing in the task uses the network",
                  (Edit("remove", "$.requires.network"),))  # fmt: skip
    if not isinstance(network, str):
        everything = " ".join(text.text for text in facts.texts)
        for index, entry in enumerate(network):
            if entry.partition(":")[0].removeprefix("*.") not in everything:
                yield Hit(f"$.requires.network[{index}]", f"nothing in the task names {entry}")
    solved = [*facts.task.oracle, *(step for one in facts.task.solutions for step in one.steps)]
    coded = any(one.script for one in facts.task.solutions) or any(step.action["type"] == "exec" for step in solved)
    if given.get("code") is True and facts.task.oracle and not coded:
        yield Hit("$.requires.code", "no solution of the task runs code", (Edit("remove", "$.requires.code"),))


def _uses_network(facts: Facts) -> bool:
    return live_web(facts.task) is not None or any(
        "://" in text.text or "www." in text.text or _BROWSERS.search(text.text) for text in facts.texts
    )

"""Rules about where a task runs: the web, the clock, other machines, what set-up leaves, what is granted."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from deskbench.tasks.assets import path_of, urls
from deskbench.tasks.lint.facts import Command, Facts, Text, command_line, normal, paths_of, source_of
from deskbench.tasks.lint.findings import Edit, Hit, Pin
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.web.live import FETCHES, PAGES, live_web

_URL = re.compile(
    r"https?://[^\s\"'<>()\[\]{}\\|,;]+|(?<![\w./@])www\.[a-z0-9-]+\.[a-z]{2,}[^\s\"'<>()\[\]{}\\|,;]*", re.I
)
_NAMESPACES = ("schemas.", "www.w3.org", "purl.org", "ns.")
"""Hosts, or how they begin, of XML namespaces: names that nothing fetches."""
_RESERVED = (".example", ".test", ".invalid", ".localhost", ".local", ".internal", ".example.com", ".example.org",
             ".example.net")  # fmt: skip
"""RFC 2606 and RFC 6762: names that are nobody's on the web."""
_KEPT = re.compile(r"\.files\[\d+\]\.url$|\.parameters\.text$|\.history\[")
"""Places of addresses in set-up that the desktop does not go to."""
_GOLD = re.compile(r"(^|[\W_])(gold(en)?|answers?|solutions?|expected|ground[\W_]?truth)([\W_]|$)", re.I)
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


def live(url: str) -> str:
    """The host of an address of the web, where that is a machine elsewhere; else empty."""
    try:
        host = (urlsplit(url if "://" in url else f"http://{url}").hostname or "").rstrip(".")
    except ValueError:
        return ""
    if "." not in host or host.startswith(_NAMESPACES) or f".{host}".endswith(_RESERVED) or host == "www":
        return ""
    try:
        return host if ipaddress.ip_address(host).is_global else ""
    except ValueError:
        return host


def _hosts(text: str) -> list[str]:
    if "://" not in text and "www." not in text.lower():
        return []
    return [host for found in _URL.finditer(text) if (host := live(found[0]))]


@rule(
    "DB004", "error", "a file from the web without its SHA-256",
    source="ABC II.6; Harbor's unpinned dependencies",
    help='add "sha256" beside the URL; --fix takes it from what `deskbench tasks mirror` fetched',
    bad={"config": [{"type": "download", "parameters": {
        "files": [{"url": "https://files.example/list.txt", "path": "~/list.txt"}]}}]},
    good={"config": [{"type": "download", "parameters": {
        "files": [{"url": "https://files.example/list.txt", "path": "~/list.txt", "sha256": "0" * 64}]}}]},
    fixable=True,
)  # fmt: skip
def unpinned(facts: Facts) -> Iterator[Hit]:
    """What an address gives may change, and then the task is another one under the same name.

    Scores before and after cannot be compared, and nobody can see why. With its hash beside it, a file that has changed
    is an error of the task. Files beside the task need none: the record of a run has their hashes.
    """
    for call in facts.task.config + facts.task.evaluator.postconfig:
        for index, file in enumerate(call.parameters.get("files", []) if call.type == "download" else []):
            if path_of(file["url"]) is None and not file.get("sha256"):
                where = f"{call.where}.parameters.files[{index}]"
                pin = Edit("insert", where, "sha256", Pin((file["url"],)))
                yield Hit(f"{where}.url", _no_hash(file["url"]), (pin,))
    for call in (*facts.results, *facts.expected):
        found = tuple(url for url in urls(call) if path_of(url) is None) if call.type == "cloud_file" else ()
        if found and not call.parameters.get("sha256"):
            pin = Edit("insert", call.where, "sha256", Pin(found, isinstance(call.parameters.get("path"), list)))
            yield Hit(f"{call.where}.path", _no_hash(found[0]), (pin,))


def _no_hash(url: str) -> str:
    return f"nothing says what {url[:120]} must hold"


@rule(
    "DB005", "error", "an address on the live web",
    source="ABC II.6; BenchJack; OSWorld's own list of tasks that broke when a site changed",
    help="serve a copy of the page from the desktop, or put the file beside the task",
    bad={"config": [{"type": "launch", "parameters": {"command": ["chromium", "https://www.wikipedia.org/"]}}],
         "requires": {"apps": ["chromium"]}},
    good={"config": [{"type": "launch", "parameters": {"command": ["chromium", "http://shop.example/"]}}],
          "requires": {"apps": ["chromium"]}},
)  # fmt: skip
def live_addresses(facts: Facts) -> Iterator[Hit]:
    """A site of the web changes, blocks robots, and shows each visitor another page.

    The task then fails, or passes, for reasons that are not the agent's. Addresses in set-up, in the instruction, and
    in checks of pages count, and so do commands that install or fetch something. A file that this machine fetches once
    for all episodes is DB004's.
    """
    pages = {c.expected.where for c in facts.checks if c.expected and c.result and c.result.type in PAGES}
    for text in facts.texts:
        if not _visited(text, pages, facts):
            continue
        for host in dict.fromkeys(_hosts(text.text)):
            yield Hit(text.where, f"{host} is on the live web")
    for command in facts.commands:
        fetch = FETCHES.search(command.line) if command.phase in ("config", "postconfig") else None
        if fetch and not _hosts(command.line) and "://" not in command.line:
            yield Hit(command.where, f"set-up says {fetch[0]!r}, which fetches from the live web")


def _visited(text: Text, pages: set[str], facts: Facts) -> bool:
    """Whether an address in a string is one that a desktop, an agent or a getter goes to."""
    if text.phase == "instruction":
        return True
    if text.phase in ("config", "postconfig"):
        return not _KEPT.search(text.where)
    if text.phase == "expected":
        return any(text.where.startswith(where) for where in pages)
    return not any(text.where.startswith(call.where) and call.type == "cloud_file" for call in facts.results)


@rule(
    "DB006", "error", "the expected file lies where the agent can read or change it",
    source="BenchJack V2; ABC II.5",
    help="name it by `task_file` beside the task; it never enters the desktop",
    bad={"evaluator": {"func": "compare_text_file", "expected": {"type": "vm_file", "path": "~/.gold/letter.txt",
                                                                  "dest": "gold.txt", "rules": None}}},
    good={"evaluator": {"func": "compare_text_file", "expected": {"type": "task_file", "path": "assets/list.txt",
                                                                   "rules": None}}},
)  # fmt: skip
def gold_in_reach(facts: Facts) -> Iterator[Hit]:
    """An agent that finds the expected file copies it, and one that may write to it can make anything right.

    The rule finds what is expected and read from the desktop, and files that set-up puts there and that are called
    gold, answer or expected, where the instruction does not name them. What only postconfig puts there comes after the
    episode and is no finding.
    """
    later = {normal(put.path) for put in facts.puts if put.phase == "postconfig"}
    for call in facts.expected:
        paths = [path for path in paths_of(call) if normal(path) not in later] if source_of(call) == "file" else []
        if paths:
            yield Hit(call.where, f"what is expected is read from the desktop: {paths[0]}")
    results = {normal(path) for call in facts.results for path in paths_of(call)}
    for put in facts.puts:
        name = PurePosixPath(normal(put.path)).name
        if put.phase != "config" or normal(put.path) in results or _told(facts, name):
            continue
        from_name = PurePosixPath(urlsplit(put.url).path if put.url else put.asset).name
        if _GOLD.search(name) or _GOLD.search(from_name):
            yield Hit(put.where, f"{put.path} is in the desktop, and the instruction does not name it")


def _told(facts: Facts, name: str) -> bool:
    """Whether the instruction names a file, or set-up shows it."""
    stem = PurePosixPath(name).stem.lower()
    shown = any(name in command.line for command in facts.commands if command.phase == "config")
    opened = any(name in str(c.parameters.get("path", "")) for c in facts.task.config if c.type == "open")
    return stem in facts.instruction or shown or opened


@rule(
    "DB007",
    "error",
    "the expected file has a public address that the desktop can reach",
    source="BenchJack V2",
    help="put the file beside the task, or take the network from the task",
    bad={
        "requires": {"network": "full"},
        "instruction": "Make letter.txt as http://pages.example/ shows it, and save it.",
        "evaluator": {
            "func": "compare_text_file",
            "expected": {
                "type": "cloud_file",
                "path": "https://files.example/gold.txt",
                "dest": "gold.txt",
                "sha256": "0" * 64,
                "rules": None,
            },
        },
    },
    good={
        "evaluator": {
            "func": "compare_text_file",
            "expected": {
                "type": "cloud_file",
                "path": "https://files.example/gold.txt",
                "dest": "gold.txt",
                "sha256": "0" * 64,
                "rules": None,
            },
        }
    },
)
def gold_on_the_web(facts: Facts) -> Iterator[Hit]:
    """Task files are public, so the address of the expected file is too, and an agent with the network can fetch it.

    A desktop without the network, or with a list of names that does not have the file's host, cannot.
    """
    network = facts.task.requires.network
    if network == "off":
        return
    for call in facts.expected:
        for url in urls(call) if call.type == "cloud_file" else ():
            host = urlsplit(url).hostname or "" if path_of(url) is None else ""
            if host and (network == "full" or any(_covers(str(name), host) for name in network)):
                yield Hit(f"{call.where}.path", f"the desktop can fetch what is expected from {host}")


def _covers(entry: str, host: str) -> bool:
    name = entry.partition(":")[0]
    return host == name or (name.startswith("*.") and host.endswith(name[1:]))


@rule(
    "DB021", "warning", "a date, or a user's name, that is not so on every machine and day",
    source="Epoch's review of OSWorld",
    help="say the date in the instruction, expect `rule_relativeTime`, or write ~ for the home folder",
    bad={"instruction": "Write tomorrow's date into letter.txt as year-month-day, and save it.",
         "evaluator": {"expected": {"rules": {"expected": "2026-03-05"}}}},
    good={"instruction": "Write the day after 4 March 2026 into letter.txt as year-month-day, and save it.",
          "evaluator": {"expected": {"rules": {"expected": "2026-03-05"}}}},
)  # fmt: skip
def assumed(facts: Facts) -> Iterator[Hit]:
    """A task that says "tomorrow" and expects one date is right on one day of its life.

    The same is so of home folders of named users: desktops of this machine, containers and virtual machines have `user`
    in common, and `~` is right everywhere.
    """
    relative = _RELATIVE.search(facts.task.instruction)
    for text in facts.texts:
        user = _USER.search(text.text) if "/" in text.text or "\\" in text.text else None
        if user and text.phase != "instruction" and user[0].lower() not in facts.instruction:
            yield Hit(text.where, f"the home folder of {user[1] or user[2]}")
        if relative and text.phase == "expected" and _DATE.search(text.text) and not _by_clock(facts, text):
            yield Hit(text.where, f"the instruction says {relative[0]!r}, and one fixed date is expected")


def _by_clock(facts: Facts, text: Text) -> bool:
    return any(text.where.startswith(c.where) and c.type != "rule" for c in facts.expected)


@rule(
    "DB022", "warning", "set-up waits a fixed time",
    source="ours: OSWorld's fixed sleeps add up to 80 s a task, and are too short on a busy machine",
    help="wait for what must be so: activate_window, or execute with until",
    bad={"config": [{"type": "launch", "parameters": {"command": ["mousepad"]}},
                    {"type": "sleep", "parameters": {"seconds": 3}},
                    {"type": "activate_window", "parameters": {"window_name": "Mousepad"}}]},
    good={"config": [{"type": "launch", "parameters": {"command": ["mousepad"]}},
                     {"type": "activate_window", "parameters": {"window_name": "Mousepad"}}]},
    fixable=True,
)  # fmt: skip
def sleeps(facts: Facts) -> Iterator[Hit]:
    """A fixed time is too long on a fast machine, and too short on a busy one, where set-up then fails at random.

    `launch` waits for the program's window and `activate_window` for the window that it names, so a sleep before it is
    of no use: `--fix` removes that one. A sleep in a loop that asks for something is a wait and no finding.
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
                    yield Hit(f"{step.where}.parameters.command", "the command sleeps a fixed time")


@rule(
    "DB025", "error", "set-up starts a program that `requires` does not name",
    source="inspect-evals-lint's undeclared dependencies",
    help="add the program to requires.apps",
    bad={"requires": {"apps": ["galculator"]}}, good={"requires": {"apps": ["galculator", "mousepad"]}}, fixable=True,
)  # fmt: skip
def undeclared(facts: Facts) -> Iterator[Hit]:
    """A desktop that lacks the program cannot do the task.

    With the program in `requires.apps` such a desktop lists the task as skipped with the reason; without it, each
    episode fails in set-up. Task files that have none of deskbench's keys are foreign and mean one image: they are left
    alone.
    """
    if not facts.ours:
        return
    known = {_program(app) for app in facts.task.requires.apps}
    for call in facts.task.config:
        name = _program(command_line(call).split(" ")[0]) if call.type == "launch" else ""
        if name and name not in known and name not in _SHELLS and re.fullmatch(r"[\w.+-]+", name):
            known.add(name)
            yield Hit(f"{call.where}.parameters.command", f"starts {name}, which requires.apps does not name",
                      (_declare(facts, name),))  # fmt: skip


def _program(word: str) -> str:
    return PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe")


def _declare(facts: Facts, name: str) -> Edit:
    requires = facts.task.written.get("requires")
    if not isinstance(requires, dict):
        return Edit("insert", "$", "requires", {"apps": [name]})
    if not isinstance(requires.get("apps"), list):
        return Edit("insert", "$.requires", "apps", [name])
    return Edit("insert", "$.requires.apps", "", name)


@rule(
    "DB026", "warning", "set-up changes the system outside of the home folder",
    source="ABC II.4",
    help="write below ~ or /tmp, and put what must be installed into the image",
    bad={"config": [{"type": "write_file", "parameters": {"path": "/etc/letter.txt", "text": "x"}}]},
    good={"config": [{"type": "write_file", "parameters": {"path": "/tmp/letter.txt", "text": "x"}}]},
)  # fmt: skip
def outside_home(facts: Facts) -> Iterator[Hit]:
    """What a task leaves in the system may be there for the next one, where a provider does not begin afresh.

    It also needs rights that most desktops do not give. Packages that set-up installs belong into the image: then every
    run has the same versions.
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
    "DB030", "error", "a right is granted that the task does not use",
    source="BenchJack V8; Harbor's container rules",
    help="remove it from requires",
    bad={"requires": {"network": "full"}}, good={"requires": {"network": "off"}}, fixable=True,
)  # fmt: skip
def needless_rights(facts: Facts) -> Iterator[Hit]:
    """Each right is a way to an answer that is no work: a search on the web, a script in place of the screen.

    The network is used where an address, a browser or a fetching command is in the task; a name in the list where the
    task has it; `code` where the oracle or a solution runs some.
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

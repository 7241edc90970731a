"""Rules about files and pages from elsewhere: unpinned downloads, live pages, expected files within reach."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from deskbench.tasks.assets import path_of, urls
from deskbench.tasks.lint.facts import Facts, Text, normal, paths_of, source_of
from deskbench.tasks.lint.findings import Edit, Hit, Pin
from deskbench.tasks.lint.rules import rule
from deskbench.tasks.web.live import FETCHES, PAGES

_URL = re.compile(
    r"https?://[^\s\"'<>()\[\]{}\\|,;]+|(?<![\w./@])www\.[a-z0-9-]+\.[a-z]{2,}[^\s\"'<>()\[\]{}\\|,;]*", re.I
)
_NAMESPACES = frozenset({
    "schemas.openxmlformats.org", "schemas.microsoft.com", "schemas.android.com", "www.w3.org", "purl.org",
    "ns.adobe.com",
})  # fmt: skip
"""Hosts of XML namespaces, which nothing fetches."""
_RESERVED = (".example", ".test", ".invalid", ".localhost", ".local", ".internal", ".example.com", ".example.org",
             ".example.net")  # fmt: skip
"""RFC 2606 and RFC 6762: names that nobody can own on the web."""
_KEPT = re.compile(r"\.files\[\d+\]\.url$|\.parameters\.text$|\.history\[")
"""Places in set-up with addresses that the desktop does not open."""
_GOLD = re.compile(r"(^|[\W_])(gold(en)?|answers?|solutions?|expected|ground[\W_]?truth)([\W_]|$)", re.I)


def live(url: str) -> str:
    """The host of a web address if it is on the live web; else empty."""
    try:
        host = (urlsplit(url if "://" in url else f"http://{url}").hostname or "").rstrip(".")
    except ValueError:
        return ""
    if "." not in host or host in _NAMESPACES or f".{host}".endswith(_RESERVED) or host == "www":
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
    help='add "sha256" next to the URL; --fix takes it from the files that `deskbench tasks mirror` fetched',
    bad={"config": [{"type": "download", "parameters": {
        "files": [{"url": "https://files.example/list.txt", "path": "~/list.txt"}]}}]},
    good={"config": [{"type": "download", "parameters": {
        "files": [{"url": "https://files.example/list.txt", "path": "~/list.txt", "sha256": "0" * 64}]}}]},
    fixable=True,
)  # fmt: skip
def unpinned(facts: Facts) -> Iterator[Hit]:
    """The file at an address may change, and then the task changes under the same name.

    Scores from before and after cannot be compared, and nobody can see why. With a hash, a changed file is an error of
    the task. Files next to the task need no hash: the record of a run has it.
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
    return f"nothing says what {url[:120]} must contain"


@rule(
    "DB005", "error", "an address on the live web",
    source="ABC II.6; OSWorld's tasks that broke when a site changed",
    help="serve a copy of the page from the desktop, or put the file next to the task",
    bad={"config": [{"type": "launch", "parameters": {"command": ["chromium", "https://www.wikipedia.org/"]}}],
         "requires": {"apps": ["chromium"]}},
    good={"config": [{"type": "launch", "parameters": {"command": ["chromium", "http://shop.example/"]}}],
          "requires": {"apps": ["chromium"]}},
)  # fmt: skip
def live_addresses(facts: Facts) -> Iterator[Hit]:
    """A live web site changes, blocks robots, and shows each visitor a different page.

    The task then fails or passes for reasons that have nothing to do with the agent. The rule reports addresses in
    set-up, in the instruction and in checks of pages, and commands that install or fetch something. DB004 covers files
    that the controller fetches once for all episodes.
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
    """Whether the desktop, the agent or a getter visits the address in a string."""
    if text.phase == "instruction":
        return True
    if text.phase in ("config", "postconfig"):
        return not _KEPT.search(text.where)
    if text.phase == "expected":
        return any(text.where.startswith(where) for where in pages)
    return not any(text.where.startswith(call.where) and call.type == "cloud_file" for call in facts.results)


@rule(
    "DB006", "error", "the agent can read or change the expected file",
    source="BenchJack V2; ABC II.5",
    help="put it next to the task and name it with `task_file`: then it never enters the desktop",
    bad={"evaluator": {"func": "compare_text_file", "expected": {"type": "vm_file", "path": "~/.gold/letter.txt",
                                                                  "dest": "gold.txt", "rules": None}}},
    good={"evaluator": {"func": "compare_text_file", "expected": {"type": "task_file", "path": "assets/list.txt",
                                                                   "rules": None}}},
)  # fmt: skip
def gold_in_reach(facts: Facts) -> Iterator[Hit]:
    """An agent can copy the expected file if it finds it, and can make any result right if it can change that file.

    The rule reports expected values that the check reads from the desktop. It also reports files named gold, answer or
    expected that set-up copies there, unless the instruction names them. It ignores files that only postconfig copies
    there, because they arrive after the episode.
    """
    later = {normal(put.path) for put in facts.puts if put.phase == "postconfig"}
    for call in facts.expected:
        paths = [path for path in paths_of(call) if normal(path) not in later] if source_of(call) == "file" else []
        if paths:
            yield Hit(call.where, f"the expected value is read from the desktop: {paths[0]}")
    results = {normal(path) for call in facts.results for path in paths_of(call)}
    for put in facts.puts:
        name = PurePosixPath(normal(put.path)).name
        if put.phase != "config" or normal(put.path) in results or _told(facts, name):
            continue
        from_name = PurePosixPath(urlsplit(put.url).path if put.url else put.asset).name
        if _GOLD.search(name) or _GOLD.search(from_name):
            yield Hit(put.where, f"{put.path} is in the desktop, but the instruction does not name it")


def _told(facts: Facts, name: str) -> bool:
    """Whether the instruction names a file, or set-up shows it."""
    stem = PurePosixPath(name).stem.lower()
    shown = any(name in command.line for command in facts.commands if command.phase == "config")
    opened = any(name in str(c.parameters.get("path", "")) for c in facts.task.config if c.type == "open")
    return stem in facts.instruction or shown or opened


@rule(
    "DB007",
    "error",
    "the desktop can download the expected file",
    source="BenchJack V2",
    help="put the file next to the task, or remove the network from the task",
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
    """Task files are public, so everybody knows the address of the expected file. An agent with network can fetch it.

    It cannot if the desktop has no network, or if the task's list of hosts lacks the file's host.
    """
    network = facts.task.requires.network
    if network == "off":
        return
    for call in facts.expected:
        for url in urls(call) if call.type == "cloud_file" else ():
            host = urlsplit(url).hostname or "" if path_of(url) is None else ""
            if host and (network == "full" or any(_covers(str(name), host) for name in network)):
                yield Hit(f"{call.where}.path", f"the desktop can download the expected file from {host}")


def _covers(entry: str, host: str) -> bool:
    name = entry.partition(":")[0]
    return host == name or (name.startswith("*.") and host.endswith(name[1:]))

"""Pages with text from an agent: text stays text, nothing is loaded, and `view` answers nobody else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from deskbench.agent.report.report import write_report
from tests.agent.browser import CHROMIUM, Tab, chromium, tab
from tests.agent.report.test_pages import HOSTILE, check_nothing_ran, check_the_episode, check_the_list, hostile_run
from tests.agent.report.test_view import FORBIDDEN, PATHS, get, serving
from tests.agent.staged_runs import episode, run
from tests.attacks.arenas import Arena
from tests.attacks.base import CONTROLLER, ROOT, Outcome, attack, blocked, judged, not_applicable, succeeded

HERE = (ROOT, CONTROLLER)


def _written(arena: Arena, text: str) -> str:
    """The text as the controller receives it after a program of the desktop prints it."""
    if arena.name == CONTROLLER:
        return text
    arena.desktop.write_file("/tmp/attack-text", text.encode("utf-8", "replace"))
    return arena.desktop.run(["/bin/cat", "/tmp/attack-text"]).stdout


def _shown(seen: Tab, text: str, allowed: Callable[[str], bool]) -> list[str]:
    """Find what is wrong with a page."""
    wrong = []
    for check in (check_the_list, check_the_episode):
        try:
            check(seen, text)
        except Exception as error:  # noqa: BLE001  (the browser's errors are the page's)
            wrong.append(f"{check.__name__}: {error}")
    try:
        check_nothing_ran(seen)
    except AssertionError as error:
        wrong.append(str(error))
    return wrong + [f"it asked for {url}" for url in seen.requests if not allowed(url)]


@attack(
    "report-hostile", "pages", "scripts, styles, our own placeholders, in replies, names, files: in the report", HERE
)
def report_hostile(arena: Arena) -> Outcome:
    if not Path(CHROMIUM).exists():
        return not_applicable("there is no browser here to show it")
    with chromium() as browser, tempfile.TemporaryDirectory() as scratch:
        for number, (kind, plain) in enumerate(HOSTILE.items()):
            text = _written(arena, plain)
            path = write_report(hostile_run(Path(scratch) / str(number), text), Path(scratch) / f"{number}.html")
            with tab(browser, path.as_uri()) as seen:
                own = path.as_uri()
                wrong = _shown(seen, text, lambda url: url == own or url.startswith("data:image/webp;"))
            if wrong:
                return succeeded(f"{kind}: {wrong}")
    return blocked(f"{len(HOSTILE)} texts, shown as text; nothing ran, nothing was loaded")


@attack("view-hostile", "pages", "the same, in `view`", HERE)
def view_hostile(arena: Arena) -> Outcome:
    if not Path(CHROMIUM).exists():
        return not_applicable("there is no browser here to show it")
    with chromium() as browser, tempfile.TemporaryDirectory() as scratch:
        for number, (kind, plain) in enumerate(HOSTILE.items()):
            text = _written(arena, plain)
            with serving(hostile_run(Path(scratch) / str(number), text)) as base, tab(browser, base) as seen:
                wrong = _shown(seen, text, lambda url: url.startswith(f"{base}/"))
            if wrong:
                return succeeded(f"{kind}: {wrong}")
    return blocked(f"{len(HOSTILE)} texts, shown as text; nothing ran, nothing was loaded")


@attack("view-traversal", "pages", "files beside the run's, by paths that lead out", (CONTROLLER,))
def view_traversal(arena: Arena) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        folder = run(Path(scratch) / "run", planned=1)
        episode(folder, "s/pass", 1.0)
        with serving(folder) as base:
            said = {get(base, path).decode("latin-1") for path in PATHS}
    return judged(any(" 200" in status for status in said), f"{len(PATHS)} paths: {sorted(said)}")


@attack(
    "view-elsewhere", "pages", "another site's page reads the run: a foreign name, Origin, a form's POST", (CONTROLLER,)
)
def view_elsewhere(arena: Arena) -> Outcome:
    origins: tuple[tuple[bytes | None, tuple[bytes, ...], bytes], ...] = (
        (b"evil.example", (), b"GET"), (b"127.0.0.1.evil.example", (), b"GET"), (b"0.0.0.0", (), b"GET"),
        (None, (b"Origin: http://evil.example",), b"GET"), (None, (b"Origin: null",), b"GET"),
        (None, (b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Mode: no-cors", b"Sec-Fetch-Dest: script"), b"GET"),
        (None, (b"Content-Type: text/plain", b"Content-Length: 0"), b"POST"), (None, (b"Content-Length: 0",), b"DELETE"),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = run(Path(scratch) / "run", planned=1)
        episode(folder, "s/pass", 1.0)
        with serving(folder) as base:
            assert b" 200" in get(base, b"/api/runs"), "its own page is answered"
            said = [get(base, b"/api/runs", *more, host=host, method=method) for host, more, method in origins]
    assert FORBIDDEN in said
    return judged(any(b" 200" in status for status in said), f"{len(said)} tries: {sorted({s.decode() for s in said})}")

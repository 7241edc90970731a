"""The measurements: functions that return rows."""

import itertools
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil
from lxml import etree
from rich.console import Console

from deskbench.agent.build import prepare
from deskbench.agent.cli.run import run_batch
from deskbench.agent.config import RunConfig
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.local import LocalDesktop, LocalProvider
from deskbench.envs.providers.pool import Pool
from deskbench.envs.types import Click, Move, Type
from deskbench.envs.wire import Observe
from tests.benchmarks.arms import ROUNDS, Reference, Row, desktops, interleaved, limit_row, ratio_row, serving
from tests.buttons import NAMES, show

NOTHING = Observe(policy="none")
NOW = Observe(policy="immediate")
TRIPS = 200
TEXT = "the quick brown fox jumps over the lazy dog 0123456"
PYTHON = __import__("sys").executable


def screens() -> list[Row]:
    """Screenshots over HTTP, with a photo-like wallpaper and with a plain one."""
    rows: list[Row] = []
    with desktops() as [desktop], serving(desktop, PYTHON, "reference.py", "/platform") as reference:
        desktop.launch(["mousepad"])
        desktop.launch(["lxterminal"])
        rows += _screenshots("plain", desktop, reference, 6)
        rows += _in_one_trip(desktop)
        desktop.run("convert -size 1920x1080 -seed 7 plasma:tan-steelblue -attenuate 0.4 +noise Gaussian "
                    "-blur 0x1 ~/wall.png && display -window root ~/wall.png", shell=True)  # fmt: skip
        rows += _screenshots("photo-like", desktop, reference, 15)
        rows += _unchanged(desktop, reference)
        rows += _actions(desktop, reference)
    return rows


def _screenshots(name: str, desktop: LocalDesktop, reference: Reference, least: float) -> list[Row]:
    columns = itertools.count(100)
    sizes: dict[str, int] = {}

    def ours() -> None:
        seen = desktop.observe(NOW)
        assert seen.screenshot
        sizes["ours"] = len(seen.screenshot.png)

    def theirs() -> None:
        sizes["reference"] = len(reference.get("/screenshot"))

    def moved() -> None:  # move the pointer to get a new frame each time
        desktop.act([Move(x=next(columns), y=500)], NOTHING)

    found: list[list[float]] = [[], []]
    for _ in range(ROUNDS + 1):
        for arm, times in ((ours, found[0]), (theirs, found[1])):
            moved()
            began = time.perf_counter()
            arm()
            times.append((time.perf_counter() - began) * 1e3)
    mine, other = (statistics.median(times[1:]) for times in found)
    row = ratio_row(f"screenshot, {name} wallpaper", mine, other, least)
    size = sizes["ours"] / sizes["reference"]
    our_bytes, their_bytes = (f"{sizes[arm] / 1000:.0f} kB" for arm in ("ours", "reference"))
    limit = "<= 1.25x" if name == "photo-like" else ""
    return [row, Row(f"its bytes, {name}", our_bytes, their_bytes, f"{size:.2f}x", limit, not limit or size <= 1.25)]


def _unchanged(desktop: LocalDesktop, reference: Reference) -> list[Row]:
    ours, theirs = interleaved(lambda: desktop.observe(NOW), lambda: reference.get("/screenshot"))
    return [ratio_row("unchanged frame", ours, theirs, 100), limit_row("unchanged frame", ours, "ms", 2)]


def _actions(desktop: LocalDesktop, reference: Reference) -> list[Row]:
    points = itertools.cycle([(1500, 300), (1560, 420), (1620, 540)])

    def click() -> None:
        x, y = next(points)
        desktop.act([Click(x=x, y=y)], NOTHING)

    ours, theirs = interleaved(click, lambda: reference.pyautogui("pyautogui.click(1500, 300)"))
    return [ratio_row("click", ours, theirs, 100), *_typing(desktop, reference)]


def _in_one_trip(desktop: LocalDesktop) -> list[Row]:
    """Clicks, each with the frame after it in the same answer."""
    points, times = itertools.cycle([(1500, 300), (1560, 420), (1620, 540)]), []
    for _ in range(TRIPS):
        x, y = next(points)
        began = time.perf_counter()
        desktop.act([Click(x=x, y=y)], NOW)
        times.append((time.perf_counter() - began) * 1e3)
        wait.sleep(0.02)
    name = "click and its frame in one trip, plain"
    return [
        limit_row(f"{name}, median", statistics.median(times), "ms", 8),
        limit_row(f"{name}, 95 of 100", statistics.quantiles(times, n=20)[-1], "ms", 12),
    ]


def _typing(desktop: LocalDesktop, reference: Reference) -> list[Row]:
    """Type 50 characters, and wait until the program has received them."""
    home = Path(desktop.run("echo $HOME", shell=True).stdout.strip())
    typed = home / "typed"
    desktop.launch(["xterm", "-e", "sh", "-c", f"stty raw -echo; cat > {typed}"])
    lengths = itertools.count(len(TEXT), len(TEXT))

    def until_there(length: int) -> None:
        assert wait.until(lambda: typed.stat().st_size >= length, timeout=10, interval=0.0005, max_interval=0.0005)

    def ours() -> None:
        desktop.act([Type(TEXT)], NOTHING)
        until_there(next(lengths))

    def theirs() -> None:
        reference.pyautogui(f"pyautogui.typewrite({TEXT!r})")
        until_there(next(lengths))

    mine, other = interleaved(ours, theirs)
    row = ratio_row("50 characters, verified in the target", mine, other, 60)
    assert set(typed.read_text().split(TEXT)) == {""}, "what arrived is not what was typed"
    return [row]


def tree() -> list[Row]:
    """The accessibility tree of four programs."""
    # Programs answer on their own sockets to their own user only.
    with (
        desktops() as [desktop],
        serving(desktop, "/usr/bin/python3", "reference_tree.py", "/", as_user=True) as reference,
    ):
        for program in ("mousepad", "galculator", "lxterminal", "pcmanfm"):
            desktop.launch([program])
        look = Observe(policy="immediate", screenshot=False, accessibility=True)
        ours, theirs = interleaved(lambda: desktop.observe(look), lambda: reference.get("/accessibility"))
        seen = desktop.observe(look).accessibility
        assert seen is not None
        mine = sum(1 for _ in etree.fromstring(seen.encode()).iter())
        other = json.loads(reference.get("/accessibility"))["nodes"]
    same = Row("its nodes", str(mine), str(other), f"{mine - other:+d}", "the same", mine == other)
    return [ratio_row("accessibility tree", ours, theirs, 5), same, _page()]


def _page() -> Row:
    """The whole tree of a large page in Chromium, ten times in a row."""
    times = []
    look = Observe(policy="immediate", screenshot=False, accessibility=True)
    with desktops() as [desktop]:
        show(desktop)
        assert wait.until(lambda: NAMES[-1] in (desktop.observe(look).accessibility or ""), timeout=60)
        for _ in range(10):
            began = time.perf_counter()
            seen = desktop.observe(look)
            times.append(time.perf_counter() - began)
            assert seen.accessibility_complete and NAMES[-1] in (seen.accessibility or "")
    return limit_row("accessibility tree of a page of 5,000 buttons, slowest of ten", max(times), "s", 1)


def life() -> list[Row]:
    """Cold start, hand-over, memory."""
    provider = LocalProvider()
    cold, warm = [], []
    spec = DesktopSpec()
    try:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            desktop = provider.start(spec)
            assert desktop.observe().settled
            cold.append(time.perf_counter() - began)
            memory = _server_memory(desktop)
            provider.stop(desktop)
        pool = Pool(provider)
        pool.stop(pool.start(spec))
        for _ in range(ROUNDS):
            pool.ready(spec)
            began = time.perf_counter()
            given = pool.start(spec)
            warm.append((time.perf_counter() - began) * 1e3)
            pool.stop(given)
    finally:
        provider.close()
    return [
        limit_row("cold sandboxed desktop to first settled frame", statistics.median(cold), "s", 0.8),
        limit_row("hand-over from the pool", statistics.median(warm), "ms", 50),
        limit_row("our process per desktop (PSS)", memory, "MB", 60),
    ]


def _server_memory(desktop: LocalDesktop) -> float:
    for process in psutil.Process(desktop.process.pid).children(recursive=True):
        if process.name().startswith("python") and "deskbench.envs.server" in process.cmdline():
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1000
    raise RuntimeError("the server's process is not there")


def density() -> list[Row]:
    """Eight desktops at once: with 2 s of thinking between steps, and saturated."""
    with desktops(8) as many:
        for desktop in many:
            desktop.launch(["mousepad"])
        one = _thinking(many[:1], 6)
        eight = _thinking(many, 6)
        began, cpu = time.perf_counter(), time.process_time()
        steps = _saturated(many, 6.0)
        ours = steps / (time.perf_counter() - began)
        per_step = (time.process_time() - cpu) / steps * 1e3
        theirs = _reference_saturated(many, 12.0)
    return [
        Row("8 desktops, 2 s of thinking: step latency", f"{eight:.1f} ms", f"one: {one:.1f} ms", f"{eight / one:.2f}x",
            "<= 1.3x", eight / one <= 1.3),
        Row("8 desktops, saturated", f"{ours:.1f} steps/s", f"{theirs:.1f} steps/s", f"{ours / theirs:.1f}x",
            ">= 15x", ours / theirs >= 15),
        limit_row("controller CPU per step", per_step, "ms", 5),
    ]  # fmt: skip


def _step(desktop: LocalDesktop, number: int) -> None:
    desktop.act([Click(x=600 + number * 137 % 600, y=500)], NOW)  # clicks in one place are spaced out in time


def _thinking(some: list[LocalDesktop], rounds: int) -> float:
    """Median milliseconds of a step when each desktop's model thinks for 2 s."""
    times: list[float] = []

    def work(desktop: LocalDesktop, offset: float) -> None:
        wait.sleep(offset)
        for number in range(rounds):
            wait.sleep(2.0)
            began = time.perf_counter()
            _step(desktop, number)
            times.append((time.perf_counter() - began) * 1e3)

    threads = [threading.Thread(target=work, args=(d, 2.0 * i / len(some))) for i, d in enumerate(some)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median(times)


def _saturated(some: list[LocalDesktop], seconds: float) -> int:
    deadline, counts = time.perf_counter() + seconds, []

    def work(desktop: LocalDesktop) -> None:
        number = 0
        while time.perf_counter() < deadline:
            _step(desktop, number)
            number += 1
        counts.append(number)

    threads = [threading.Thread(target=work, args=(desktop,)) for desktop in some]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def _reference_saturated(some: list[LocalDesktop], seconds: float) -> float:
    from contextlib import ExitStack

    with ExitStack() as stack:
        references = [stack.enter_context(serving(d, PYTHON, "reference.py", "/platform")) for d in some]
        began, counts = time.perf_counter(), []

        def work(reference: Reference) -> None:
            number = 0
            while time.perf_counter() < began + seconds:
                reference.pyautogui(f"pyautogui.click({600 + number * 137 % 600}, 500)")
                reference.get("/screenshot")
                number += 1
            counts.append(number)

        threads = [threading.Thread(target=work, args=(reference,)) for reference in references]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - began)


def episode() -> list[Row]:
    """A scripted episode of the suite without model time, from reset to score."""
    config = RunConfig(source="basics", agent="oracle", only=("form-order",))
    with tempfile.TemporaryDirectory() as folder:
        run_batch(prepare(config), Path(folder) / "run", resume=False, say=Console(quiet=True))
        [record] = RunFolder(Path(folder) / "run").records()
    name = f"scripted episode of {record.totals.steps} steps, scored {record.score.value}"
    return [limit_row(name, record.totals.wall_ms / 1e3, "s", 10)]

"""Sets up and grades each of OSWorld's tasks in a container of the full image, with a line of JSON for each result."""

import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import CheckError, DeskbenchError, EnvError
from deskbench.envs.providers.docker.provider import DockerProvider
from deskbench.envs.providers.pool import Pool
from deskbench.tasks.assets import AssetStore, urls_of
from deskbench.tasks.scoring.score import judge, read, score
from deskbench.tasks.scoring.tools import look
from deskbench.tasks.setup import run_steps
from deskbench.tasks.types import Call, Check, Task
from deskbench.tasks.web.live import drive, live_web
from deskbench.tasks.world import Context, World

SPEC = DesktopSpec(width=1920, height=1080)
"""OSWorld's screen size."""
SCRIPTS = (".sh", ".py")
STEPS_WITH_COMMANDS = ("execute", "command", "launch")


@dataclass(frozen=True)
class Finding:
    """The result of one task.

    Attributes:
        task: suite and id.
        outcome: `graded`, `not graded`, `not set up` or `skipped`.
        reason: why it is not graded, or what limits the grade.
        feasible: whether the task is feasible.
        untouched: the score after set-up and the task's own steps before the check.
        placed: checks that give 1 with the expected file in the result's place.
        placeable: checks for which that is possible.
        lost: why the rest of those fail.
        checks: the number of checks.
        stand_ins: replacements for parts of OSWorld's machine.
        seconds: time from the desktop's start to the grade.
    """

    task: str
    outcome: str
    reason: str = ""
    feasible: bool = True
    untouched: float | None = None
    placed: int = 0
    placeable: int = 0
    lost: tuple[str, ...] = ()
    checks: int = 0
    stand_ins: tuple[str, ...] = ()
    seconds: float = 0.0


def measure(
    tasks: Sequence[Task], out: Path, assets: Path, parallel: int, image: str, say: Callable[[str], None]
) -> list[Finding]:
    """Try every task that has no line in `out`; results are appended as they arrive."""
    known = [Finding(**json.loads(line)) for line in out.read_text().splitlines()] if out.exists() else []
    done = {finding.task for finding in known}
    left = [task for task in tasks if task.key not in done]
    pool = Pool(DockerProvider(image))
    try:
        with ThreadPoolExecutor(parallel) as workers, out.open("a") as lines:
            waiting = [workers.submit(attempt, task, pool, assets) for task in left]
            for number, future in enumerate(as_completed(waiting), len(done) + 1):
                finding = future.result()
                known.append(finding)
                lines.write(json.dumps(dataclasses.asdict(finding), ensure_ascii=False) + "\n")
                lines.flush()
                say(f"{number}/{len(tasks)} {finding.task}: {finding.outcome} {finding.untouched} {finding.reason}")
    finally:
        pool.close()
    return known


def attempt(task: Task, pool: Pool, assets: Path) -> Finding:
    """Try one task on a fresh desktop, or say why not."""
    seen = Finding(task.key, "skipped", feasible=task.feasible, checks=len(task.evaluator.checks))
    why = live_web(task) or drive(task)
    if why is not None:
        return dataclasses.replace(seen, reason=why)
    began = time.monotonic()
    seen = dataclasses.replace(seen, stand_ins=tuple(_stand_ins(task)))
    try:
        desktop = pool.start(SPEC)
    except DeskbenchError as error:
        return dataclasses.replace(seen, outcome="not set up", reason=f"no desktop: {error}")
    try:
        with tempfile.TemporaryDirectory(prefix="deskbench-container-") as folder:
            seen = _tried(seen, task, desktop, Path(folder), assets)
    finally:
        pool.stop(desktop)
    return dataclasses.replace(seen, seconds=round(time.monotonic() - began, 1))


def _tried(seen: Finding, task: Task, desktop: Desktop, folder: Path, assets: Path) -> Finding:
    context = Context(desktop, task, folder, assets, (SPEC.width, SPEC.height))
    world = World(desktop, task, folder, assets)
    try:
        run_steps(task.config, context)
        world.programs = look(task, desktop)
    except EnvError as error:
        return dataclasses.replace(seen, outcome="not set up", reason=_line(error))
    try:
        untouched = score(task, world, context, said_fail=False).value
    except (EnvError, CheckError) as error:
        return dataclasses.replace(seen, outcome="not graded", reason=_line(error))
    placed, placeable, lost = _with_the_expected(task, world, assets) if task.feasible else (0, 0, ())
    reason = "its check is a program that it fetches" if _fetches_its_check(task) else ""
    return dataclasses.replace(
        seen, outcome="graded", untouched=untouched, placed=placed, placeable=placeable, lost=lost, reason=reason
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _with_the_expected(task: Task, world: World, assets: Path) -> tuple[int, int, tuple[str, ...]]:
    """Copy each expected file to its result's place; returns how many checks give 1, of how many, and the reasons."""
    store, placed, placeable, lost = AssetStore.here(assets), 0, 0, []
    for check in task.evaluator.checks:
        pairs = list(_places(check))
        if not pairs:
            continue
        placeable += 1
        try:
            for url, path in pairs:
                world.desktop.write_file(path, store.get(url).read_bytes())
            alone = task.model_copy(update={"evaluator": task.evaluator.model_copy(update={"checks": (check,)})})
            found = judge(alone, [read(check, world)])
        except (EnvError, CheckError) as error:
            lost.append(f"{check.metric}: {_line(error)}")
            continue
        placed += found.value == 1.0
        lost += [] if found.value == 1.0 else [found.reason]
    return placed, placeable, tuple(lost)


def _places(check: Check) -> Iterator[tuple[str, str]]:
    """URLs of expected files, and the paths of the results; empty if a check does not compare files."""
    got, wanted = check.result, check.expected
    if got is None or wanted is None or (got.type, wanted.type) != ("vm_file", "cloud_file"):
        return
    paths, urls = (
        one.parameters["path"] if isinstance(one.parameters["path"], list) else [one.parameters["path"]]
        for one in (got, wanted)
    )
    if len(paths) == len(urls):
        yield from zip(urls, paths, strict=True)


def _fetches_its_check(task: Task) -> bool:
    """Whether the program that judges is one of OSWorld's files, so that a replacement would judge nothing."""
    fetched = [file["path"] for call in task.evaluator.postconfig if call.type == "download"
               for file in call.parameters["files"]]  # fmt: skip
    return any(path.endswith(SCRIPTS) for path in fetched)


def _stand_ins(task: Task) -> Iterator[str]:
    calls = [*task.config, *task.evaluator.postconfig]
    commands = json.dumps([call.parameters for call in calls if call.type in STEPS_WITH_COMMANDS])
    if {"vscode", "vs_code"} & set(task.related_apps) or '"code' in commands:
        yield "code-server"
    if "google-chrome" in commands or "chrome" in task.related_apps:
        yield "Chromium"
    if any("gsettings" in text or "gnome" in text for text in (commands, json.dumps(_checks(task)))):
        yield "XFCE"
    if urls_of([task]):
        yield "assets"


def _checks(task: Task) -> list[object]:
    found: list[Call] = [
        call for check in task.evaluator.checks for call in (check.result, check.expected) if call is not None
    ]
    return [call.parameters for call in found]

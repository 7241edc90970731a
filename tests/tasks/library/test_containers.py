"""The suite `basics` in containers: samples in the light image and in the full one (XFCE, without openbox tasks)."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.docker import image as images
from deskbench.envs.providers.docker.provider import DockerProvider
from deskbench.envs.providers.pool import Pool
from deskbench.tasks.load import load
from deskbench.tasks.schema import new_task
from deskbench.tasks.types import Task

from ...engine import build, docker_engine
from .test_basics import run_oracle, scored

pytestmark = [pytest.mark.desktop, pytest.mark.slow, pytest.mark.timeout(600)]
TASKS = load("basics")
OF_OPENBOX = ("settings-desktops", "settings-menu-images", "settings-window-theme", "desktop-open-and-write")
"""Settings of the light image's session and panel, which the full one lacks."""
FULL = [task for task in TASKS if task.feasible and task.id not in OF_OPENBOX][::2]
LIGHT = [task for task in TASKS if task.feasible][::6]


@pytest.fixture(scope="module")
def full() -> Iterator[Pool]:
    with docker_engine():
        client = docker.from_env(timeout=600)
        build(client, images.Recipe(programs="full"))
        client.close()
        made = Pool(DockerProvider("full"))
        yield made
        made.close()


@pytest.fixture(scope="module")
def light() -> Iterator[Pool]:
    with docker_engine():
        made = Pool(DockerProvider())
        yield made
        made.close()


def refuse(pool: Pool, task: Task, folder: Path, spec: DesktopSpec) -> None:
    """Doing nothing scores 0."""
    desktop = pool.start(spec)
    try:
        assert scored(task, desktop, folder).value == 0.0
    finally:
        pool.stop(desktop)


def solve(pool: Pool, task: Task, folder: Path, spec: DesktopSpec) -> None:
    """The oracle scores 1. Local desktops show for every task that doing nothing scores 0."""
    desktop = pool.start(spec)
    try:
        record = run_oracle(task, desktop, folder / "episode", folder / "assets", "docker")
        assert record.score.value == 1.0, record.error or record.score.reason
    finally:
        pool.stop(desktop)


@pytest.mark.parametrize("task", FULL, ids=lambda task: task.id)
def test_the_full_image_does_its_tasks(full: Pool, task: Task, tmp_path: Path) -> None:
    solve(full, task, tmp_path, DesktopSpec(width=1920, height=1080))


@pytest.mark.parametrize("like", ["browser", "office"])
def test_the_full_image_does_the_templates_that_need_it(full: Pool, like: str, tmp_path: Path) -> None:
    """The browser writes a bookmark 2.5 seconds after it was made, so a check that reads at once would lose it."""
    [task] = load(new_task(tmp_path / "mine.json", like))
    refuse(full, task, tmp_path, DesktopSpec())
    solve(full, task, tmp_path, DesktopSpec())


@pytest.mark.parametrize("task", LIGHT[::2], ids=lambda task: task.id)
def test_doing_nothing_scores_0_in_containers_too(full: Pool, light: Pool, task: Task, tmp_path: Path) -> None:
    refuse(full if task in FULL else light, task, tmp_path, DesktopSpec())


@pytest.mark.parametrize("task", LIGHT, ids=lambda task: task.id)
def test_the_light_image_does_its_tasks(light: Pool, task: Task, tmp_path: Path) -> None:
    solve(light, task, tmp_path, DesktopSpec())

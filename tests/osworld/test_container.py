"""Tests tasks in OSWorld's form in the full image, with generated files instead of downloads."""

import json
from pathlib import Path
from typing import Any

import docker
import pytest

from deskbench.envs.providers.docker import image as images
from deskbench.tasks.assets import AssetStore, urls_of
from deskbench.tasks.load import load
from tests.engine import build, docker_engine
from tests.osworld.assets import generate
from tests.osworld.container import Finding, measure
from tests.osworld.page import page, tasks_table

HUB = "https://huggingface.co/files/"
KINDS = (
    "a.xlsx a.docx a.pptx a.odt a.ods a.doc a.ppt a.xls a.pdf a.png a.jpg a.gif a.webp a.xcf a.mp4 a.mp3 a.wav a.zip "
    "a.tar.gz a.tar.xz thunderbird-profile.tar.gz a.epub test.vsix a.csv a.json a.html a.srt a.bib a.eml a.py a.sh a.txt"
).split()
FIRST_BYTES = {
    "a.xlsx": b"PK", "a.doc": b"\xd0\xcf\x11\xe0", "a.ppt": b"\xd0\xcf\x11\xe0", "a.pdf": b"%PDF-", "a.png": b"\x89PNG",
    "a.jpg": b"\xff\xd8", "a.gif": b"GIF8", "a.tar.gz": b"\x1f\x8b", "a.tar.xz": b"\xfd7zXZ", "a.wav": b"RIFF",
}  # fmt: skip


def write(folder: Path, name: str, **keys: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"id": name, "instruction": "x", **keys}))


def download(*names: str) -> dict[str, Any]:
    files = [{"url": HUB + name, "path": f"/home/user/Desktop/{name}"} for name in names]
    return {"type": "download", "parameters": {"files": files}}


def compare(metric: str, result: str, expected: str, **options: Any) -> dict[str, Any]:
    return {
        "func": metric, "options": options,
        "result": {"type": "vm_file", "path": f"/home/user/Desktop/{result}", "dest": result},
        "expected": {"type": "cloud_file", "path": HUB + expected, "dest": f"wanted-{result}"},
    }  # fmt: skip


def window(name: str) -> dict[str, Any]:
    return {"type": "activate_window", "parameters": {"window_name": name}}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Five tasks in OSWorld's form."""
    folder = tmp_path / "examples" / "office"
    folder.mkdir(parents=True)
    write(
        folder, "sheet", config=[download("book.xlsx"), {"type": "open", "parameters": {"path": "/home/user/Desktop/book.xlsx"}}],
        evaluator={
            **compare("compare_table", "book.xlsx", "book_gold.xlsx", rules=[{"type": "sheet_data", "sheet_idx0": 0, "sheet_idx1": "EI0"}]),
            "postconfig": [window("book.xlsx - LibreOffice Calc"), window("no such window")],
        },
    )  # fmt: skip
    profile = "/home/user/.thunderbird/t5q2a5hp.default-release/prefs.js"
    write(
        folder, "mail",
        config=[
            {"type": "download", "parameters": {"files": [{"url": HUB + "thunderbird-profile.tar.gz", "path": "/home/user/p.tar.gz"}]}},
            {"type": "execute", "parameters": {"command": ["tar", "-xzf", "/home/user/p.tar.gz", "-C", "/home/user/"]}},
            {"type": "launch", "parameters": {"command": ["/usr/bin/thunderbird"]}},
        ],
        evaluator={
            "func": "check_thunderbird_prefs",
            "postconfig": [{"type": "close_window", "parameters": {"window_name": "Mail.thunderbird", "strict": True, "by_class": True}}],
            "result": {"type": "vm_file", "path": profile, "dest": "prefs.js"},
            "expected": {"type": "rule", "rules": {"expect": {"mail.identity.id1.useremail": {"method": "eq", "ref": "anonym-x2024@outlook.com"}}}},
        },
    )  # fmt: skip
    write(
        folder,
        "brighter",
        config=[download("photo.png")],
        evaluator=compare("check_brightness_decrease_and_structure_sim", "dark.png", "photo.png"),
    )
    write(folder, "cannot", evaluator={"func": "infeasible"})
    write(folder, "web", proxy=True, evaluator={"func": "infeasible"})
    return tmp_path


def test_every_kind_of_file_is_made_and_no_two_are_alike(tmp_path: Path) -> None:
    source, mirror = tmp_path / "tasks", tmp_path / "mirror"
    source.mkdir()
    write(
        source, "all", config=[download(*KINDS, *(f"other/{kind}" for kind in KINDS))], evaluator={"func": "infeasible"}
    )
    tasks = load(source)
    assert generate(tasks, mirror) == 2 * len(KINDS)
    assert generate(tasks, mirror) == 0  # they exist now
    store = AssetStore(tmp_path / "cache", str(mirror), offline=True)
    made = {url.removeprefix(HUB): store.get(url).read_bytes() for url in urls_of(tasks)}
    for name, start in FIRST_BYTES.items():
        assert made[name].startswith(start), name
    for name in KINDS:
        if name not in ("thunderbird-profile.tar.gz", "a.sh", "test.vsix"):
            assert made[name] != made[f"other/{name}"], name


@pytest.mark.desktop
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tasks_are_set_up_and_graded_in_a_container(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = load(suite)
    generate(tasks, tmp_path / "mirror")
    monkeypatch.setenv("DESKBENCH_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("DESKBENCH_OFFLINE", "1")
    said: list[str] = []
    with docker_engine():
        client = docker.from_env(timeout=600)
        build(client, images.Recipe(programs="full"))
        client.close()
        found = measure(tasks, tmp_path / "found.jsonl", tmp_path / "cache", 1, "full", said.append)
    by_name = {one.task.partition("/")[2]: one for one in found}
    assert {name: one.outcome for name, one in by_name.items()} == {
        "sheet": "graded", "mail": "graded", "brighter": "graded", "cannot": "graded", "web": "skipped"
    }, said  # fmt: skip
    assert (by_name["sheet"].untouched, by_name["sheet"].placed, by_name["sheet"].placeable) == (0.0, 1, 1)
    assert by_name["mail"].untouched == 1.0
    assert (by_name["brighter"].untouched, by_name["brighter"].placed, by_name["brighter"].placeable) == (0.0, 0, 1)
    assert by_name["brighter"].lost
    lines = [Finding(**json.loads(line)) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert "**deskbench sets up and grades 4 of 5 tasks.**" in page(lines)
    assert "| office/web | skipped |" in tasks_table(lines)

"""The examples in the reference: they are valid in task files, metrics score with them, and they work on a desktop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.providers.conformance import RED
from deskbench.envs.providers.pool import Pool
from deskbench.tasks import registry
from deskbench.tasks.load import check_all
from deskbench.tasks.metrics.support.applied import apply
from deskbench.tasks.reference import examples
from deskbench.tasks.registry import Kind

from .examples import INPUTS, Both, made
from .stage import Stage

WITHOUT: dict[Kind, dict[str, str]] = {
    "metric": {
        "check_palette_and_structure_sim": "no case scores 1",
        "check_python_file_by_gold_file": "OSWorld's has no body",
        "check_python_file_by_test_suite": "runs in a desktop (tests/tasks/scoring/test_probes.py)",
        "compare_image_text": "needs the extra `ocr`",
        "compare_insert_equation": "no case scores 1",
        "evaluate_presentation_fill_to_rgb_distance": "no case scores 1",
        "get_unique_train_ids": "a helper, no score",
    },
    "getter": {},
    "setup": {
        "act": "never implemented", "proxy": "never made", "replay": "never implemented",
        "tidy_desktop": "never implemented",
    },
}  # fmt: skip
"""Names without an example, with the reason; the list may only shrink."""
CHECKS = examples("metric")


def test_what_has_no_example_is_listed() -> None:
    for kind, without in WITHOUT.items():
        lacking = set(registry.names(kind)) - set(examples(kind))
        assert lacking == set(without), f"tasks/examples/{kind}.json has an example of each"
        assert set(examples(kind)) <= set(registry.names(kind))
    assert sum(map(len, WITHOUT.values())) <= 11


# -- in task files


def test_a_task_file_may_have_each(tmp_path: Path) -> None:
    for name, content in tasks():
        (tmp_path / f"{name}.json").write_text(json.dumps({"id": name, "instruction": "x", **content}))
        for file in files_of(content):
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).touch()
    found = check_all(tmp_path)
    assert [str(problem) for problem in found.problems] == []
    assert len(found.tasks) == sum(len(examples(kind)) for kind in WITHOUT)


def tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    """An evaluator and a set-up for each example."""
    rule = {"type": "rule", "rules": {"expected": "x"}}
    for name, check in CHECKS.items():
        yield f"metric-{name}", {"evaluator": check}
    for name, call in examples("getter").items():
        yield f"getter-{name}", {"evaluator": {"func": "exact_match", "result": call, "expected": rule}}
    for name, step in examples("setup").items():
        yield f"setup-{name}", {"evaluator": {"func": "infeasible"}, "config": [step]}


def files_of(value: Any) -> Iterator[str]:
    """Every string that names a file next to the task file."""
    if isinstance(value, str) and value.startswith("assets/"):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from files_of(inner)


def test_an_example_is_of_its_name() -> None:
    assert {name for name, check in CHECKS.items() if check["func"] != name} == set()
    for kind in ("getter", "setup"):
        assert {name for name, call in examples(kind).items() if call["type"] != name} == set()


# -- metrics


@pytest.mark.parametrize("name", INPUTS)
def test_a_metric_scores_1_for_what_is_right_and_less_for_what_is_wrong(name: str, tmp_path: Path) -> None:
    right, wrong = (scored(name, value, tmp_path / str(index)) for index, value in enumerate(INPUTS[name]))
    assert right == 1.0
    assert wrong < 0.5 if name.startswith("fuzzy") else wrong == 0.0


def scored(name: str, value: Any, folder: Path) -> float:
    folder.mkdir()
    both = value if isinstance(value, Both) else Both(value, CHECKS[name]["expected"]["rules"])
    result, expected = made(both.result, folder), made(both.expected, folder)
    return score(name, result, expected)


def score(name: str, result: Any, expected: Any) -> float:
    trusted = [one for one in (expected if isinstance(expected, list) else [expected]) if isinstance(one, Path)]
    return float(apply(registry.find("metric", name), result, expected, CHECKS[name].get("options", {}), trusted))


# -- getters and set-up steps, on a desktop

STEPS = ("command", "execute", "execute_with_verification", "write_file", "upload_file", "launch", "activate_window",
         "close_window", "open", "change_wallpaper", "sleep")  # fmt: skip
"""Set-up steps that need neither the web nor programs missing from the local desktop, in this order."""
NOTES = "one\ntwo\n"
READ: dict[str, Any] = {
    "cache_file": "Ada\nBob\n", "chrome_color_scheme": "dark", "chrome_font_size": {"default_font_size": 20},
    "chrome_language": "fr", "conference_city_in_order": ["Rome"], "data_delete_automacally": "false",
    "default_video_player": "unknown", "enable_do_not_track": "true", "enable_enhanced_safety_browsing": "false",
    "enable_safe_browsing": "false", "enabled_experiments": [], "extensions_installed_from_shop": [],
    "find_installed_extension_name": [], "find_unpacked_extension_path": [], "gimp_config_file": None,
    "history": None, "cookie_data": None, "bookmarks": {}, "new_startup_page": "true", "profile_name": "Thomas",
    "rule": {"expected": "hello"}, "shortcuts_on_desktop": {}, "time_diff_range": 60,
    "timezone_from_config": "Europe/Zurich", "vlc_config": "a=1\n", "vm_clipboard": "", "vm_command_line": NOTES,
    "vm_file": NOTES, "vm_file_text": NOTES, "vm_screen_size": {"width": 1280, "height": 800}, "agent_answer": None,
    "task_file": "gold", "vlc_playing_info": None, "audio_in_slide": None, "content_from_vm_file": None,
}  # fmt: skip
"""What the examples of getters read on the desktop here; files as texts."""
PROFILE = "~/.config/chromium"
GIVEN: dict[str, bytes] = {
    "~/Documents/names.txt": b"Bob\nAda\n",
    "~/Pictures/wallpaper.png": RED,
    "~/.config/vlc/vlcrc": b"a=1\n",
    f"{PROFILE}/Local State": b'{"intl": {"app_locale": "fr"}}',
    f"{PROFILE}/Default/Preferences": json.dumps({
        "profile": {"name": "Thomas"}, "enable_do_not_track": True, "browser": {"theme": {"color_scheme2": 2}},
        "webkit": {"webprefs": {"default_font_size": 20}},
    }).encode(),
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(local_provider: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A desktop after every step of `STEPS`, as in its example."""
    desktop = local_provider.start(DesktopSpec())
    found = Stage(desktop, tmp_path_factory.mktemp("examples"))
    assets = found.folder / "assets"
    assets.mkdir(exist_ok=True)
    for name, text in (("letter.txt", "Dear"), ("cities.csv", "a,b,c\n1,2,Rome\n"), ("gold.png", "gold")):
        (assets / name).write_text(text)
    for path, data in GIVEN.items():
        desktop.write_file(path, data)
    for name in STEPS:
        found.do(name, **examples("setup")[name]["parameters"])
    yield found
    local_provider.stop(desktop)


@pytest.mark.desktop
class TestOnADesktop:
    def get(self, stage: Stage, name: str) -> Any:
        call = dict(examples("getter")[name])
        found = stage.get(call.pop("type"), **call)
        return found.read_text() if isinstance(found, Path) else found

    def test_the_steps_took_effect(self, stage: Stage) -> None:
        said = stage.desktop.run(
            "test -d /tmp/new && test -d ~/Documents/new && cat ~/Documents/letter.txt", shell=True
        )
        assert said.stdout == "Dear"
        assert any("notes.txt" in title for title in stage.get("vm_window_titles"))

    @pytest.mark.parametrize("name", READ)
    def test_a_getter_reads(self, stage: Stage, name: str) -> None:
        assert self.get(stage, name) == READ[name]

    def test_what_is_shown_and_named(self, stage: Stage) -> None:
        assert "notes.txt" in self.get(stage, "accessibility_tree")
        assert any("notes.txt" in title for title in self.get(stage, "vm_window_titles"))
        assert self.get(stage, "vm_window_size")["width"] > 100
        assert "No such file" in self.get(stage, "vm_command_error")
        assert {"type": "file", "name": "notes.txt"} in self.get(stage, "list_directory")["children"]
        assert self.get(stage, "timezone_from_ip")
        assert self.get(stage, "rule_relativeTime")["expected"]["time"][:2] == "20"
        assert self.get(stage, "background_image_in_slide") is None

    def test_the_background(self, stage: Stage) -> None:
        call = examples("getter")["vm_wallpaper"]
        assert stage.get("vm_wallpaper", dest=call["dest"]).read_bytes() == RED

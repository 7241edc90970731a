"""Runs in the layout of OSWorld's results, and OSWorld's results as runs."""

import io
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from deskbench.agent.base import Ending
from deskbench.agent.cli.main import app
from deskbench.agent.exports.export import FORMATS, export
from deskbench.agent.osworld.imports import import_results
from deskbench.agent.replay.replay import replay
from deskbench.agent.replay.rescore import rescore_all
from deskbench.agent.report.report import payload
from deskbench.agent.runs.folder import RunFolder
from deskbench.agent.runs.layout import EpisodeFolder
from deskbench.agent.runs.record import EpisodeReader
from deskbench.envs.errors import UsageError

from ..paper import write_suite
from ..staged_runs import episode, run


def counted(results: Path) -> tuple[int, float]:
    """What OSWorld's show_result counts below a model's folder, and the mean: every result.txt, nothing else."""
    found = [float(file.read_text()) for file in results.glob("*/*/result.txt")]
    return len(found), statistics.fmean(found)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    made = run(tmp_path / "run", planned=4)
    episode(made, "chrome/a", 1.0)
    episode(made, "chrome/b", None, ending=Ending.ENV_ERROR, attempt=1)
    episode(made, "chrome/b", 0.25, attempt=2)
    episode(made, "os/c", 0.0, ending=Ending.STEP_LIMIT)
    episode(made, "os/d", None, ending=Ending.ENV_ERROR)
    return made


def test_a_run_is_counted_by_osworlds_tools_as_it_is_here(recorded: Path, tmp_path: Path) -> None:
    done = export(recorded, tmp_path / "results")
    assert (done.scored, done.not_scored) == (3, 1)
    episodes, mean = counted(done.folder)
    assert episodes == 3 and mean == pytest.approx(1.25 / 3)
    assert done.folder.relative_to(tmp_path).parts[:3] == ("results", "pyautogui", "screenshot")
    lines = [json.loads(line) for line in (done.folder / "chrome/a/traj.jsonl").read_text().splitlines()]
    assert [line["step_num"] for line in lines] == [1, 2] and [line["done"] for line in lines] == [False, True]
    assert all((done.folder / "chrome/a" / line["screenshot_file"]).is_file() for line in lines)
    failed = (done.folder / "os/d/traj.jsonl").read_text().splitlines()[-1]
    assert json.loads(failed)["Error"].startswith("os/d - ") and not (done.folder / "os/d/result.txt").exists()
    summary = json.loads((tmp_path / "results/summary/results.json").read_text())
    assert {(e["application"], e["task_id"], e["status"]) for e in summary} >= {
        ("os", "d", "error"),
        ("chrome", "b", "success"),
    }
    with pytest.raises(UsageError, match="already exists"):
        export(recorded, tmp_path / "results")


def test_the_list_of_results_has_those_of_every_export(recorded: Path, tmp_path: Path) -> None:
    other = run(tmp_path / "other", planned=1, agent="null")
    episode(other, "gimp/e", 1.0)
    for made in (recorded, other):
        export(made, tmp_path / "results")
    listed = tmp_path / "results/summary/results.json"
    found = json.loads(listed.read_text())
    assert sorted((one["application"], one["task_id"]) for one in found) == [
        ("chrome", "a"), ("chrome", "b"), ("gimp", "e"), ("os", "c"), ("os", "d"),
    ]  # fmt: skip
    for broken in ("{}", "[", "\x00"):
        listed.write_text(broken)
        with pytest.raises(UsageError, match=r"results\.json.*use another --out"):
            export(run_of_one(tmp_path / "more"), tmp_path / "results")
        assert listed.read_text() == broken and not list(tmp_path.glob("results/**/vlc"))


def run_of_one(folder: Path) -> Path:
    episode(run(folder, planned=1), "vlc/f", 1.0)
    return folder


def test_partial_scores_of_another_form_do_not_end_an_export(recorded: Path, tmp_path: Path) -> None:
    record = EpisodeFolder(recorded / "episodes/chrome/a/1").record
    value = json.loads(record.read_text())
    good = {"name": "saved", "score": 1.0, "weight": 2.0, "description": "it is there"}
    value["score"]["parts"] = [{}, {"name": "x"}, good, {"name": "y", "score": "much"}]
    record.write_text(json.dumps(value))
    folder = export(recorded, tmp_path / "results").folder
    assert json.loads((folder / "chrome/a/result.json").read_text()) == {
        "score": 1.0, "partial_scores": {"saved": {"score": 1.0, "weight": 2.0, "description": "it is there"}},
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_half_a_character_in_a_manifest_ends_no_export(name: str, recorded: Path, tmp_path: Path) -> None:
    manifest = json.loads((recorded / "run.json").read_text())
    odd = {"agent": "a\ud800", "versions": {"deskbench": "\udfff"}, "config": {"agent_settings": {"model": "m\ud83d"}}}
    (recorded / "run.json").write_text(json.dumps(manifest | odd))
    done = export(recorded, tmp_path / "out", name)
    assert done.scored == 3 and any(path.is_file() for path in done.folder.rglob("*"))


def test_there_and_back_again(recorded: Path, tmp_path: Path) -> None:
    done = export(recorded, tmp_path / "results")
    back = import_results(done.folder, tmp_path / "back")
    assert (back.planned, back.scored, back.not_scored, back.problems) == (4, 3, 1, ())
    (before,), (after,) = payload([recorded])["runs"], payload([tmp_path / "back"])["runs"]
    for key in ("all", "scored", "planned"):
        assert after["summary"][key] == before["summary"][key]
    shown = {e["task"]: e for e in after["episodes"]}
    for one in before["episodes"]:
        there = shown[one["task"]]
        assert there["score"] == one["score"]
        assert [s["frame"] for s in there["steps"]] == [s["frame"] for s in one["steps"]]
        assert [s["actions"] for s in there["steps"]] == [s["actions"] for s in one["steps"]]
    assert all(not one.changed for one in rescore_all(tmp_path / "back"))


def kept_of(run_folder: Path) -> dict[tuple[str, int], Any]:
    """What a round trip must keep of each final attempt."""
    found = {}
    for reader in RunFolder(run_folder).final():
        record = reader.episode
        steps = [
            (step.actions, step.reply, step.thought, step.usage, step.model_ms, step.notes) for step in reader.steps()
        ]
        seen = [(one.frame, one.cursor, one.settled, one.results, one.answer) for one in reader.frames()]
        own = {"attempt", "provider", "task_path", "task_json", "state"}
        found[record.task, record.repeat] = (record.model_dump(exclude=own), steps, seen)
    return found


def test_import_takes_everything_that_export_wrote(recorded: Path, tmp_path: Path) -> None:
    """Repeats, steps without an action, endings, reasons and evidence, answers."""
    episode(recorded, "chrome/a", 0.5, repeat=1, attempt=2, ending=Ending.TIME_LIMIT)
    episode(recorded, "os/c", 1.0, repeat=2, attempt=3)
    steps = EpisodeFolder(recorded / "episodes/os/c/3").steps
    first, second, last = (json.loads(line) for line in steps.read_text().splitlines())
    first |= {"actions": [], "reply": "I look.", "thought": "Where is it?", "notes": [{"cut": 3}]}
    second["actions"] = [{"type": "wait", "seconds": 2.0}, {"type": "done", "answer": "42"}]
    last["observation"]["results"] = [[True, None, None], [False, "no such key", None]]
    steps.write_text("".join(json.dumps(line) + "\n" for line in (first, second, last)))
    export(recorded, tmp_path / "results")
    back = import_results(tmp_path / "results", tmp_path / "back")
    assert (back.planned, back.scored, back.problems) == (12, 5, ())
    assert kept_of(tmp_path / "back") == kept_of(recorded)
    assert RunFolder(tmp_path / "back").manifest()["agent"] == "agent"


def test_a_score_that_was_changed_after_the_export_has_no_old_reason(recorded: Path, tmp_path: Path) -> None:
    model = export(recorded, tmp_path / "results").folder
    (model / "chrome/a/result.txt").write_text("0.0")
    (model / "os/c/deskbench.json").write_text('{"version": 9}')
    back = import_results(model, tmp_path / "back")
    assert len(back.problems) == 1 and back.problems[0].startswith("os/c/deskbench.json: left out")
    records = {record.task: record.score for record in RunFolder(tmp_path / "back").records()}
    assert (records["chrome/a"].value, records["chrome/a"].reason) == (0.0, "as OSWorld scored it")
    assert records["chrome/b"].reason == "because"
    assert records["os/c"].reason == "as OSWorld scored it"


def picture(kind: str = "PNG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (640, 400), "navy").save(made, kind)
    return made.getvalue()


def line(number: int, action: Any, shot: str = "", **more: Any) -> str:
    return json.dumps({"step_num": number, "action": action, "response": "I think", "screenshot_file": shot, **more})


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Results as OSWorld's runners leave them, broken ones included."""
    model = tmp_path / "results/pyautogui/screenshot/a-model"
    files: dict[str, dict[str, bytes | str]] = {
        "os/good": {
            "traj.jsonl": "\n".join([
                line(1, "import pyautogui\npyautogui.click(100, 200)\ntime.sleep(1)", "step_1.png"),
                line(2, {"action_type": "TYPING", "text": "hi"}, "step_2.png"),
                line(3, {"command": "pyautogui.hotkey('ctrl', 's')"}, "step_3.png"),
                line(4, "DONE", "step_4.png"),
            ]),
            **{f"step_{n}.png": picture("JPEG" if n == 2 else "PNG") for n in range(1, 5)},
            "result.txt": "1.0\n",
        },
        "os/code": {"traj.jsonl": line(1, "import os; os.remove('x')"), "result.txt": "0"},
        "os/broken": {
            "traj.jsonl": 'not json\n[]\n{"step_num": 1, "action": 5}\n' + line(2, "FAIL", "../../../etc/passwd"),
            "result.txt": "x",
        },
        "vlc/error": {"traj.jsonl": json.dumps({"Error": "vlc/error - Time limit exceeded"})},
        "vlc/bare": {"result.txt": "0.5"},
    }  # fmt: skip
    for name, content in files.items():
        (model / name).mkdir(parents=True)
        for file, data in content.items():
            (model / name / file).write_bytes(data if isinstance(data, bytes) else data.encode())
    return model


def test_published_results_are_read(published: Path, tmp_path: Path) -> None:
    done = import_results(published, tmp_path / "run")
    assert (done.planned, done.scored, done.not_scored) == (5, 3, 2)
    good = EpisodeReader(tmp_path / "run/episodes/os/good/1")
    assert (good.episode.score.value, good.episode.ending, good.episode.width) == (1.0, Ending.DONE, 640)
    kinds = [[action["type"] for action in step.actions] for step in good.steps()]
    assert kinds == [["click", "wait"], ["type"], ["key"], ["done"]]
    assert [seen.frame is not None for seen in good.frames()] == [False, True, True, True, True]
    code = EpisodeReader(tmp_path / "run/episodes/os/code/1")
    assert code.steps()[0].actions[0]["type"] == "exec" and code.episode.ending is Ending.STEP_LIMIT
    broken = EpisodeReader(tmp_path / "run/episodes/os/broken/1").episode
    assert broken.score.value is None and "not a number" in broken.score.reason
    error = EpisodeReader(tmp_path / "run/episodes/vlc/error/1").episode
    assert (error.score.value, error.ending) == (None, Ending.ENV_ERROR) and "Time limit" in str(error.error)
    said = "\n".join(done.problems)
    for what in ("os/broken/traj.jsonl:1: not JSON", "traj.jsonl:2: not a JSON object", "vlc/bare: no traj.jsonl"):
        assert what in said
    assert payload([tmp_path / "run"])["runs"][0]["summary"]["planned"] == 5


def test_results_that_are_none(published: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no OSWorld results"):
        import_results(tmp_path / "nothing", tmp_path / "run")
    (published.parent / "b-model/os/good").mkdir(parents=True)
    (published.parent / "b-model/os/good/result.txt").write_text("1")
    with pytest.raises(UsageError, match="results of 2 models"):
        import_results(published.parent, tmp_path / "run")


def test_a_run_goes_out_comes_back_with_its_tasks_and_is_replayed(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite", 3)

    def deskbench(*arguments: str) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    ran, results, back = (str(tmp_path / name) for name in ("run", "results", "back"))
    deskbench("run", str(suite), "--agent", "oracle", "--provider", "fake", "--out", ran, "--repeats", "2")
    exported = deskbench("export", ran, "--out", results)
    assert (exported["scored"], exported["not_scored"]) == (8, 0)
    model = Path(exported["folder"])
    assert counted(model) == (4, 1.0) and counted(model.with_name(f"{model.name}-2")) == (4, 1.0)
    (model / "suite/write-0/result.txt").unlink()  # a task that nobody finished is in the denominator
    imported = deskbench("import-results", str(model), "--out", back, "--tasks", str(suite))
    assert (imported["planned"], imported["scored"], imported["not_scored"]) == (4, 3, 1)
    one = next(
        path.parent
        for path in Path(back, "episodes").glob("*/*/1/episode.json")
        if EpisodeReader(path.parent).episode.score.value
    )
    with pytest.raises(UsageError, match="name one with --provider"):
        replay(one, tmp_path / "nowhere")
    replayed = deskbench("replay", str(one), "--provider", "fake", "--out", str(tmp_path / "again"))
    assert replayed["agrees"] is True


def results_of(folder: Path, lines: list[Any], result: bytes = b"1.0", encoding: str = "utf-8") -> Path:
    """A folder of OSWorld's results with one episode, as a program of another encoding writes it."""
    episode_folder = folder / "pyautogui" / "screenshot" / "model-a" / "os" / "one"
    episode_folder.mkdir(parents=True)
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (episode_folder / "traj.jsonl").write_bytes(text.encode(encoding))
    (episode_folder / "result.txt").write_bytes(result)
    return folder / "pyautogui" / "screenshot" / "model-a"


CLICKS = [{"step_num": k, "action": f"pyautogui.click({k}, 5)", "response": f"line\u2028{k}\x85"} for k in (1, 2, 3)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_trajectory_keeps_its_steps_in_whatever_encoding_it_stands(encoding: str, tmp_path: Path) -> None:
    source = results_of(tmp_path / "results", CLICKS, "1.0\n".encode(encoding), encoding)
    done = import_results(source, tmp_path / "run")
    assert (done.scored, done.problems) == (1, ())
    steps = EpisodeReader(tmp_path / "run/episodes/os/one/1").steps()
    assert [step.reply for step in steps] == [line["response"] for line in CLICKS]


@pytest.mark.parametrize("result", ["nan", "inf", "-inf", "-1", "2", "", "passed"])
def test_what_is_no_score_is_told_and_not_counted(result: str, tmp_path: Path) -> None:
    done = import_results(results_of(tmp_path / "results", CLICKS, result.encode()), tmp_path / "run")
    assert (done.planned, done.scored) == (1, 0)
    assert "os/one/result.txt" in done.problems[0]
    assert payload([tmp_path / "run"])["runs"][0]["summary"]["scored"] == 0


def test_lines_without_step_numbers_are_steps_of_their_own(tmp_path: Path) -> None:
    lines = [{"action": line["action"]} for line in CLICKS]
    import_results(results_of(tmp_path / "results", lines), tmp_path / "run")
    assert len(EpisodeReader(tmp_path / "run/episodes/os/one/1").steps()) == 3


def test_half_a_character_ends_no_import(tmp_path: Path) -> None:
    source = results_of(tmp_path / "results", [])
    line = {"step_num": 1, "action": "pyautogui.write('a\\ud83d')", "response": "half: \ud83d"}
    (source / "os" / "one" / "traj.jsonl").write_text(json.dumps(line))
    import_results(source, tmp_path / "run")
    [step] = EpisodeReader(tmp_path / "run/episodes/os/one/1").steps()
    assert step.reply == "half: \ufffd"


@pytest.mark.parametrize("name", [".", ".."])
def test_results_named_by_a_relative_path_stay_inside_the_run(
    name: str, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = export(recorded, tmp_path / "results").folder / "chrome/a"
    (task / "below").mkdir()
    monkeypatch.chdir(task if name == "." else task / "below")
    import_results(Path(name), tmp_path / "back")
    assert [one.episode.task for one in RunFolder(tmp_path / "back").final()] == ["chrome/a"]


def test_files_that_nobody_can_read_end_no_import(recorded: Path, tmp_path: Path) -> None:
    results = export(recorded, tmp_path / "results").folder
    (results / "chrome/b/traj.jsonl").unlink()
    (results / "chrome/b/traj.jsonl").mkdir()
    (results / "os/x/result.txt").mkdir(parents=True)
    line = {"step_num": 1, "action": "DONE", "screenshot_file": "a" * 300}
    (results / "chrome/a/traj.jsonl").write_text(json.dumps(line))
    (results / "chrome/a/deskbench.json").unlink()
    done = import_results(results, tmp_path / "back")
    assert (done.planned, done.scored) == (4, 3)
    told = "\n".join(done.problems)
    assert "chrome/b: no traj.jsonl" in told and "not a picture: File name too long" in told

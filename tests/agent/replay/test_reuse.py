"""What a new run takes over of an old one, what it scores again, and what it runs again."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deskbench.agent.batch import Batch
from deskbench.agent.cli.main import app
from deskbench.agent.cli.reuse import reuse_config
from deskbench.agent.manifest import code_of
from deskbench.agent.replay.rescore import rescore_all
from deskbench.agent.replay.reuse import Deed, ReusePlan, lines, plan_reuse, take_over
from deskbench.agent.runs.folder import RunFolder
from deskbench.envs.errors import UsageError

from .. import paper
from ..models.endpoint import endpoint, reply
from ..paper import prepared, write_suite, write_task


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return write_suite(tmp_path / "suite", count=2)


@pytest.fixture
def old(suite: Path, tmp_path: Path) -> Path:
    Batch(prepared(suite), tmp_path / "old").run()
    return tmp_path / "old"


def deeds(plan: ReusePlan) -> dict[str, str]:
    return {one.task.partition("/")[2]: one.deed.value for one in plan.choices}


def change_evaluator(suite: Path, name: str, **changes: Any) -> None:
    value = json.loads((suite / f"{name}.json").read_text())
    write_task(suite, name, evaluator=value["evaluator"] | changes)


def test_a_run_that_would_be_the_same_is_reused_whole(suite: Path, old: Path, tmp_path: Path) -> None:
    again = prepared(suite, parallel=2, retries=0)
    plan = plan_reuse(again, old)
    assert plan.counts == {"reuse": 3, "rescore": 0, "rerun": 0} and len(list(lines(plan))) == 1
    take_over(plan, again, tmp_path / "new")
    summary = Batch(again, tmp_path / "new").run(resume=True)
    assert (summary.scored, summary.reused) == (3, 3)
    records = RunFolder(tmp_path / "new").records()
    assert all(one.origin and one.origin.run == str(old) and one.origin.how == "reuse" for one in records)
    assert RunFolder(tmp_path / "new").manifest()["reused"] == {"run": str(old), "reuse": 3, "rescore": 0}
    for reader, before in zip(RunFolder(tmp_path / "new").final(), RunFolder(old).final(), strict=True):
        assert [step.actions for step in reader.steps()] == [step.actions for step in before.steps()]
        assert all(reader.screenshot(seen) for seen in reader.frames())
        assert reader.folder.steps.stat().st_ino != before.folder.steps.stat().st_ino
    with pytest.raises(UsageError, match="already holds a run"):
        take_over(plan, again, tmp_path / "new")


def test_another_check_scores_again_and_another_task_runs_again(suite: Path, old: Path, tmp_path: Path) -> None:
    change_evaluator(suite, "write-0", expected={"type": "rule", "rules": {"expected": "another"}})
    value = json.loads((suite / "write-1.json").read_text())
    write_task(suite, "write-1", instruction="Write hello.")
    assert value["instruction"] != "Write hello."
    again = prepared(suite, repeats=2)
    plan = plan_reuse(again, old)
    assert [one.deed for one in plan.choices] == [Deed.REUSE, Deed.RESCORE, *[Deed.RERUN] * 4]
    told = list(lines(plan))
    assert "rescore suite/write-0 (repeat 1): the task's evaluator has changed" in told
    assert "rerun suite/write-1 (repeat 1): the task has changed" in told
    take_over(plan, again, tmp_path / "new")
    summary = Batch(again, tmp_path / "new").run(resume=True)
    assert (summary.scored, summary.reused) == (6, 2)
    taken = {(one.task, one.repeat): one for one in RunFolder(tmp_path / "new").records()}
    assert (taken["suite/write-0", 0].score.value, taken["suite/write-0", 1].score.value) == (0.0, 0.0)
    assert taken["suite/write-0", 0].origin and taken["suite/write-0", 0].origin.how == "rescore"


def test_a_check_that_reads_something_new_needs_a_desktop(suite: Path, old: Path) -> None:
    change_evaluator(suite, "write-0", result={"type": "vm_clipboard"})
    change_evaluator(suite, "write-1", postconfig=[{"type": "sleep", "parameters": {"seconds": 0}}])
    plan = plan_reuse(prepared(suite), old)
    assert deeds(plan) == {"impossible": "reuse", "write-0": "rerun", "write-1": "rerun"}
    assert "scoring it again needs a desktop" in plan.choices[1].why
    assert "the steps before the check have changed" in plan.choices[2].why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"agent": "null"}, "another agent"), ({"width": 800}, "another width"), ({"seed": 3}, "another seed"),
        ({"policy": "immediate"}, "another policy"), ({"max_steps": 3}, "other limits"),
        ({"provider": f"{paper.__name__}:Mortal"}, "another provider"),
    ],
)  # fmt: skip
def test_another_setting_runs_again(suite: Path, old: Path, changes: dict[str, Any], why: str) -> None:
    plan = plan_reuse(prepared(suite, **changes), old)
    assert plan.counts["rerun"] == 3 and all(why in one.why for one in plan.choices)


@pytest.mark.parametrize(
    ("kind", "name", "deed", "why"),
    [
        ("functions", "metric exact_match", Deed.RESCORE, "metric exact_match has changed"),
        ("functions", "getter vm_command_line", Deed.RERUN, "getter vm_command_line has changed"),
        ("functions", "setup launch", Deed.RERUN, "setup launch has changed"),
        ("assets", "suite/write-0", Deed.RERUN, "files beside the task have changed"),
    ],
)
def test_other_code_is_seen_by_its_hash(
    suite: Path, old: Path, kind: str, name: str, deed: Deed, why: str
) -> None:  # fmt: skip
    manifest = RunFolder(old).manifest()
    manifest["code"][kind][name] = "another"
    RunFolder(old).write_manifest(manifest)
    choice = plan_reuse(prepared(suite), old).choices[1]
    assert (choice.task, choice.deed, choice.why) == ("suite/write-0", deed, why)


def test_a_score_that_rescore_wrote_is_not_taken_over(suite: Path, old: Path, tmp_path: Path) -> None:
    value = json.loads((suite / "write-0.json").read_text())
    rules = {"type": "rule", "rules": {"expected": "another"}}
    write_task(tmp_path / "others" / "suite", "write-0", evaluator=value["evaluator"] | {"expected": rules})
    episode = RunFolder(old).episode("suite/write-0", 1).path
    (changed,) = rescore_all(episode, source=str(tmp_path / "others" / "suite"), write=True)
    assert (changed.before, changed.after) == (1.0, 0.0)
    again = prepared(suite)
    plan = plan_reuse(again, old)
    assert deeds(plan) == {"impossible": "reuse", "write-0": "rescore", "write-1": "reuse"}
    take_over(plan, again, tmp_path / "new")
    taken = RunFolder(tmp_path / "new").final()[1].episode
    assert (taken.score.value, taken.rescored) == (1.0, False)


MIXTURE = """
[[experts]]
name = "one"
settings = {{ profile = "kimi-vl", base_url = "{url}", model = "m", prompt = "{folder}/prompt.txt" }}
[gate]
otherwise = ["one"]
"""


@pytest.mark.parametrize("agent", ["profile", "mixture"])
@pytest.mark.parametrize("file", ["mine.toml", "prompt.txt"])
def test_the_files_of_an_agent_are_seen_by_their_content(suite: Path, tmp_path: Path, agent: str, file: str) -> None:
    (tmp_path / "prompt.txt").write_text("Click.")
    with endpoint(reply("")) as server:
        (tmp_path / "mine.toml").write_text(
            'base = "kimi-vl"' if agent == "profile" else MIXTURE.format(url=server.url, folder=tmp_path)
        )
        own = {"base_url": server.url, "model": "m", "prompt": str(tmp_path / "prompt.txt")}
        settings: dict[str, Any] = {"agent": str(tmp_path / "mine.toml"), "agent_settings": own}
        if agent == "mixture":
            settings = {"agent": "mixture", "agent_settings": {"mixture": str(tmp_path / "mine.toml")}}
        before = code_of(prepared(suite, **settings))
        assert code_of(prepared(suite, **settings)) == before
        with (tmp_path / file).open("a") as changed:
            changed.write("\ntitle = 'Mine'" if (agent, file) == ("profile", "mine.toml") else "\n# another")
        after = code_of(prepared(suite, **settings))
    assert {name for name in after if after[name] != before[name]} == {"agent_files"}


def test_another_profile_runs_again(suite: Path, old: Path) -> None:
    manifest = RunFolder(old).manifest()
    manifest["code"]["agent_files"] = "another"
    RunFolder(old).write_manifest(manifest)
    plan = plan_reuse(prepared(suite), old)
    assert {one.why for one in plan.choices} == {"the agent's profile or another of its files has changed"}


def test_a_run_of_an_older_version_is_not_trusted(suite: Path, old: Path) -> None:
    manifest = RunFolder(old).manifest()
    del manifest["code"]
    RunFolder(old).write_manifest(manifest)
    plan = plan_reuse(prepared(suite), old)
    assert {one.why for one in plan.choices} == {"the run did not record which code it used"}


def test_the_plan_is_printed_first_or_alone(suite: Path, old: Path, tmp_path: Path) -> None:
    (suite / "write-2.json").write_text((suite / "write-1.json").read_text().replace("write-1", "write-2"))

    def deskbench(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["run", *arguments])

    alone = deskbench("--reuse", str(old), "--plan")
    assert alone.exit_code == 0 and "reuse 3, rescore 0, rerun 1" in alone.stdout
    told = json.loads(deskbench("--reuse", str(old), "--plan", "--json").stdout)
    assert (told["reuse"], told["rerun"], len(told["episodes"])) == (3, 1, 4)
    done = deskbench("--reuse", str(old), "--out", str(tmp_path / "new"))
    assert done.exit_code == 0, done.output
    assert "rerun suite/write-2 (repeat 1)" in done.output and "4 of 4 scored" in done.output
    assert f"reused 3 of 4 episodes from {old}" in done.output
    assert deskbench("--plan").exit_code == 1 and deskbench("--reuse", str(old), "--resume", str(old)).exit_code == 1


def test_settings_are_those_of_the_run_but_for_what_is_given(suite: Path, tmp_path: Path) -> None:
    Batch(
        prepared(suite, agent=f"{paper.__name__}:Settled", agent_settings={"a": "1", "b": "2"}), tmp_path / "old"
    ).run()
    found = reuse_config(tmp_path / "old", None, ["agent.b=3"], {"repeats": 2, "agent": None})
    assert (found.agent_settings, found.repeats, found.source) == ({"a": "1", "b": "3"}, 2, str(suite))
    assert found.provider == "fake"
    assert (found.origins["provider"], found.origins["repeats"]) == (str(tmp_path / "old"), "flag")
    assert reuse_config(tmp_path / "old", None, [], {"agent": "null"}).agent_settings == {}

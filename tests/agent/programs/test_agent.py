"""Episodes whose agent is a program: each call is a step, whatever the program does, and it leaves nothing behind."""

import json
import os
import shlex
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from deskbench.agent.base import Ending, Goal
from deskbench.agent.engines.attempt import plan_of
from deskbench.agent.episode import run_episode
from deskbench.agent.programs.agent import MOST_REFUSED, ProgramAgent
from deskbench.agent.programs.output import HEAD, TAIL
from deskbench.agent.programs.walls import LIBRARY, SOURCE, walls
from deskbench.agent.runs.ledger import Planned
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, EpisodeWriter
from deskbench.envs import wait
from deskbench.envs.desktop import DesktopSpec
from deskbench.envs.errors import UsageError
from deskbench.envs.providers.fake import FakeDesktop
from deskbench.envs.providers.leftovers import sweep
from deskbench.envs.types import Click, Done, Key, TakeScreenshot, Type

from ..paper import plan, prepared, task, write_suite

SOLVE = "act screenshot; act type hello; act key ctrl+s; act done"
MARK = f"31.{os.getpid():07}"
"""Seconds of a `sleep`, by which a test finds its own among this machine's processes."""


class Stage:
    """One episode with a shell script as the program, on the desktop in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desktop = FakeDesktop("fake", DesktopSpec())
        self.episode = folder / "episode"
        self.agent: ProgramAgent | None = None

    def run(self, script: str, **changes: Any) -> EpisodeRecord:
        (self.folder / "script").write_text(script)
        command = changes.pop("command", f"sh {self.folder}/script {{instruction}}")
        settings = {"command": command, "leave_seconds": "10", **changes.pop("settings", {})}
        one = changes.pop("task", None) or task(self.folder)
        interrupted = changes.pop("interrupted", lambda: False)
        self.agent = ProgramAgent.from_settings(settings)
        self.agent.check()
        writer = EpisodeWriter(self.episode)
        try:
            return run_episode(
                plan(one, self.folder / "assets", **changes), self.agent, self.desktop, writer, interrupted=interrupted
            )
        finally:
            writer.close()

    def output(self, name: str = "stdout") -> str:
        return (self.episode / "agent" / f"{name}.txt").read_text()

    def steps(self) -> list[dict[str, Any]]:
        return [{"actions": step.actions, "notes": step.notes} for step in EpisodeReader(self.episode).steps()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def asleep() -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if MARK in (one.info["cmdline"] or [])]


# A program plays as any other agent does.


def test_each_call_is_a_step_that_is_carried_out_recorded_and_scored(stage: Stage) -> None:
    record = stage.run(SOLVE)
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.DONE, 1.0, 4)
    assert stage.desktop.done == [TakeScreenshot(), Type("hello"), Key(("ctrl", "s")), Done()]
    assert [step["actions"][0]["type"] for step in stage.steps()] == ["screenshot", "type", "key", "done"]
    assert [json.loads(step.reply or "")["text"] for step in EpisodeReader(stage.episode).steps()[1:3]] == [
        "hello", "ctrl+s",
    ]  # fmt: skip


def test_the_answer_says_what_is_left_and_writes_a_picture_of_the_screen(stage: Stage) -> None:
    stage.run("act --out a.png left_click 5 6; file a.png || wc -c a.png; act done", max_steps=7)
    assert "Left: 6 steps," in stage.output()
    assert "Pointer at (5, 6). Screen 1280x800." in stage.output()
    assert "a.png" in stage.output()
    assert stage.desktop.done[0] == Click(x=5, y=6)


def test_the_program_is_told_the_task_as_an_argument_or_on_standard_input(stage: Stage) -> None:
    stage.run('echo "told: $1"; cat; act task; act done')
    assert stage.output().startswith("told: Write hello and save.\nWrite hello and save.\n\nYou do this on a desktop")


def test_without_a_placeholder_it_reads_the_task_from_standard_input(stage: Stage) -> None:
    stage.run("cat; act done", command=f"sh {stage.folder}/script")
    assert stage.output().startswith("Write hello and save.\n\nYou do this on a desktop")


def test_words_of_a_task_are_never_read_as_words_of_the_command(stage: Stage) -> None:
    said = "a\"; touch /tmp/x; {token} $(id) 'b"
    stage.run('printf "%s|" "$@"; act done', task=task(stage.folder, instruction=said))
    assert stage.output().startswith(f"{said}|")


def test_the_limits_of_the_run_hold(stage: Stage) -> None:
    record = stage.run("while act screenshot; do :; done; act screenshot; echo ended $?", max_steps=3)
    assert (record.ending, record.totals.steps) == (Ending.STEP_LIMIT, 3)
    assert record.score.value == 0.0


def test_a_question_gets_the_persons_answer(stage: Stage) -> None:
    stage.run("act ask 'Which file?'; act done", ask=lambda question: f"{question} The first.")
    assert "The person answers: Which file? The first." in stage.output()


def test_fail_is_an_ending_and_an_answer_is_recorded(stage: Stage, tmp_path: Path) -> None:
    assert stage.run("act fail 'no editor'").ending is Ending.FAILED
    other = Stage(tmp_path / "other")
    other.folder.mkdir()
    assert other.run("act done 'forty two'").answer == "forty two"


def test_what_it_says_that_it_cost_is_counted_and_limits_the_episode(stage: Stage) -> None:
    record = stage.run(
        """act screenshot; echo '{"total_cost_usd": 0.6, "usage": {"input_tokens": 9, "output_tokens": 2}}'
        sleep 0.5; act screenshot; sleep 0.5; act screenshot; act screenshot""",
        budget_usd=0.5,
    )
    assert (record.ending, record.totals.steps) == (Ending.BUDGET, 2)
    assert record.totals.usage.model_dump() == {"input_tokens": 9, "output_tokens": 2, "cost_usd": 0.6}


def test_what_it_says_after_done_is_counted_too(stage: Stage) -> None:
    record = stage.run("""act done; sleep 0.3; echo '{"total_cost_usd": 0.25}'""")
    assert record.totals.usage.cost_usd == 0.25


def test_what_it_cost_before_it_gave_up_is_counted(stage: Stage) -> None:
    record = stage.run("""act screenshot; echo '{"total_cost_usd": 0.25}'; exit 1""")
    assert (record.ending, record.totals.usage.cost_usd) == (Ending.AGENT_ERROR, 0.25)


def test_each_part_of_a_task_starts_it_again_in_the_same_folder(stage: Stage) -> None:
    stage.agent = ProgramAgent.from_settings({"command": f"sh {stage.folder}/script {{instruction}}"})
    (stage.folder / "script").write_text('echo "$1" >> log; cat log; act done')
    shown = stage.desktop.observe()
    try:
        for words in ("first", "second"):
            stage.agent.start(Goal(words, 1280, 800, files=stage.folder / "kept"))
            assert stage.agent.act(shown).actions == (Done(),)
    finally:
        stage.agent.close()
    assert (stage.folder / "kept" / "stdout.txt").read_text().count("first\n") == 2


# What it sees of this machine.


def test_it_has_no_secret_but_those_that_are_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "sk-other-key-1234567")
    monkeypatch.setenv("NAMED_SETTING", "named-value")
    stage.run("env; act done", settings={"env": "NAMED_SETTING"})
    names = {line.partition("=")[0] for line in stage.output().splitlines()}
    assert "NAMED_SETTING" in names
    assert not names & {"OTHER_API_KEY", "PYTHONPATH", "DISPLAY", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS"}
    assert str(Path.home()) not in stage.output().split("PATH=")[0]


def test_a_secret_that_it_prints_is_not_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from deskbench.envs.redact import KNOWN, secrets_in

    monkeypatch.setenv("NAMED_API_KEY", "sk-named-key-12345678")
    KNOWN.add(*secrets_in(os.environ))
    stage.run('echo "key $NAMED_API_KEY"; act done', settings={"env": "NAMED_API_KEY"})
    assert "key [secret]" in stage.output()


def test_it_sees_neither_other_processes_nor_scratch_files_nor_what_is_hidden(stage: Stage) -> None:
    hidden = Path(__file__).parent
    stage.run(
        f"ls /proc | grep -c '^[0-9]'; ls /tmp; ls {hidden}; cat /proc/{os.getpid()}/environ; act done",
        settings={"hide": str(hidden)},
    )
    lines = stage.output().splitlines()
    assert int(lines[0]) < 12
    assert [line for line in lines if line.startswith(("deskbench-", "test_"))] == [
        line for line in lines if line.startswith("deskbench-program-")
    ]


def test_it_sees_neither_the_expected_values_nor_the_record(stage: Stage) -> None:
    folder, file = Path(__file__).parent, Path(__file__).parent.parent / "paper.py"
    stage.run(
        f"ls {folder} | wc -l; cat {file} | wc -c; cat {LIBRARY}/basics/calculator-buttons.json; act done",
        hidden=(folder, file),
    )
    assert stage.output().split()[:2] == ["0", "0"]
    assert "No such file" in stage.output("stderr")


def test_deskbench_may_be_in_a_folder_that_is_hidden(stage: Stage) -> None:
    record = stage.run(
        f"ls {SOURCE}; cat {LIBRARY}/basics/calculator-buttons.json; act done", settings={"hide": str(SOURCE)}
    )
    assert record.ending is Ending.DONE
    assert {"agent", "envs", "tasks"} <= set(stage.output().split()) and "tests" not in stage.output().split()
    assert "No such file" in stage.output("stderr")


@pytest.mark.parametrize(("source", "expected"), [("paper", "paper"), ("paper/write-0.json", "paper/write-0.json")])
def test_a_run_tells_what_an_agent_must_not_read(tmp_path: Path, source: str, expected: str) -> None:
    write_suite(tmp_path / "paper")
    run = prepared(tmp_path / source)
    made = plan_of(run, run.tasks[0], Planned(run.tasks[0].key, 0, 0), 1, record=tmp_path / "run")
    assert made.hidden == (tmp_path / expected, tmp_path / "run")


def test_an_installed_program_is_seen_with_its_libraries_wherever_it_is(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "a" / "program"
    package.parent.mkdir(parents=True)
    package.touch()
    within = walls(tmp_path / "place", [str(package), "--flag"], [tmp_path])
    seen = within.index(str(tmp_path / "node_modules"))
    assert within[seen - 1 : seen + 2] == ["--ro-bind", *[str(tmp_path / "node_modules")] * 2]
    assert within.index(str(tmp_path)) < seen


# What a program does badly counts as its own.


def test_ending_without_done_is_an_error_of_the_agent_with_the_end_of_its_output(stage: Stage) -> None:
    record = stage.run("act type hello; act key ctrl+s; echo no more credit >&2; exit 7")
    assert (record.ending, record.score.value) == (Ending.AGENT_ERROR, 1.0)
    assert record.error == (
        "AgentError: the program ended without `done` or `fail`: exit status 7; its output ends: no more credit"
    )


def test_a_program_that_ends_before_it_calls_is_not_scored(stage: Stage) -> None:
    """A wrong key or a missing model would otherwise count as a model's failure."""
    record = stage.run("echo invalid api key >&2; exit 1", task=task(stage.folder, evaluator={"func": "infeasible"}))
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.AGENT_CRASH, None, 0)
    assert str(record.error).endswith("without a single call: exit status 1; its output ends: invalid api key")


def test_a_program_that_hangs_ends_at_the_time_limit_and_is_scored(stage: Stage) -> None:
    record = stage.run(f"act type hello; act key ctrl+s; sleep {MARK}", max_seconds=12.0)
    assert (record.ending, record.score.value, record.totals.steps) == (Ending.TIME_LIMIT, 1.0, 2)
    assert asleep() == []


def test_calls_at_once_are_taken_one_at_a_time(stage: Stage) -> None:
    record = stage.run("for i in 1 2 3 4 5 6; do act type $i & done; wait; act done")
    assert record.totals.steps == 7
    assert sorted(stage.desktop.text) == list("123456")


def test_a_flood_of_calls_that_mean_nothing_ends_the_episode(stage: Stage) -> None:
    record = stage.run(
        """exec python3 -c '
import os, urllib.request as u
for _ in range(10000):
    u.urlopen(u.Request(os.environ["DESKBENCH_URL"] + "/act", b"{\\"tool\\": \\"bash\\"}",
              {"Authorization": "Bearer " + os.environ["DESKBENCH_TOKEN"]})).read()'"""
    )
    assert (record.ending, record.score.value) == (Ending.AGENT_ERROR, 0.0)
    assert f"{MOST_REFUSED} calls in a row could not be read; the last: unknown tool 'bash'" in str(record.error)


def test_a_call_that_cannot_be_read_is_answered_and_recorded_and_is_no_step(stage: Stage) -> None:
    record = stage.run("act left_click 5000 1; act screenshot; act done")
    assert record.totals.steps == 2
    assert "Nothing was done: left_click: the point (5000, 1) is outside" in stage.output()
    assert [note["what"] for note in stage.steps()[0]["notes"]] == ["refused"]


def test_arguments_nested_deeply_break_nothing(stage: Stage) -> None:
    deep = "[" * 900 + "]" * 900
    record = stage.run(f"""act '{{"action": "left_click", "coordinate": {deep}}}'; act done""")
    assert (record.ending, record.totals.steps) == (Ending.DONE, 1)


def test_after_the_end_nothing_is_carried_out(stage: Stage) -> None:
    record = stage.run("act done; act type hello; echo status $?; act key ctrl+s")
    assert (record.totals.steps, record.score.value) == (1, 0.0)
    assert "The episode has ended; nothing more is carried out.\nstatus 3" in stage.output()


def test_megabytes_of_output_neither_stop_it_nor_fill_the_disk(stage: Stage) -> None:
    record = stage.run("yes | head -c 5000000; yes | head -c 5000000 >&2; echo last; act done")
    assert record.ending is Ending.DONE
    assert len(stage.output()) < HEAD + TAIL + 100
    assert len(stage.output("stderr")) < HEAD + TAIL + 100
    assert "last\n" in stage.output()[-200:]


def test_a_program_that_stays_after_done_is_ended(stage: Stage) -> None:
    began = time.monotonic()
    record = stage.run(f"act done; trap '' TERM; sleep {MARK}; sleep {MARK}", settings={"leave_seconds": "0.5"})
    assert record.ending is Ending.DONE
    assert time.monotonic() - began < 25
    assert asleep() == []


@pytest.mark.parametrize("walls", ["on", "off"])
def test_everything_that_it_started_ends_with_it(stage: Stage, walls: str) -> None:
    """Also what has left its session and its parent, and what ignores signals."""
    stage.run(
        f"pwd; sleep {MARK} & setsid sh -c 'trap \"\" TERM HUP; sleep {MARK}' &\n"
        f"(setsid nohup sleep {MARK} >/dev/null 2>&1 &)\nact done",
        settings={"walls": walls},
    )
    assert asleep() == []
    assert not Path(stage.output().split()[0]).exists()  # its folder is gone, too


def test_a_run_that_is_stopped_does_not_wait_for_it(stage: Stage) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    record = stage.run(f"act screenshot; sleep {MARK}", interrupted=stop.is_set)
    assert (record.ending, record.score.value) == (Ending.INTERRUPTED, None)
    assert asleep() == []


def test_it_ends_with_the_controller_however_that_ends(stage: Stage) -> None:
    """The controller is killed, and can clean up nothing; the next one on this machine removes its folder."""
    (stage.folder / "script").write_text(f"setsid sleep {MARK} & sleep {MARK}")
    code = (
        "import sys; from deskbench.agent.programs.agent import *; from deskbench.envs.providers.fake import *\n"
        "agent = ProgramAgent.from_settings({'command': 'sh ' + sys.argv[1], 'walls': 'off'})\n"
        "agent.start(Goal('x', 1280, 800)); agent.act(FakeDesktop('fake', DesktopSpec()).observe())"
    )
    controller = psutil.Popen([sys.executable, "-c", code, str(stage.folder / "script")])
    try:
        assert wait.until(lambda: len(asleep()) == 2, timeout=60)
        (its,) = [one for one in Path(tempfile.gettempdir()).glob("*program-*") if _owner(one) == controller.pid]
    finally:
        controller.kill()
        controller.wait()
    assert wait.until(lambda: not asleep(), timeout=30)
    sweep()
    assert not its.exists()


def test_what_a_program_writes_into_its_folder_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe without a writer would block who opens it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name, owner in {"ended": "4194305", "nonsense": "x"}.items():
        (tmp_path / f"deskbench-{name}").mkdir()
        (tmp_path / f"deskbench-{name}/owner").write_text(owner)
    (tmp_path / "deskbench-pipe").mkdir()
    os.mkfifo(tmp_path / "deskbench-pipe/owner")
    sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deskbench-nonsense", "deskbench-pipe"]


def _owner(folder: Path) -> int | None:
    try:
        return int((folder / "owner").read_text())
    except (OSError, ValueError):  # another test ends it
        return None


# What the user got wrong.


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "name the program"),
        ({"command": "no-such-program {prompt}"}, "'no-such-program' is not installed"),
        ({"command": "sh 'x"}, "no closing quotation"),
        ({"command": "sh {instructions}"}, "unknown placeholder {instructions}; did you mean 'instruction'?"),
        ({"command": "sh", "env": "NOT_SET_ANYWHERE"}, "names 'NOT_SET_ANYWHERE', which is not set"),
        ({"command": "sh", "max_side": "3"}, "max_side"),
        ({"command": "sh", "comand": "sh"}, "comand"),
    ],
)
def test_a_wrong_setting_is_one_line_before_any_desktop_starts(settings: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        ProgramAgent.from_settings(settings).check()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("walls", ["on", "off"])
def test_a_program_that_cannot_be_started_is_the_users_error(stage: Stage, walls: str) -> None:
    broken = stage.folder / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(UsageError, match="cannot be started: No such file"):
        stage.run("", command=shlex.join([str(broken)]), settings={"walls": walls})

"""Task classes as in OSWorld-V2: loading, isolation, set-up, scores of parts and phases; simulated users."""

import json
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.base import Ending
from deskbench.agent.config import RunConfig
from deskbench.agent.episode import Plan, run_episode
from deskbench.agent.exports.export import export
from deskbench.agent.runs.record import EpisodeReader, EpisodeRecord, EpisodeWriter
from deskbench.agent.user import user_of
from deskbench.envs.desktop import Desktop, DesktopSpec
from deskbench.envs.errors import CheckError, SetupError, UsageError
from deskbench.envs.providers.fake import FakeProvider
from deskbench.envs.types import Action, AskUser, Done, Fail, Wait
from deskbench.tasks.assets import urls_of
from deskbench.tasks.classes.process import ClassFailed, TaskProcess
from deskbench.tasks.classes.serve import Answers
from deskbench.tasks.load import load, read, skip_reason
from deskbench.tasks.scoring.parts import Part, prepare, read_score, together
from deskbench.tasks.types import Score, Task
from deskbench.tasks.user import Fixed, Rule, Scripted, answer
from deskbench.tasks.world import Context, World
from tests.agent.paper import Script

CLASSES = Path(__file__).parent / "classes"
HEAD = "from desktop_env.task_base import BaseTask\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where `asset` finds the tasks' files."""
    folder = tmp_path / "assets of tasks"
    (folder / "task_900").mkdir(parents=True)
    (folder / "task_900" / "list.txt").write_text("3\n4\n")
    (folder / "task_900" / "gold.txt").write_text("7 Euros\n")
    monkeypatch.setenv("OSWORLD_FILE_BASE_URL", str(folder))
    return folder


def written(folder: Path, body: str, name: str = "task_1.py") -> Path:
    path = folder / name
    path.write_text(f'{HEAD}class One(BaseTask):\n    id = "1"\n    instruction = "x"\n{body}')
    return path


def of_the_fake(task: Task, folder: Path) -> tuple[Context, World]:
    desktop = FakeProvider().start(DesktopSpec())
    return Context(desktop, task, folder, folder, (1280, 800)), World(desktop, task, folder, folder)


class TestLoading:
    def test_a_class_says_what_it_is(self, files: Path) -> None:
        one, other = load(CLASSES)
        assert (one.key, one.feasible, one.is_class, one.related_apps) == ("classes/900", True, True, ("os",))
        assert one.user == Scripted(
            type="scripted", rules=(Rule(keywords=("currency", "money"), response="Euros."),), default="I do not know."
        )
        assert [Path(url).name for url in urls_of([one])] == ["list.txt", "gold.txt"]
        assert (other.key, one.requires.network) == ("classes/901", "off")

    @pytest.mark.parametrize(
        ("ending", "found"),
        [("def get_task():\n    return Two()\n", "2"), ("TASK_CLASS = Two\n", "2"), ("Task = Two\n", "2"), ("", "1")],
    )
    def test_the_task_is_found_as_osworld_finds_it(self, tmp_path: Path, ending: str, found: str) -> None:
        path = written(tmp_path, f'class Two(BaseTask):\n    id = "2"\n    instruction = "x"\n{ending}')
        assert load(path)[0].id == found

    def test_a_split_names_them_by_their_ids(self, tmp_path: Path) -> None:
        examples = tmp_path / "evaluation_examples"
        (examples / "task_class").mkdir(parents=True)
        for number in ("001", "002", "003"):
            text = written(tmp_path, "").read_text().replace('"1"', f'"{number}"')
            (examples / "task_class" / f"task_{number}.py").write_text(text)
        (examples / "test_v2.json").write_text(json.dumps({"tasks": ["003", "001"]}))
        assert [task.id for task in load(tmp_path, split="test_v2")] == ["003", "001"]
        assert [task.id for task in load(tmp_path)] == ["001", "002", "003"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("import no_such_module\n", "no_such_module"),
            ("x = 1\n", "no task"),
            (HEAD + "class One(BaseTask):\n    id = 'a b'\n    instruction = 'x'\n", "folder name"),
            (HEAD + "class One(BaseTask):\n    id = '1'\n", "instruction must be"),
            ("def broken(:\n", "SyntaxError"),
            ("import os\nos._exit(3)\n", "ended"),
        ],
    )
    def test_one_that_cannot_be_loaded_is_a_problem_of_one_line(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "task_bad.py").write_text(text)
        written(tmp_path, "", "task_good.py")
        tasks, problems = read(tmp_path)
        assert [task.id for task in tasks] == ["1"]
        assert len(problems) == 1 and said in str(problems[0]) and "\n" not in str(problems[0])

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (
                "    def evaluate(self, env):\n        return metrics.judged_by_a_model(1)\n",
                "metrics.judged_by_a_model",
            ),
            ("    user_simulator = {'type': 'of another kind'}\n", "of another kind"),
            ("    user_simulator = {'type': 'model', 'persona': 'Ann'}\n", None),
        ],
    )
    def test_what_we_have_not_is_a_reason_to_skip_it(self, tmp_path: Path, body: str, said: str | None) -> None:
        [task] = load(written(tmp_path, body))
        reason = skip_reason(task, platform="Linux", network=True, has_app={})
        assert (reason is None) if said is None else (said in str(reason))

    def test_one_that_goes_to_the_web_requires_it(self, tmp_path: Path) -> None:
        body = '    def setup(self, setup_controller, use_proxy=False):\n        setup_controller.execute("{}")\n'
        assert load(written(tmp_path, body.format("curl -O https://example.org/x")))[0].requires.network == "full"
        assert load(written(tmp_path, body.format("curl http://localhost:8000")))[0].requires.network == "full"
        assert load(written(tmp_path, body.format("open http://localhost:8000")))[0].requires.network == "off"


class TestApart:
    def judged(self, tmp_path: Path, body: str, seconds: float = 60.0) -> Any:
        path = written(tmp_path, f"    def evaluate(self, env):\n        {body}\n")
        process = TaskProcess(seconds)
        try:
            process.describe(path)
            context, world = of_the_fake(load(path)[0], tmp_path)
            return process.evaluate(Answers(context, world))
        finally:
            process.close()

    def test_no_secret_is_in_its_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        seen = self.judged(tmp_path, 'import os; return {"score": 0, "all": str(dict(os.environ))}')["all"]
        assert "PATH" in seen and "sk-secret" not in seen

    def test_a_fact_that_may_be_missing_is_asked_for_as_of_any_object(self, tmp_path: Path) -> None:
        assert self.judged(tmp_path, 'return getattr(env, "nothing", 0.5) if not hasattr(env, "other") else 1') == 0.5

    def test_one_that_takes_all_memory_is_a_failed_check(self, tmp_path: Path) -> None:
        with pytest.raises(ClassFailed, match="MemoryError"):
            self.judged(tmp_path, "return len(bytearray(64 * 2**30))")

    def test_one_that_does_not_end_is_a_failed_check(self, tmp_path: Path) -> None:
        with pytest.raises(CheckError, match="did not finish in time"):
            self.judged(tmp_path, "while True: pass", seconds=1.0)

    def test_one_that_ends_its_process_is_a_failed_check(self, tmp_path: Path) -> None:
        with pytest.raises(CheckError, match="last words"):
            self.judged(tmp_path, 'import os, sys; print("last words", file=sys.stderr, flush=True); os._exit(1)')

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("return env.no_such_fact", "env has no no_such_fact; there are: action_history"),
            ("return env.controller.fly()", "env.controller has no fly"),
            ("return env.setup_controller.fly()", "no set-up type 'fly'"),
            ("return env.setup_controller.launch(commnad=['x'])", "commnad"),
            ("from desktop_env.evaluators import getters; return getters.get_nothing(env, {})", "no getter 'nothing'"),
        ],
    )
    def test_what_is_not_there_is_said_by_name(self, tmp_path: Path, body: str, said: str) -> None:
        with pytest.raises((ClassFailed, CheckError)) as caught:
            self.judged(tmp_path, body)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        "call",
        [
            "env.controller.fly()", "env.setup_controller.launch(commnad=['x'])",
            "getters.get_vm_file(env, {'paht': 'x'})", "metrics.exact_match('a', {'expected': 'a'}, no_such_option=1)",
        ],
    )  # fmt: skip
    def test_what_deskbench_lacks_is_no_0_of_the_agents_whatever_the_class_catches(
        self, tmp_path: Path, call: str
    ) -> None:
        body = f"""from desktop_env.evaluators import getters, metrics
        try:
            return float(bool({call}))
        except Exception:
            return 0.0"""
        with pytest.raises(CheckError):
            self.judged(tmp_path, body)


class TestScores:
    @pytest.mark.parametrize(
        ("value", "score"),
        [
            (1, 1.0), (0.25, 0.25), (True, 1.0), ({"score": 0.5}, 0.5),
            ({"score": 0.4, "partial_scores": {"a": {"score": 1, "weight": 0.4}, "b": {"score": 0}}}, 0.4),
            ({"partial_scores": {"a": {"score": 1, "weight": 3}, "b": {"score": 0, "weight": 1}}}, 0.75),
            ({"partial_scores": {"a": 1, "b": 0.5}}, 0.75),
        ],
    )  # fmt: skip
    def test_numbers_and_dictionaries(self, value: Any, score: float) -> None:
        assert read_score(value).value == score

    @pytest.mark.parametrize(
        "value", [None, "1", 1.5, -0.1, {"score": "x"}, {}, {"partial_scores": [1]}, {"partial_scores": {"a": {}}}]
    )
    def test_anything_else_is_no_score(self, value: Any) -> None:
        with pytest.raises(CheckError):
            read_score(value)

    def test_a_lost_part_is_the_reason(self) -> None:
        found = read_score(
            {"score": 0.5, "partial_scores": {"saved": {"score": 0, "weight": 0.5, "description": "on disk"}}}
        )
        assert found.reason == "saved: 0, on disk"

    def test_phases_earn_their_weights_and_what_is_not_reached_nothing(self) -> None:
        def part(name: str, weight: float) -> Part:
            return Part(name, "", weight, None, lambda: None, lambda said_fail: Score(value=0, reason=""))

        parts = [part("a", 0.5), part("b", 0.3), part("c", 0.2)]
        found = together(parts, [Score(value=1.0, reason="passed"), Score(value=0.1, reason="half")])
        assert found.value == 0.6
        assert [one.score for one in found.parts] == [0.5, 0.1, 0.0]
        assert found.reason == "b: 0.1 of 0.3, half; c: 0 of 0.2, not reached"


def test_users_answer_by_the_words_of_the_question() -> None:
    scripted = Scripted(type="scripted", rules=(Rule(keywords=("Colour",), response="Red."),), default="No idea.")
    assert [answer(scripted, q) for q in ("Which colour?", "What?")] == ["Red.", "No idea."]
    assert answer(Fixed(type="fixed", response="Yes."), "?") == "Yes."


def test_a_user_played_by_a_model_needs_one(tmp_path: Path) -> None:
    [task] = load(written(tmp_path, "    user_simulator = {'type': 'model', 'persona': 'Ann'}\n"))
    with pytest.raises(UsageError, match="user_base_url"):
        user_of(task, RunConfig())


def test_a_failing_setup_is_the_machines_and_a_failing_check_is_nobodys(tmp_path: Path) -> None:
    [task] = load(written(tmp_path, "    def setup(self, c, use_proxy=False):\n        raise KeyError('x')\n"))
    context, world = of_the_fake(task, tmp_path)
    with pytest.raises(SetupError, match="KeyError"):
        prepare(context, world)
    context.close()
    [task] = load(written(tmp_path, "    def evaluate(self, env):\n        raise KeyError('x')\n"))
    context, world = of_the_fake(task, tmp_path)
    with pytest.raises(CheckError, match="KeyError"):
        prepare(context, world)[0].judge(False)
    context.close()
    context, world = of_the_fake(task, tmp_path)
    assert prepare(context, world, strict="1.0.2")[0].judge(False).value == 0.0
    context.close()


class Hands(Script):
    """An agent that works directly on the desktop before it says done."""

    def __init__(self, desktop: Desktop, answers: list[list[Action]], files: list[dict[str, str]]) -> None:
        super().__init__(*answers)
        self._desktop, self._files = desktop, files
        self.told: list[str] = []

    def start(self, goal: Any) -> None:
        super().start(goal)
        self.told.append(goal.instruction)

    def act(self, observation: Any) -> Any:
        decision = super().act(observation)
        if any(isinstance(action, (Done, Fail)) for action in decision.actions) and self._files:
            for path, text in self._files.pop(0).items():
                self._desktop.write_file(path, text.encode())
        return decision


@pytest.mark.desktop
class TestOnADesktop:
    def run(self, task: Task, agent: Script, desktop: Desktop, folder: Path) -> EpisodeRecord:
        plan = Plan(task, "script", "local", folder / "assets", ask=user_of(task, RunConfig()))
        episode = folder / "run" / "episodes" / task.suite / task.id / "1"
        return run_episode(plan, agent, desktop, EpisodeWriter(episode))

    @pytest.mark.parametrize(
        ("text", "score", "lost"),
        [("7 Euros", 1.0, []), ("7", 0.25, ["right"]), (None, 0.0, ["there", "right"])],
    )
    def test_partial_scores(
        self, desktop: Desktop, files: Path, tmp_path: Path, text: str | None, score: float, lost: list[str]
    ) -> None:
        task = load(CLASSES / "task_900.py")[0]
        ask: list[Action] = [AskUser("Which money?")]
        work = [{} if text is None else {"~/Desktop/total.txt": text}]
        agent = Hands(desktop, [ask, [Done()]], work)
        record = self.run(task, agent, desktop, tmp_path)
        assert (record.score.value, record.ending, record.error) == (score, Ending.DONE, None), record.score.reason
        assert [part["name"] for part in record.score.parts if part["score"] < 1] == lost
        assert agent.seen[1].answer == "Euros."
        assert desktop.read_file("~/Desktop/list.txt") == b"3\n4\n"
        (tmp_path / "run" / "run.json").write_text("{}")
        made = export(tmp_path / "run", tmp_path / "exported").folder / "classes" / "900" / "result.json"
        assert json.loads(made.read_text())["partial_scores"]["there"]["weight"] == 0.25

    @pytest.mark.parametrize(
        ("work", "score", "told"),
        [
            ([{"~/1.txt": "one"}, {"~/2.txt": "two"}, {}], 1.0, 3),
            ([{"~/1.txt": "one"}, {}, {}], 0.5, 2),
            ([{"~/1.txt": "other"}, {}, {}], 0.0, 1),
            ([{"~/1.txt": "one"}, {"~/2.txt": "two", "~/3.txt": "three"}, {}], 0.8, 3),
        ],
    )
    def test_phases_and_their_gates(
        self, desktop: Desktop, tmp_path: Path, work: list[dict[str, str]], score: float, told: int
    ) -> None:
        task = load(CLASSES / "task_901.py")[0]
        agent = Hands(desktop, [[Wait(0.0)], [Done()], [Done()], [Done()]], work)
        record = self.run(task, agent, desktop, tmp_path)
        assert (record.score.value, record.error) == (score, None), record.score.reason
        assert len(agent.told) == told
        assert agent.told[0] == "Write one into 1.txt."
        events = list(EpisodeReader(tmp_path / "run" / "episodes" / task.suite / task.id / "1").events())
        assert [event.kind for event in events].count("final") == 1
        assert record.totals.steps == told + 1

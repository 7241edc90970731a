"""An agent made of several: who is asked, whose answer is taken, what the others are told, what it all costs."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.agents.mixture import MixtureAgent
from deskbench.agent.base import Decision, Goal
from deskbench.agent.report.experts import conclusion, experts_of, rows
from deskbench.agent.runs.record import EpisodeWriter
from deskbench.envs.errors import AgentError, ModelError, UsageError
from deskbench.envs.types import ActionResult, Click, Observation

from ..models.endpoint import Endpoint, Say, endpoint, error, reply
from .screens import node, observation, picture, tree

GOAL = Goal("Press Save.", 640, 400, max_steps=9)


def click(x: int, y: int) -> Say:
    return reply(f"```python\npyautogui.click({x}, {y})\n```")


class Bench:
    """Endpoints by name, and a mixture of them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self.folder = stack, folder
        self.servers: dict[str, Endpoint] = {}

    def serve(self, **scripts: Sequence[Say]) -> None:
        for name, script in scripts.items():
            self.servers[name] = self._stack.enter_context(endpoint(*script))

    def settings(self, name: str, model: str = "m") -> str:
        quick = 'first_pause = "0.001", attempts = "1", retries = "0"'
        return f'{{ base_url = "{self.servers[name].url}", model = "{model}", {quick} }}'

    def mixture(self, experts: Sequence[str], rest: str, models: dict[str, str] | None = None) -> MixtureAgent:
        lines = [
            f'[[experts]]\nname = "{name}"\nabout = "{name} things"\n'
            f"settings = {self.settings(name, (models or {}).get(name, 'm'))}\n"
            for name in experts
        ]
        path = self.folder / "mixture.toml"
        path.write_text("\n".join([*lines, rest]))
        made = MixtureAgent.from_settings({"mixture": str(path)})
        self._stack.callback(made.close)
        made.start(GOAL)
        return made


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, tmp_path)


def screen(number: int = 0, **more: Any) -> Observation:
    return observation(picture(640, 400, (number * 20, 50, 30, 30)), **more)


def note(decision: Decision) -> dict[str, Any]:
    return dict(next(n for n in decision.notes if n["what"] == "mixture"))


# The gate


def test_rules_pick_who_answers(bench: Bench) -> None:
    bench.serve(small=[click(1, 1)], big=[click(2, 2)])
    rules = """[gate]
otherwise = ["small"]
rules = [{ steps = [1, 1], use = ["big"] }, { same_screen = 2, use = ["big"] }, { failed = true, use = ["big"] }]
"""
    made = bench.mixture(["small", "big"], rules)
    failed = (ActionResult(False, "no"),)
    seen = [screen(1), screen(2), screen(3), screen(3), screen(3), screen(4, results=failed)]
    notes = [note(made.act(one)) for one in seen]
    assert [n["chosen"] for n in notes] == ["big", "small", "small", "small", "big", "big"]
    assert [n["gate"] for n in notes] == ["rule 1", "otherwise", "otherwise", "otherwise", "rule 2", "rule 3"]
    assert notes[0]["spared"] == ["small"]


def test_rules_can_look_at_the_tree(bench: Bench) -> None:
    bench.serve(small=[click(1, 1)], forms=[click(2, 2)])
    rules = '[gate]\notherwise = ["small"]\nrules = [{ tree = "Order form", elements = 2, use = ["forms"] }]\n'
    made = bench.mixture(["small", "forms"], rules)
    assert made.needs.accessibility
    xml = tree(node("frame", "Order form"), node("entry", "Name"))
    assert note(made.act(screen(xml=tree(node("frame", "Editor")))))["chosen"] == "small"
    assert note(made.act(screen(xml=xml)))["chosen"] == "forms"


def classify(seen: Observation, step: int) -> str:
    """A cheap classifier: small screens are for the small expert."""
    return "small" if seen.width < 1000 and step == 1 else "nobody"


def test_a_classifier_picks(bench: Bench) -> None:
    bench.serve(small=[click(1, 1)], big=[click(2, 2)])
    gate = f'[gate]\nkind = "classifier"\nfunction = "{__name__}:classify"\notherwise = ["big"]\n'
    made = bench.mixture(["small", "big"], gate)
    assert [note(made.act(screen(i)))["chosen"] for i in range(2)] == ["small", "big"]


def test_a_model_picks_and_is_paid(bench: Bench) -> None:
    bench.serve(small=[click(1, 1)], big=[click(2, 2)], gate=[reply("I say: big."), reply("Nobody!")])
    settings = bench.settings("gate").replace(', retries = "0"', "")
    made = bench.mixture(["small", "big"], f'[gate]\nkind = "model"\notherwise = ["small"]\nsettings = {settings}\n')
    first, second = (made.act(screen(i)) for i in range(2))
    assert (note(first)["chosen"], note(second)["chosen"]) == ("big", "small")
    assert first.usage.input_tokens == 200
    assert note(first)["own"]["input_tokens"] == 100
    assert "big: big things" in str(bench.servers["gate"].asked[0])


# The combiner

ALL = '[gate]\notherwise = ["a", "b", "c"]\n'


def test_the_first_that_answers_is_taken(bench: Bench) -> None:
    bench.serve(a=[reply("Hm.")], b=[click(5, 5)], c=[click(6, 6)])
    decision = bench.mixture("abc", ALL).act(screen())
    assert decision.actions == (Click(x=5, y=5),)
    assert list(note(decision)["failed"]) == ["a"] and note(decision)["spared"] == ["c"]
    assert decision.usage.input_tokens == 200 and len(decision.exchanges) == 2
    assert bench.servers["c"].asked == []


def test_a_vote_is_by_kind_and_target(bench: Bench) -> None:
    bench.serve(a=[click(300, 200)], b=[click(105, 100)], c=[click(100, 103)])
    decision = bench.mixture("abc", ALL + '[combine]\nkind = "vote"\n').act(screen())
    assert decision.actions == (Click(x=105, y=100),)
    assert note(decision)["votes"] == [["a"], ["b", "c"]]
    assert decision.usage.input_tokens == 300


def test_an_even_vote_is_the_first_experts(bench: Bench) -> None:
    bench.serve(a=[click(300, 200)], b=[click(1, 1)], c=[click(600, 9)])
    assert note(bench.mixture("abc", ALL + '[combine]\nkind = "vote"\n').act(screen()))["chosen"] == "a"


@pytest.mark.parametrize(("says", "chosen", "named"), [("2", "b", True), ("Neither.", "a", False)])
def test_a_judge_is_shown_the_answers(bench: Bench, says: str, chosen: str, named: bool) -> None:
    bench.serve(a=[click(300, 200)], b=[click(1, 1)], c=[click(301, 200)], judge=[reply(says)])
    settings = bench.settings("judge").replace(', retries = "0"', "")
    decision = bench.mixture("abc", ALL + f'[combine]\nkind = "judge"\nsettings = {settings}\n').act(screen())
    assert (note(decision)["chosen"], note(decision)["named"]) == (chosen, named)
    assert '2. [{"type": "click"' in bench.servers["judge"].asked[0]["messages"][1]["content"][1]["text"]


def test_nobody_who_agrees_needs_a_judge(bench: Bench) -> None:
    bench.serve(a=[click(300, 200)], b=[click(301, 200)], c=[click(300, 201)], judge=[error(500)])
    settings = bench.settings("judge").replace(', retries = "0"', "")
    bench.mixture("abc", ALL + f'[combine]\nkind = "judge"\nsettings = {settings}\n').act(screen())
    assert bench.servers["judge"].asked == []


# The others


def test_who_did_not_act_is_told_what_was_done(bench: Bench) -> None:
    bench.serve(a=[click(300, 200)], b=[click(105, 100)], c=[click(100, 103)])
    made = bench.mixture("abc", ALL + '[combine]\nkind = "vote"\n')
    made.act(screen(1))
    made.act(screen(2))
    past = bench.servers["a"].asked[1]["messages"]
    assert [m["role"] for m in past] == ["system", "user", "assistant", "user"]
    assert past[2]["content"].startswith('(Another agent did this step: [{"type": "click"')
    assert "300" not in past[2]["content"]
    assert "105" in bench.servers["b"].asked[1]["messages"][2]["content"]


def test_all_that_failed_is_the_agents_fault_and_an_endpoints_fault_is_not(bench: Bench) -> None:
    bench.serve(a=[reply("Hm.")], b=[reply("Ho.")], c=[error(500)])
    with pytest.raises(AgentError, match="none of the experts") as caught:
        bench.mixture("ab", '[gate]\notherwise = ["a", "b"]\n').act(screen())
    assert caught.value.decision.usage.input_tokens == 200
    with pytest.raises(ModelError):
        bench.mixture("c", '[gate]\notherwise = ["c"]\n').act(screen())


def test_a_family_can_be_an_expert(bench: Bench) -> None:
    bench.serve(kimi=[reply("## Code:\n```python\npyautogui.click(x=0.5, y=0.5)\n```")])
    made = bench.mixture(["kimi"], '[gate]\notherwise = ["kimi"]\n')
    assert made.config.experts[0].settings["model"] == "m"
    text = (bench.folder / "mixture.toml").read_text().replace("settings = { ", 'settings = { profile = "kimi-vl", ')
    (bench.folder / "mixture.toml").write_text(text)
    made = MixtureAgent.from_settings({"mixture": str(bench.folder / "mixture.toml")})
    made.start(GOAL)
    assert made.act(screen()).actions == (Click(x=320, y=200),)
    made.close()


def test_a_run_says_which_expert_did_what_and_what_was_saved(bench: Bench, tmp_path: Path) -> None:
    bench.serve(small=[click(1, 1)], big=[click(2, 2)])
    rules = '[gate]\notherwise = ["small"]\nrules = [{ steps = [1, 1], use = ["big"] }]\n'
    made = bench.mixture(["small", "big"], rules, {"small": "gpt-4o-mini", "big": "gpt-4o"})
    writer = EpisodeWriter(tmp_path / "episode")
    for index in range(3):
        writer.step(index, screen(index), made.act(screen(index)))
    writer.close()
    big, small = experts_of(tmp_path).experts
    assert (big.name, big.asked, big.chosen, big.spared) == ("big", 1, 1, 2)
    assert (small.asked, small.chosen, small.spared) == (2, 2, 1)
    assert big.saved_usd == pytest.approx(2 * (100 * 2.5 + 10 * 10) / 1e6)
    assert "3 steps; the gate: otherwise 2, rule 1 1" in conclusion(experts_of(tmp_path))
    assert [(row[0], row[1]) for row in rows(experts_of(tmp_path))] == [("big", "1"), ("small", "2")]


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ('[gate]\notherwise = ["d"]\n', "unknown expert 'd'"),
        ("[gate]\notherwise = []\n", "otherwise"),
        ('[gate]\notherwise = ["a"]\nkind = "classifier"\n', "a classifier needs function"),
        ('[gate]\notherwise = ["a"]\nrules = [{ tree = "(", use = ["a"] }]\n', "not a regular expression"),
        ('[gate]\notherwise = ["a"]\n[combine]\nkind = "judge"\n', "settings need base_url"),
        ('[gate]\notherwise = ["a"]\n[combin]\nkind = "vote"\n', "combin"),
    ],
)
def test_a_mixture_that_is_wrong_is_named(bench: Bench, rest: str, says: str) -> None:
    bench.serve(a=[click(1, 1)])
    with pytest.raises(UsageError) as caught:
        bench.mixture(["a"], rest)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_mixture_needs_its_file() -> None:
    with pytest.raises(UsageError, match=r"mixture=FILE\.toml"):
        MixtureAgent.from_settings({})

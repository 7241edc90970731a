"""Two policies on the recorded screens of a run; the command line around it, and `deskbench models`."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deskbench.agent.cli.main import app
from deskbench.agent.compare.policies import compare, maker
from deskbench.envs.errors import ModelError, UsageError

from ..agents.screens import node, picture, tree
from ..models.endpoint import Endpoint, Say, endpoint, error, reply
from ..models.speaking import said
from ..staged_runs import episode

QUICK = {"attempts": "1", "retries": "0"}


def click(x: int, y: int) -> str:
    return f"```python\npyautogui.click({x}, {y})\n```"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two episodes of two steps on screens of 640x400."""
    for name in ("basics/one", "basics/two"):
        episode(tmp_path / "run", name, 1.0)
    return tmp_path / "run"


def settings(server: Endpoint, **more: str) -> dict[str, str]:
    return {"base_url": server.url, "model": "gpt-4o", **QUICK, **more}


def compared(run: Path, ours: list[Say], theirs: list[Say], **options: Any) -> Any:
    with endpoint(*ours) as one, endpoint(*theirs) as other:
        return compare(run, maker("vlm", settings(one)), maker("vlm", settings(other)), **options)


def test_two_that_do_the_same_agree(run: Path) -> None:
    found = compared(run, [reply(click(100, 60))], [reply(click(103, 64))])
    assert len(found.steps) == 4
    assert all(step.agree and step.kinds == ("click", "click") and step.distance == 5 for step in found.steps)
    assert found.totals["agree"].mean == 1.0
    assert found.totals["distance"].mean == 5.0
    assert found.cost_usd == pytest.approx(8 * (100 * 2.5 + 10 * 10) / 1e6)
    assert "kl_tokens" not in found.totals


def test_another_target_or_kind_is_another_action(run: Path) -> None:
    typed = reply("```python\npyautogui.write('a')\n```")
    theirs = [reply(click(300, 60)), typed, reply("Hm."), reply(click(100, 60))]
    found = compared(run, [reply(click(100, 60))], theirs)
    assert [step.agree for step in found.steps] == [False, False, False, True]
    assert [step.kinds[1] for step in found.steps] == ["click", "type", "error", "click"]
    assert [step.distance for step in found.steps] == [200, None, None, 0]
    assert found.totals["same_kind"].mean == 0.5


def test_far_points_in_one_element_are_one_target(run: Path) -> None:
    """The steps' recorded trees are put beside them, as a run with accessibility has them."""
    for folder in (run / "episodes/basics").glob("*/1"):
        lines = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
        (folder / "files").mkdir(exist_ok=True)
        xml = tree(node("frame", "All", (0, 0, 640, 400)), node("entry", "Name", (50, 40, 400, 40)))
        (folder / "files/tree").write_text(xml)
        for line in lines:
            line["observation"]["accessibility"] = "tree"
        (folder / "steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = compared(run, [reply(click(100, 60))], [reply(click(400, 60))])
    assert all(step.same_element and step.agree and step.distance == 300 for step in found.steps)
    found = compared(run, [reply(click(100, 60))], [reply(click(100, 200))])
    assert not any(step.same_element or step.agree for step in found.steps)


def test_every_step_is_decided_from_its_own_screen(run: Path) -> None:
    with endpoint(reply(click(1, 1))) as server:
        make = maker("vlm", settings(server))
        compare(run, make, make, most=2)
    assert [len(asked["messages"]) for asked in server.asked] == [2] * 4


def with_logprobs(text: str, name: str, share: float) -> Say:
    """A reply of three tokens, the second of which names the action with so much of the probability."""
    before, after = text.split(name, 1)
    one = {"token": name, "logprob": math.log(share)}
    other = {"token": "write", "logprob": math.log(1 - share)}
    tokens = [
        {"token": before, "logprob": 0.0, "top_logprobs": [{"token": before, "logprob": 0.0}]},
        {"token": name, "logprob": math.log(share), "top_logprobs": [one, other]},
        {"token": after, "logprob": 0.0, "top_logprobs": [{"token": after, "logprob": 0.0}]},
    ]  # fmt: skip
    say = said("chat", text)
    say.body["choices"][0]["logprobs"] = {"content": tokens}
    return say


def test_divergences_where_the_endpoint_gives_log_probabilities(run: Path) -> None:
    text = click(100, 60)
    with endpoint(with_logprobs(text, "click", 0.8)) as one, endpoint(with_logprobs(text, "click", 0.5)) as other:
        makers = [maker("vlm", settings(server, logprobs="5")) for server in (one, other)]
        found = compare(run, makers[0], makers[1])
    expected = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert found.totals["kl_name"].mean == pytest.approx(expected, abs=1e-3)
    assert found.totals["kl_tokens"].mean == pytest.approx(expected / 3, abs=1e-3)
    assert {step.tokens for step in found.steps} == {3}
    assert one.asked[0]["logprobs"] is True and one.asked[0]["top_logprobs"] == 5


def test_divergence_of_kinds_from_several_replies(run: Path) -> None:
    same = compared(run, [reply(click(1, 1))], [reply(click(1, 1))], samples=4)
    assert same.totals["kl_kinds"].mean == 0
    typed = reply("```python\npyautogui.write('a')\n```")
    found = compared(run, [reply(click(1, 1))], [typed], samples=4)
    assert found.totals["kl_kinds"].mean == pytest.approx(0.9 * math.log(9) - 0.1 * math.log(9))


def test_an_endpoints_fault_is_not_a_disagreement(run: Path) -> None:
    with pytest.raises(ModelError):
        compared(run, [reply(click(1, 1))], [error(500)])


def test_intervals_are_over_episodes(tmp_path: Path) -> None:
    """Of three episodes one agrees at both steps, one at one, one at none: six steps, and two degrees of freedom."""
    for name in ("basics/a", "basics/b", "basics/c"):
        episode(tmp_path, name, 1.0)
    theirs = [reply(click(x, 60)) for x in (100, 100, 100, 300, 300, 300)]
    found = compared(tmp_path, [reply(click(100, 60))], theirs)
    agree = found.totals["agree"]
    assert (agree.n, agree.episodes, agree.mean) == (6, 3, 0.5)
    assert (agree.low, agree.high) == (pytest.approx(0.0362, abs=1e-3), pytest.approx(0.9638, abs=1e-3))
    distance = found.totals["distance"]
    half = 4.302652729911275 * 100 / math.sqrt(3)
    assert (distance.mean, distance.low, distance.high) == (100, 0, pytest.approx(100 + half))
    assert any("warning: 3 episodes, fewer than 10" in note for note in found.notes)


def test_one_episode_says_nothing_about_others(tmp_path: Path) -> None:
    episode(tmp_path, "basics/a", 1.0)
    found = compared(tmp_path, [reply(click(1, 1))], [reply(click(1, 1)), reply(click(90, 90))])
    assert (found.totals["agree"].mean, found.totals["agree"].low, found.totals["agree"].high) == (0.5, None, None)
    assert any(note.startswith("warning: 1 episode:") for note in found.notes)


def test_from_ten_episodes_on_nothing_is_said_of_their_number(tmp_path: Path) -> None:
    for number in range(10):
        episode(tmp_path, f"basics/{number}", 1.0)
    found = compared(tmp_path, [reply(click(1, 1))], [reply(click(1, 1))])
    assert not any("episodes" in note for note in found.notes)
    assert found.totals["agree"].low == pytest.approx(0.025 ** (1 / 10))


def test_what_is_no_run_is_the_users_error(tmp_path: Path) -> None:
    with endpoint(reply(click(1, 1))) as server, pytest.raises(UsageError, match="no finished episodes"):
        compare(tmp_path, maker("vlm", settings(server)), maker("vlm", settings(server)))


# The command line


def deskbench(*words: Any) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def given(one: Endpoint, other: Endpoint, **more: str) -> list[str]:
    return [f"--set-{side}={key}={value}" for side, server in (("a", one), ("b", other))
            for key, value in settings(server, **more).items()]  # fmt: skip


def test_the_command(run: Path, tmp_path: Path) -> None:
    with endpoint(reply(click(100, 60))) as one, endpoint(reply(click(110, 60))) as other:
        words = given(one, other)
        ran = deskbench("compare-policies", run, "--agents", "vlm", "vlm", *words, "--out", tmp_path / "steps.json")
    assert ran.exit_code == 0, ran.output
    assert "same action" in ran.output and "100.0%" in ran.output
    assert "note: no log-probabilities" in ran.output and "warning: 2 episodes, fewer than 10" in ran.output
    assert len(json.loads((tmp_path / "steps.json").read_text())["steps"]) == 4


def test_numbers_per_token_say_so(run: Path) -> None:
    text = click(100, 60)
    with endpoint(with_logprobs(text, "click", 0.8)) as one, endpoint(with_logprobs(text, "click", 0.5)) as other:
        ran = deskbench("compare-policies", run, "--agents", "vlm", "vlm", *given(one, other, logprobs="5"))
    line = next(line for line in ran.output.splitlines() if line.startswith("KL of shared beginnings"))
    assert "0.0642 nats/token  [0.0642 nats/token, 0.0642 nats/token]  n=4 of 2 episodes" in line
    assert "nor give a lower bound" in ran.output, "the replies were drawn at a temperature that nobody has named"


@pytest.mark.parametrize("pair", [("oracle", "null"), ("null", "oracle"), ("human.py:Nobody", "null"), ("nul", "null")])
def test_an_agent_without_a_policy_is_one_line(run: Path, pair: tuple[str, str]) -> None:
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run(
        [sys.executable, "-m", "deskbench.agent", "compare-policies", run, "--agents", *pair],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(root / ".typing"), os.environ.get("PYTHONPATH", "")))},
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and ran.stderr.count("\n") == 1, ran.stderr


def test_where_nothing_can_be_written_is_known_before_anything_is_asked(run: Path, tmp_path: Path) -> None:
    with endpoint(reply(click(1, 1))) as server:
        ran = deskbench("compare-policies", run, "--agents", "vlm", "vlm", *given(server, server), "--out", "/proc/x")
    assert isinstance(ran.exception, UsageError) and "/proc/x" in str(ran.exception)
    assert server.asked == []


@pytest.mark.parametrize("words", [("--samples", 0), ("--steps", 0), ("--near", -1)])
def test_numbers_that_cannot_be(run: Path, words: tuple[str, int]) -> None:
    assert deskbench("compare-policies", run, "--agents", "null", "null", *words).exit_code == 2


def test_families_are_listed() -> None:
    ran = deskbench("models", "--json")
    rows = {row["family"]: row for row in json.loads(ran.stdout)}
    assert len(rows) >= 22
    assert rows["claude"]["endpoint"] == "messages" and rows["claude"]["key"] == "ANTHROPIC_API_KEY"
    assert rows["qwen3-vl"]["coordinates"] == "0-999"
    assert rows["gta1"]["grounder"]["model"] == "gta1"
    assert all(name in deskbench("models").stdout for name in rows)


@pytest.fixture
def screenshot(tmp_path: Path) -> Path:
    picture(640, 400, (100, 50, 80, 30)).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def test_a_family_is_tried_on_a_screenshot(screenshot: Path, tmp_path: Path) -> None:
    from PIL import Image

    with endpoint(reply("## Action:\nGo.\n## Code:\n```python\npyautogui.click(x=0.5, y=0.5)\n```")) as server:
        ran = deskbench("models", "try", "kimi-vl", "--screenshot", screenshot, "--instruction", "Press Save.",
                        "--base-url", server.url, "--json")  # fmt: skip
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["actions"] == [{"type": "click", "button": "left", "count": 1, "x": 320, "y": 200}]
    assert "Press Save." in json.dumps(found["request"]) and "base64" not in json.dumps(found["request"])
    drawn = Image.open(tmp_path / "x-kimi-vl.png").convert("RGB")
    assert drawn.getpixel((320 + 12, 200)) == (220, 20, 60)


def test_a_reply_at_hand_can_be_read_without_an_endpoint(screenshot: Path, tmp_path: Path) -> None:
    words = ("models", "try", "ui-tars-1", "--screenshot", screenshot, "--reply", tmp_path / "reply.txt", "--json")
    (tmp_path / "reply.txt").write_text("Thought: x\nAction: drag(start_box='(100,100)', end_box='(500,500)')")
    ran = deskbench(*words)
    assert json.loads(ran.stdout)["actions"][0]["path"] == [[64, 40], [320, 200]]
    (tmp_path / "reply.txt").write_text("Hm.")
    ran = deskbench(*words)
    assert ran.exit_code == 1 and "no action" in json.loads(ran.stdout)["error"]


def test_a_request_can_be_shown_without_asking(screenshot: Path) -> None:
    ran = deskbench("models", "try", "gemini", "--screenshot", screenshot, "--dry", "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["request"]["url"].endswith("models/gemini-3.5-flash:generateContent")


def test_a_family_runs_by_its_name(tmp_path: Path) -> None:
    from ..paper import prepared, write_suite

    write_suite(tmp_path / "suite", 1)
    with endpoint(reply("## Code:\n```python\ncomputer.terminate()\n```")) as server:
        made = prepared(tmp_path / "suite", agent="kimi-vl", agent_settings={"base_url": server.url})
        agent = made.make_agent(made.tasks[0])
        assert agent.name == "kimi-vl:kimi-vl"
        agent.close()

"""An OSWorld checkout in its own layout: read, checked, and run by a split's name."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deskbench.agent.cli.main import app
from deskbench.tasks import registry
from deskbench.tasks.load import check_all, read

USED = Path(__file__).parents[1] / "differential/used.json"


def osworld_task(folder: Path, domain: str, name: str, evaluator: dict[str, Any]) -> None:
    """Write a file with the keys of OSWorld's files."""
    path = folder / "evaluation_examples/examples" / domain / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    task = {
        "id": name, "snapshot": domain, "instruction": "Write 1 to a.txt.", "source": "here", "config": [],
        "trajectory": "trajectories/", "related_apps": [domain], "evaluator": evaluator,
    }  # fmt: skip
    path.write_text(json.dumps(task), encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "OSWorld"
    file = {"type": "vm_file", "path": "/home/user/a.txt", "dest": "a.txt"}
    written = {"func": "file_contains", "result": file, "expected": {"type": "rule", "rules": {"expected": ["1"]}}}
    osworld_task(root, "os", "small", written)
    osworld_task(root, "os", "large", written)
    osworld_task(root, "gimp", "impossible", {"func": "infeasible"})
    for split, value in (
        ("test_small", {"os": ["small"], "gimp": ["impossible"]}),
        ("test_all", {"os": ["small", "large"], "gimp": ["impossible"]}),
    ):
        (root / "evaluation_examples" / f"{split}.json").write_text(json.dumps(value))
    return root


@pytest.mark.parametrize(("split", "count"), [("test_small", 2), ("test_all", 3), (None, 3)])
def test_a_split_is_the_tasks_of_its_file(checkout: Path, split: str | None, count: int) -> None:
    tasks, problems = read(checkout, split=split)
    assert (len(tasks), problems) == (count, [])


def test_a_split_is_run(checkout: Path, tmp_path: Path) -> None:
    words = ["run", checkout, "--split", "test_small", "--agent", "null", "--provider", "fake", "--json"]
    ran = CliRunner().invoke(app, [*map(str, words), "--out", str(tmp_path / "run")])
    assert ran.exit_code == 0, ran.output
    summary = json.loads(ran.stdout)["summary"]
    assert (summary["feasible"]["episodes"], summary["feasible"]["mean"]) == (1, 0.0)


def test_every_metric_is_checked_with_the_rules_and_options_of_osworlds_tasks(tmp_path: Path) -> None:
    used = json.loads(USED.read_text(encoding="utf-8"))
    assert set(used) - {"infeasible"} <= set(registry.names("metric"))
    for metric, entries in used.items():
        for index, entry in enumerate(entries or [{}]):
            file = {"type": "vm_file", "path": "/home/user/a", "dest": "a"}
            evaluator: dict[str, Any] = {"func": metric, "options": entry.get("options", {})}
            evaluator["result"] = {"type": "rule", "rules": entry["result"]} if "result" in entry else file
            evaluator["expected"] = {"type": "rule", "rules": entry["rules"]} if "rules" in entry else file
            if metric == "infeasible":
                evaluator = {"func": metric}
            osworld_task(tmp_path, "any", f"{metric}-{index}", evaluator)
    assert check_all(tmp_path).problems == ()
    osworld_task(tmp_path, "any", "slip", {"func": "compare_table", "options": {"rulez": []}, "result": file})
    assert "rulez" in str(check_all(tmp_path).errors)

"""Each rule finds its bad example and ignores its good one; so do the variants in the table here."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbench.tasks.fingerprint import TASK, key_of
from deskbench.tasks.lint import Report, examples, lint
from deskbench.tasks.lint.rules import named, rules
from deskbench.tasks.load import VALIDATION, load

FILE = "~/Documents/letter.txt"
TEXT = {"type": "vm_file", "path": FILE, "dest": "letter.txt"}
ANSWER = {"type": "agent_answer", "path": None, "dest": None}
MODULE = """
from typing import Any


def llm_judge(result: Any, rules: Any, *, model: str = "", form: Any = None, fenced: bool = False) -> float:
    return 1.0


def careless(result: Any, rules: Any) -> float:
    return float(eval(result))
"""


@pytest.fixture(autouse=True)
def _foreign(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "my_checks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))


def found(folder: Path, patches: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Report:
    examples.write(folder, patches)
    return lint(folder)


def ids(report: Report) -> set[str]:
    return {finding.rule for finding in report.findings}


def command(line: str | list[str]) -> dict[str, Any]:
    return {"type": "vm_command_line", "command": line, "shell": isinstance(line, str), "path": None, "dest": None}


def asks(**rules: Any) -> dict[str, Any]:
    return {"rules": {"expected": None, **rules}}


def steps(*found: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": name, "parameters": parameters} for name, parameters in found]


def test_there_are_32_rules_without_a_gap() -> None:
    assert list(rules()) == [f"DB{number:03}" for number in range(1, 33)]


def test_the_unchanged_example_is_clean(tmp_path: Path) -> None:
    report = found(tmp_path, {})
    assert report.findings == ()
    assert report.tasks == 1


@pytest.mark.parametrize("id", list(rules()))
def test_a_rule_finds_its_example(tmp_path: Path, id: str) -> None:
    assert id in ids(found(tmp_path, named(id).bad))


@pytest.mark.parametrize("id", list(rules()))
def test_a_rule_leaves_the_example_near_it_alone(tmp_path: Path, id: str) -> None:
    report = found(tmp_path, named(id).good)
    assert id not in ids(report)
    assert report.tasks > 0, "an example that is right can be run"


@pytest.mark.parametrize("id", list(rules()))
def test_a_finding_has_a_line_that_holds_what_its_path_says(tmp_path: Path, id: str) -> None:
    for finding in found(tmp_path, named(id).bad).findings:
        if finding.rule == id and finding.where not in ("", "$"):
            last = re.findall(r"\w+", finding.where.rpartition(".")[2])[0]
            lines = finding.file.read_text().splitlines()
            near = lines[: finding.line]
            assert finding.line is not None
            assert any(last in line for line in near), (finding, last)


BOTH = {"result": [TEXT, TEXT], "expected": [{"type": "rule", "rules": {"expected": "We meet on Thursday."}}] * 2}
WEB = {"requires": {"apps": ["chromium"], "network": "full"}}
CASES: list[tuple[str, bool, Any]] = [
    ("DB001", True, {"oracle": [{"type": "clik", "target": {"name": "x"}}]}),
    ("DB001", True, {"limits": {"step": 3}}),
    ("DB001", False, {"limits": {"steps": 3}}),
    ("DB001", True, {"evaluator": {  # one hash for two files
        "func": "compare_pdfs", "result": {"path": [FILE, FILE], "dest": ["a", "b"]},
        "expected": {"type": "cloud_file", "path": ["https://a.example/x"] * 2, "dest": ["a", "b"], "sha256": "0" * 64, "rules": None}}}),
    ("DB002", True, [{}, {"id": "Other_Task", "instruction": "x"}]),
    ("DB002", True, [{}, {"id": "other-task.v2", "instruction": "x"}]),
    ("DB002", False, [{}, {"id": "other-task-2", "instruction": "Do it."}]),
    ("DB003", True, {"evaluator": {"expected": {"type": "task_file", "path": "../outside.txt", "rules": None}}}),
    ("DB003", False, {"evaluator": {"expected": {"type": "task_file", "path": "assets/list.txt", "rules": None}}}),
    ("DB004", True, {"evaluator": {"expected": {
        "type": "cloud_file", "path": "https://a.example/x", "dest": "x", "rules": None}}}),
    ("DB005", True, {"instruction": "Save https://www.python.org/about/ as letter.txt."}),
    ("DB005", True, {**WEB, "config": steps(("execute", {"command": "pip install requests", "shell": True}))}),
    ("DB005", True, {**WEB, "config": steps(("chrome_open_tabs", {"urls_to_open": ["https://python.org"]}))}),
    ("DB005", False, {"instruction": "Write to info@python.org about letter.txt."}),
    ("DB005", False, {**WEB, "config": steps(("chrome_open_tabs", {"urls_to_open": ["http://localhost:8000/"]}))}),
    ("DB005", False, {"config": steps(("write_file", {"path": FILE, "text": "see https://www.python.org/"}))}),
    ("DB005", False, {"config": steps(("launch", {"command": ["chromium", "http://192.168.0.7/"]}))}),
    ("DB006", True, {"config": steps(("upload_file", {
        "files": [{"local_path": "assets/list.txt", "path": "~/.cache/expected_list.txt"}]}))}),
    ("DB006", False, {"config": steps(("upload_file", {
        "files": [{"local_path": "assets/list.txt", "path": "~/unexpected.txt"}]}))}),
    ("DB006", False, {"evaluator": {
        "func": "compare_text_file", "expected": {**TEXT, "path": "~/gold.txt", "rules": None},
        "postconfig": steps(("upload_file", {"files": [{"local_path": "assets/list.txt", "path": "~/gold.txt"}]}))}}),
    ("DB007", False, {"requires": {"network": ["shop.example"]}, "instruction": "Read http://shop.example/ into letter.txt.",
                      "evaluator": {"func": "compare_text_file", "expected": {
                          "type": "cloud_file", "path": "https://files.example/g", "dest": "g", "rules": None}}}),
    ("DB008", False, {"instruction": "Does letter.txt name Monday or Friday? Answer with the day only.",
                      "evaluator": {"result": ANSWER, "expected": {"rules": {"expected": "Monday"}}}}),
    ("DB008", True, {"config": steps(("write_file", {"path": "~/Monday.txt", "text": "x"})),
                     "instruction": "Which day has a file? Answer with the day only.",
                     "evaluator": {"result": ANSWER, "expected": {"rules": {"expected": "Monday"}}}}),
    ("DB009", True, {"evaluator": {"func": "text_matches", "expected": asks(pattern=".*")}}),
    ("DB009", True, {"evaluator": {"func": "check_include_exclude", "expected": asks(include=[""], exclude=[])}}),
    ("DB009", False, {"config": steps(("write_file", {"path": FILE, "text": "We meet on Thursday."}),
                                      ("execute", {"command": "rm ~/Documents/letter.txt", "shell": True}))}),
    ("DB009", False, {"evaluator": {  # a guard
        "func": ["text_equals", "text_equals"], "result": [TEXT, {**TEXT, "path": "~/keep.md"}],
        "expected": [{"type": "rule", "rules": {"expected": t}} for t in ("We meet on Thursday.", "kept")]},
        "config": steps(("write_file", {"path": FILE, "text": "x"}), ("write_file", {"path": "~/keep.md", "text": "kept"}))}),
    ("DB010", True, {"evaluator": {"func": ["text_equals", "text_matches"], "conj": "or", "result": [TEXT, TEXT],
        "expected": [{"type": "rule", "rules": {"expected": "a"}}, {"type": "rule", "rules": {"pattern": "[\\s\\S]*"}}]}}),
    ("DB010", False, {"evaluator": {"func": ["text_equals", "text_matches"], "conj": "and", "result": [TEXT, TEXT],
        "expected": [{"type": "rule", "rules": {"expected": "a"}}, {"type": "rule", "rules": {"pattern": "[\\s\\S]*"}}]}}),
    ("DB011", True, {"evaluator": {"func": "file_contains", "expected": {"rules": {"expected": ["Thursday"]}}}}),
    ("DB011", True, {"evaluator": {"func": "match_in_list", "expected": {"rules": {"expected": "Thursday"}}}}),
    ("DB011", False, {"evaluator": {"func": "match_in_list", "expected": {"rules": {"expected": ["Thursday"]}}}}),
    ("DB011", False, {"evaluator": {"func": "check_include_exclude", "expected": asks(include=["is there"]),
                                    "result": command("[ -d ~/a ] && echo 'It is there.' || echo 'It is missing.'")}}),
    ("DB011", True, {"evaluator": {"func": "check_include_exclude", "expected": asks(include=["Success"]),
                                   "result": command("[ -d ~/a ] && echo 'Success' || echo 'No Success'")}}),
    ("DB011", True, {"evaluator": {"func": "check_include_exclude", "expected": asks(include=["54"]),
                                   "result": {"type": "vm_terminal_output", "path": None, "dest": None}}}),
    ("DB012", True, {"evaluator": {"func": "check_list", "expected": asks(expect=["Thursday"])}}),
    ("DB012", False, {"evaluator": {"func": "check_list", "expected": asks(expect=["^We meet on Thursday\\.$"])}}),
    ("DB012", True, {"evaluator": {"func": "check_list", "expected": asks(expect=["^It costs 5\\$"])}}),
    ("DB012", False, {"evaluator": {"func": "text_matches", "expected": asks(pattern="We .* on Thursday\\.")}}),
    ("DB013", True, {"instruction": "Is it Monday? Answer yes or no.",
                     "evaluator": {"result": ANSWER, "expected": {"rules": {"expected": "no"}}}}),
    ("DB013", False, {"instruction": "Is it Monday? Answer yes or no.", "evaluator": {
        "func": ["text_equals", "text_equals"], "result": [{"type": "agent_answer"}, TEXT],
        "expected": [{"type": "rule", "rules": {"expected": t}} for t in ("no", "We meet on Thursday.")]}}),
    ("DB013", True, {"instruction": "Which is the largest file: red, green, or blue? Answer with the name only.",
                     "evaluator": {"result": ANSWER, "expected": {"rules": {"expected": "green"}}}}),
    ("DB013", False, {"instruction": "Which of one, two, three, four or five is the largest file? Answer with the name only.",
                      "evaluator": {"result": ANSWER, "expected": {"rules": {"expected": "four"}}}}),
    ("DB014", False, {"instruction": "How many grams does the letter name? Give a number.",
                      "evaluator": {"func": "number_equals", "result": ANSWER, "expected": {"rules": {"expected": 250}}}}),
    ("DB015", False, {"instruction": "Export letter.txt as PDF.",
                      "evaluator": {"func": "compare_pdfs", "result": {"path": "~/Documents/letter.pdf"}}}),
    ("DB015", False, {"instruction": "Switch line numbers on.",
                      "evaluator": {"result": {"path": "~/.config/mousepad/settings.conf"}}}),
    ("DB015", False, {"instruction": "Write the note called Meeting with Anna.",
                      "evaluator": {"result": {"path": "~/Documents/meeting_with_anna.txt"}}}),
    ("DB016", True, {"evaluator": {"func": "my_checks:careless"}}),
    ("DB016", True, {"evaluator": {"result": command("python3 -c \"exec(open('/home/user/a.py').read())\"")}}),
    ("DB016", False, {"evaluator": {"func": "my_checks:llm_judge"}}),
    ("DB017", True, {"evaluator": {"result": {"path": "/tmp/reward.txt"}}}),
    ("DB017", False, {"instruction": "Write it into status.txt.", "evaluator": {"result": {"path": "~/status.txt"}}}),
    ("DB018", True, {"evaluator": {"result": command("grep -c Thursday ~/Documents/letter.txt | tr -d '\\n'")}}),
    ("DB018", True, {"evaluator": {"result": command("bash ~/check.sh")},
                     "config": steps(("write_file", {"path": "~/check.sh", "text": "true"}))}),
    ("DB018", False, {"evaluator": {"result": command("bash ~/check.sh"),
                                    "postconfig": steps(("write_file", {"path": "~/check.sh", "text": "true"}))}}),
    ("DB018", False, {"evaluator": {"result": command("ps aux | grep mousepad")}}),
    ("DB019", True, {"evaluator": {"func": "my_checks:llm_judge", "options": {
        "model": "judge-2026-01-15", "form": {"pass": "boolean"}, "fenced": True}}}),
    ("DB020", False, {"evaluator": {**BOTH, "func": ["file_contains", "text_equals"], "expected": [
        {"type": "rule", "rules": {"expected": ["Thursday"]}}, {"type": "rule", "rules": {"expected": "x"}}]}}),
    ("DB020", False, {"config": steps(("write_file", {"path": "~/.config/a.conf", "text": "x"})), "evaluator": {
        "func": "file_contains", "result": {"path": "~/.config/a.conf"}, "expected": {"rules": {"expected": ["y"]}}}}),
    ("DB021", True, {"config": steps(("write_file", {"path": "/home/alice/letter.txt", "text": "x"}))}),
    ("DB021", False, {"config": steps(("write_file", {"path": "/home/user/letter.txt", "text": "x"}))}),
    ("DB021", False, {"instruction": "Write tomorrow's date into letter.txt.", "evaluator": {
        "expected": {"type": "rule_relativeTime", "rules": {
            "relativeTime": {"from": "tomorrow"}, "expected": "{Year}-{Month0D}-{Day0D}"}}}}),
    ("DB022", True, {"config": steps(("execute", {"command": "mousepad & sleep 5", "shell": True}))}),
    ("DB022", False, {"config": steps(("execute", {"command": "until pidof mousepad; do sleep 1; done", "shell": True}))}),
    ("DB023", True, {"instruction": "Change letter.txt and close the editor.", "evaluator": {
        "postconfig": steps(("close_window", {"window_name": "Mousepad"}))}}),
    ("DB023", False, {"instruction": "Make Chromium forget letter.txt whenever I close it.", "evaluator": {
        "postconfig": steps(("close_window", {"window_name": "Chromium"}))}}),
    ("DB024", False, {"oracle": [{"type": "click", "target": {"role": "screen", "at": [0.1, 0.2]}}]}),
    ("DB024", True, {"oracle": [{"type": "drag", "path": [[1, 1], [9, 9]]}]}),
    ("DB025", True, {"requires": None}),
    ("DB025", False, {"config": steps(("launch", {"command": "/usr/bin/mousepad ~/a", "shell": True}))}),
    ("DB025", False, {"config": steps(("launch", {"command": ["~/program.py"]}))}),
    ("DB025", True, {"config": steps(("launch", {"command": ["/opt/My Program/pro gram", "x"]}), ("launch", {"command": "vlc a"}))}),
    ("DB025", True, {"requires": {"apps": ["mousepad", "libreoffice-writer"]}}),  # a package, not a program
    ("DB025", False, {"requires": {"apps": ["mousepad", "libreoffice", "google-chrome", "code"]}}),
    ("DB025", False, {"requires": {"os": ["windows"], "apps": ["mousepad", "winecfg"]}}),
    ("DB025", False, {"oracle": None, "requires": None, "mutants": None}),  # a foreign file
    ("DB026", True, {"config": steps(("execute", {"command": "echo x > /etc/motd", "shell": True}))}),
    ("DB026", True, {"config": steps(("execute", {"command": "apt-get -y install gimp", "shell": True}))}),
    ("DB026", False, {"config": steps(("execute", {"command": "cp /usr/share/dict/words ~/words", "shell": True}))}),
    ("DB027", False, [{}, {"id": "replace-day", "evaluator": {"func": "infeasible", "result": None, "expected": None},
                           "oracle": None, "mutants": None,
                           "instruction": 'In the open file letter.txt replace "Monday" by a smell, and save the file.'}]),
    ("DB027", True, [{}, {"id": "fly", "evaluator": {"func": "infeasible", "result": None, "expected": None},
                          "oracle": None, "mutants": None, "instruction": "Fly to the moon."}]),
    ("DB028", True, {"oracle": [{"type": "key", "keys": ["ctrl", "s"]}]}),
    ("DB028", False, {"evaluator": {"result": ANSWER}, "mutants": None, "oracle": [{"type": "done", "answer": "x"}]}),
    ("DB029", True, {"instruction": 'Write {{n}} words into letter.txt.', "seeds": [{"n": 1}, {"n": 2}]}),
    ("DB029", True, {"config": steps(("write_file", {"path": FILE, "text": "{{a}}"})), "instruction": "Take a {{a}}: letter.txt.",
                     "seeds": [{"a": "pear"}, {"a": "apple"}]}),
    ("DB029", True, {"config": steps(("write_file", {"path": FILE, "text": "{{a}}"})), "seeds": [{"a": "x"}, {"b": "y"}]}),
    ("DB030", True, {"requires": {"code": True}}),
    ("DB030", False, {"requires": {"code": True}, "solutions": [{"name": "by a script", "script": "true"}]}),
    ("DB030", True, {"requires": {"network": ["shop.example"]}}),
    ("DB030", False, {"requires": {"network": ["shop.example"]}, "instruction": "Open http://shop.example/ in letter.txt."}),
    ("DB031", True, [{}, {"id": "again", "evaluator": {"expected": {"rules": {"expected": "x"}}}}]),
    ("DB031", True, [{}, {"id": "again", "instruction": "Move the meeting of letter.txt to Thursday, and save it."}]),
    ("DB031", False, [{}, {"id": "again", "instruction": 'In the open file letter.txt replace "Monday" by "Friday".',
                           "evaluator": {"expected": {"rules": {"expected": "We meet on Friday."}}}}]),
    ("DB031", False, {"config": steps(("write_file", {"path": "~/Documents/letter1.txt", "text": "x"}))}),
    ("DB032", True, {"noqa": {"DB099": "no such rule"}}),
    ("DB032", True, {"noqa": {"DB022": " "}}),
    ("DB032", False, {"oracle": None, "noqa": {"DB028": "a person has solved it"}}),
]  # fmt: skip


@pytest.mark.parametrize(("id", "wanted", "patches"), CASES)
def test_a_variant_is_found_or_not(tmp_path: Path, id: str, wanted: bool, patches: Any) -> None:
    report = found(tmp_path, patches)
    assert (id in ids(report)) is wanted, [str(finding) for finding in report.findings]


def test_what_a_file_allows_is_reported_with_the_reason(tmp_path: Path) -> None:
    report = found(tmp_path, {"oracle": None, "noqa": {"DB028": "a person has solved it"}})
    assert report.findings == ()
    [(finding, reason)] = report.allowed
    assert (finding.rule, finding.line, reason) == ("DB028", 1, "a person has solved it")
    assert lint(tmp_path, chosen={"DB001"}).allowed == ()


def test_what_keeps_a_task_from_being_run_cannot_be_allowed(tmp_path: Path) -> None:
    report = found(tmp_path, {"evaluater": {}, "noqa": {"DB001": "it is so"}})
    assert "DB001" in ids(report)
    assert report.tasks == 0


def test_a_template_is_told_once_for_all_its_seeds(tmp_path: Path) -> None:
    good = dict(named("DB029").good)  # type: ignore[arg-type]
    report = found(tmp_path, {**good, "oracle": None})
    assert report.tasks == 2
    assert [finding.rule for finding in report.findings] == ["DB028"]


def record(folder: Path, *, valid: bool = True, **keys: str) -> None:
    """A validation record of the example, as `tasks verify` writes it."""
    [task] = load(str(folder))
    measured = {"task": task.key, "key": key_of(task), "valid": valid, **keys}
    (folder / VALIDATION).write_text(json.dumps({"results": [{"check_id": TASK, "measured": measured}]}))


def test_a_record_that_holds_is_no_finding(tmp_path: Path) -> None:
    examples.write(tmp_path, {})
    record(tmp_path)
    assert lint(tmp_path).findings == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"key": "0" * 64}, "validation.json is stale"),
        ({"task": "suite/other"}, "was never verified"),
        ({"valid": False}, "failed its verification"),
    ],
)
def test_a_record_that_does_not_count_is_found(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    examples.write(tmp_path, {})
    record(tmp_path, **wrong)
    [finding] = lint(tmp_path).findings
    assert finding.rule == "DB028"
    assert said in finding.message


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"results": [{"check_id": "deskbench.task"}]}'])
def test_a_record_that_cannot_be_read_does_not_count(tmp_path: Path, text: str) -> None:
    examples.write(tmp_path, {})
    (tmp_path / VALIDATION).write_text(text)
    assert ["never verified" in finding.message for finding in lint(tmp_path).findings] == [True]


JUNK = [
    "",
    ".*",
    "x" * 300,
    "http://[bad",
    "http://a.b:99999/",
    "{{x}}",
    "~",
    "\\",
    "(?:a)",
    "cat ~/x | sh",
    "sed -i s/a/b/ /etc/x",
    "\u2028",
]


def strings(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all strings in a value."""
    if isinstance(value, str):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in strings(inner, (*path, key))]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(rules())), st.data())
def test_no_rule_breaks_at_an_odd_string(id: str, data: st.DataObject) -> None:
    bad = named(id).bad
    task = examples.merged(examples.TASK, bad if isinstance(bad, Mapping) else bad[0])
    *outer, last = data.draw(st.sampled_from(strings(task)))
    place = task
    for key in outer:
        place = place[key]
    place[last] = data.draw(st.sampled_from(JUNK))
    with tempfile.TemporaryDirectory() as folder:
        for finding in found(Path(folder), task).findings:
            assert finding.rule in rules()

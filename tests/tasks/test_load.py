"""Task files: every error is reported before a machine starts, with file, JSON path and the nearest name."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deskbench.envs.errors import UsageError
from deskbench.tasks.load import LIBRARY, check_all, load, read, skip_reason, task_set_hash
from deskbench.tasks.schema import new_task, task_schema
from deskbench.tasks.types import Outside

OSWORLD = Path(os.environ.get("OSWORLD_TASKS") or Path(__file__).resolve().parents[3] / "shared" / "osworld_tasks")

GOOD: dict[str, Any] = {
    "id": "one",
    "instruction": "Do it.",
    "config": [{"type": "write_file", "parameters": {"path": "~/a", "text": "a"}}],
    "evaluator": {
        "func": "text_equals",
        "result": {"type": "vm_file", "path": "~/a", "dest": "a"},
        "expected": {"type": "rule", "rules": {"expected": "a"}},
    },
    "oracle": [{"type": "click", "target": {"role": "push-button", "name": "Save"}}],
}


def write(folder: Path, name: str = "one.json", **changes: Any) -> Path:
    value = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def said(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_good_file_is_one_task(tmp_path: Path) -> None:
    [task] = load(write(tmp_path))
    assert task.key == f"{tmp_path.name}/one"
    assert [c.type for c in task.config] == ["write_file"]
    [check] = task.evaluator.checks
    assert (check.metric, check.result.type if check.result else None) == ("text_equals", "vm_file")
    assert task.feasible


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"config": [{"type": "lunch", "parameters": {}}]}, "$.config[0]", "did you mean 'launch'"),
        ({"config": [{"type": "launch", "parameters": {"comand": "x"}}]}, "$.config[0]", "did you mean 'command'"),
        ({"config": [{"type": "launch", "parameters": {}}]}, "$.config[0]", "missing parameter 'command'"),
        ({"config": [{"type": "sleep", "parameters": {"seconds": "soon"}}]}, "$.config[0]", "'soon'"),
        ({"config": [{"type": ":"}]}, "$.config[0]", "cannot import ':'"),
        ({"config": [{"type": ".above:step"}]}, "$.config[0]", "cannot import '.above:step'"),
        ({"config": [{"type": "no_such_module:step"}]}, "$.config[0]", "cannot import 'no_such_module:step'"),
        ({"config": {}}, "$.config", "a list"),
        ({"config": [{"typ": "launch"}]}, "$.config[0]", "type"),
        ({"evaluator": {**GOOD["evaluator"], "func": "text_equal"}}, "$.evaluator.func", "did you mean 'text_equals'"),
        (
            {"evaluator": {**GOOD["evaluator"], "result": {"type": "vm_fil", "path": "a"}}},
            "$.evaluator.result",
            "did you mean 'vm_file'",
        ),
        (
            {"evaluator": {**GOOD["evaluator"], "options": {"ignore_cas": True}}},
            "$.evaluator.func",
            "did you mean 'ignore_case'",
        ),
        ({"evaluator": {**GOOD["evaluator"], "conj": "xor"}}, "$.evaluator.conj", "xor"),
        ({"evaluator": {"func": ["exact_match"], "result": []}}, "$.evaluator.result", "as long as func"),
        ({"evaluater": {}}, "$.evaluater", "did you mean 'evaluator'"),
        ({"instruction": ""}, "$.instruction", "non-empty"),
        ({"id": "a/b"}, "$.id", "a/b"),
        ({"oracle": [{"type": "clik", "target": {"name": "x"}}]}, "$.oracle[0]", "did you mean 'click'"),
        ({"oracle": [{"type": "click", "target": {"nme": "x"}}]}, "$.oracle[0]", "did you mean 'name'"),
        ({"oracle": [{"target": {"name": "x"}}]}, "$.oracle[0]", "type"),
        ({"requires": {"network": "on"}}, "$.requires.network", "on"),
        ({"limits": {"step": 3}}, "$.limits.step", "did you mean 'steps'"),
        (
            {"config": [{"type": "upload_file", "parameters": {"files": [{"local_path": "no.txt", "path": "~/x"}]}}]},
            "$.config[0].parameters.files[0].local_path",
            "no such file: no.txt",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, changes: dict[str, Any], where: str, what: str) -> None:
    text = said(write(tmp_path, **changes))
    assert text.startswith(f"{tmp_path}/one.json: {where}: ")
    assert what in text


def test_what_is_not_json_is_said_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text('{"id": "one",\n "instruction" "x"}')
    assert "line 2, column 16" in said(path)
    path.write_bytes(b'{"id": "\xff"}')
    assert "UTF-8" in said(path)
    path.write_text("[1]")
    assert "must be a JSON object" in said(path)


def test_an_id_that_two_files_have_is_named_with_both(tmp_path: Path) -> None:
    write(tmp_path, "a.json")
    write(tmp_path, "b.json")
    text = said(tmp_path)
    assert "a.json" in text
    assert "b.json" in text


def test_every_problem_is_listed_not_only_the_first(tmp_path: Path) -> None:
    write(tmp_path, "a.json", config=[{"type": "lunch"}, {"type": "slep"}])
    write(tmp_path, "b.json", id="two", evaluator={"func": "nothing_like_it"})
    assert len(check_all(tmp_path).errors) == 3
    assert "2 more" in said(tmp_path)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    assert "suites: basics" in said(tmp_path / "nothing")
    assert "no task files" in said(tmp_path)


def test_a_folder_with_a_suites_name_is_said_to_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "basics").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    for source, said in (("basics", "hides the suite basics: rename it"), ("other", r"task_\*\.py\)$")):
        with pytest.raises(UsageError, match=f"the folder {source} holds no task files .*{said}"):
            load(source)
    assert load("windows")


def test_a_template_becomes_one_task_for_each_seed(tmp_path: Path) -> None:
    seeds = [{"word": "red", "n": 3}, {"word": "blue", "n": 4}]
    tasks = load(write(tmp_path, instruction="Write {{word}} {{n}} times.", seeds=seeds, limits={"steps": "{{n}}"}))
    assert [t.id for t in tasks] == ["one@0", "one@1"]
    assert [t.instruction for t in tasks] == ["Write red 3 times.", "Write blue 4 times."]
    assert [t.limits.steps for t in tasks] == [3, 4]


def test_parallel_lists_become_whole_checks(tmp_path: Path) -> None:
    rule = {"type": "rule", "rules": {"expected": 1}}
    evaluator = {
        "func": ["exact_match", "text_equals"],
        "conj": "or",
        "result": [rule, rule],
        "expected": [rule, rule],
        "options": [{}, {"strip": False}],
    }
    [task] = load(write(tmp_path, evaluator=evaluator))
    assert [(c.metric, c.options) for c in task.evaluator.checks] == [
        ("exact_match", {}),
        ("text_equals", {"strip": False}),
    ]
    assert task.evaluator.conj == "or"


def test_a_flag_that_is_written_as_a_string_is_read(tmp_path: Path) -> None:
    assert load(write(tmp_path, config=[{"type": "execute", "parameters": {"command": "id", "shell": "true"}}]))


def test_the_hash_of_a_set_does_not_depend_on_its_order(tmp_path: Path) -> None:
    write(tmp_path, "a.json")
    write(tmp_path, "b.json", id="two")
    tasks = load(tmp_path)
    assert task_set_hash(tasks) == task_set_hash(tasks[::-1])
    write(tmp_path, "b.json", id="two", instruction="Do it better.")
    assert task_set_hash(tasks) != task_set_hash(load(tmp_path))


def test_a_task_that_cannot_be_done_here_says_why(tmp_path: Path) -> None:
    requires = {"os": ["linux"], "apps": ["gimp"], "network": "full"}
    [task] = load(write(tmp_path, requires=requires))

    def why(platform: str, network: bool, gimp: bool) -> str | None:
        return skip_reason(task, platform=platform, network=network, has_app={"gimp": gimp})

    assert why("Linux", True, True) is None
    assert "needs linux" in str(why("Windows", True, True))
    assert "gimp" in str(why("Linux", True, False))
    assert "network" in str(why("Linux", False, True))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        ["config", "evaluator", "oracle", "solutions", "limits", "requires", "mutants", "neutral", "allowed", "noqa",
         "seeds", "tags"]
    ),
    ANY_JSON,
)  # fmt: skip
def test_no_json_makes_the_loader_fall_over(key: str, value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = check_all(write(Path(folder), **{key: value}))
        assert found.tasks or found.errors


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["func", "conj", "result", "expected", "options", "postconfig"]), ANY_JSON, st.booleans())
def test_no_check_makes_the_loader_fall_over(key: str, value: Any, several: bool) -> None:
    evaluator = {**GOOD["evaluator"], "options": {}}
    if several:
        evaluator = {name: [part] for name, part in evaluator.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = check_all(write(Path(folder), evaluator={**evaluator, key: value}))
        assert found.tasks or found.errors


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=8), st.integers(0, 400), st.integers(0, 8))
def test_no_bytes_make_the_loader_fall_over(put: bytes, at: int, gone: int) -> None:
    data = json.dumps(GOOD).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.json")
        path.write_bytes(data[:at] + put + data[at + gone :])
        found = check_all(path)
        assert found.tasks or found.errors


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_another_encoding_is_the_same_task(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(json.dumps({**GOOD, "instruction": "Größe \u2028 ändern"}, ensure_ascii=False).encode(encoding))
    [task] = load(path)
    assert task.instruction == task.written["instruction"] == "Größe \u2028 ändern"


def test_one_file_tells_everything_that_is_wrong_with_it(tmp_path: Path) -> None:
    path = write(
        tmp_path, id="..", instruction="", tags=["a", 1], limits={"steps": 0, "second": 1}, mutant=[],
        config=[{"type": "lunch"}, {"type": "launch", "parameters": None}],
        oracle=[{"type": "clik"}, {"type": "click", "target": {"name_re": "("}}],
        evaluator={"func": ["text_equal", "exact_match"], "result": [{"type": "vm_fil"}, {"type": "rule"}]},
    )  # fmt: skip
    found = check_all(path)
    assert found.tasks == ()
    assert {problem.where for problem in found.errors} == {
        "$.id", "$.instruction", "$.tags[1]", "$.limits.steps", "$.limits.second", "$.mutant", "$.config[0]",
        "$.config[1].parameters", "$.oracle[0]", "$.oracle[1]", "$.evaluator.func[0]", "$.evaluator.result[0]",
        "$.evaluator.result[1]", "$.evaluator.expected[1]",
    }  # fmt: skip


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked(tmp_path: Path) -> None:
    write(tmp_path, "a.json", config=[{"type": "launch", "parameters": None}])
    (tmp_path / "b.json").write_text(json.dumps(GOOD).replace('"a"', "9" * 5000, 1))
    (tmp_path / "c.json").write_text("[" * 100_000)
    (tmp_path / "d.json").mkdir()
    write(tmp_path, "e.json", id="e", evaluator=None)
    write(tmp_path, "f.json", id="f")
    found = check_all(tmp_path)
    assert [task.id for task in found.tasks] == ["f"]
    assert {problem.file.name for problem in found.errors} == {"a.json", "b.json", "c.json", "d.json", "e.json"}


def test_whatever_else_is_in_a_folder_does_not_keep_its_tasks_from_being_checked(tmp_path: Path) -> None:
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "gone.json").symlink_to("nowhere")
    (tmp_path / "self").symlink_to(".")
    os.mkfifo(tmp_path / "pipe.json")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    odd.mkdir()
    write(odd, "f.json", id="f")
    write(tmp_path, "g.json", id="g")
    found = check_all(tmp_path)
    assert [task.key for task in found.tasks] == [f"{tmp_path.name}/g", "odd\ufffd/f"]
    assert {problem.file.name for problem in found.errors} == {"loop.json", "gone.json", "pipe.json"}


def test_a_link_to_a_file_elsewhere_belongs_to_the_suite_that_it_is_in(tmp_path: Path) -> None:
    for name in ("store", "suite"):
        (tmp_path / name).mkdir()
    (tmp_path / "suite" / "one.json").symlink_to(write(tmp_path / "store"))
    assert [task.key for task in load(tmp_path / "suite")] == ["suite/one"]


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        ({"id": "."}, "$.id", "folder"),
        ({"limits": {"steps": True}}, "$.limits.steps", "true"),
        ({"limits": {"steps": "5"}}, "$.limits.steps", '"5"'),
        ({"limits": {"seconds": "60"}}, "$.limits.seconds", '"60"'),
        ({"requires": {"code": "no"}}, "$.requires.code", '"no"'),
        ({"mutants": [{"name": 5, "steps": []}]}, "$.mutants[0]", "name"),
        ({"id": ".."}, "$.id", "folder"),
        ({"id": "x" * 201}, "$.id", "201 bytes"),
        ({"id": "é" * 101}, "$.id", "202 bytes"),
        ({"instruction": "\ud83d"}, "$.instruction", "surrogate"),
        ({"oracle": [{"type": "click", "target": {"role": "buton"}}]}, "$.oracle[0]", "'button'"),
        ({"oracle": [{"type": "click", "target": {"role": "push_button"}}]}, "$.oracle[0]", "'push-button'"),
        ({"oracle": [{"type": "click", "target": {"name_re": "["}}]}, "$.oracle[0]", "regular expression"),
        ({"oracle": [{"type": "click", "target": {"text_re": "["}}]}, "$.oracle[0]", "text_re"),
        ({"oracle": [{"type": "click", "target": {"role": 3}}]}, "$.oracle[0]", "string"),
        ({"config": [{"type": "sleep", "parameters": {"seconds": -1}}]}, "$.config[0]", "-1; it must be 0 to 3600"),
        ({"config": [{"type": "sleep", "parameters": {"seconds": 1e9}}]}, "$.config[0]", "it must be 0 to 3600"),
        *(
            (
                {"config": [{"type": "download", "parameters": {"files": [{"url": url, "path": "~/x"}]}}]},
                "$.config[0]",
                f"{url!r} is not an address",
            )
            for url in ("notaurl", "http://[bad", "https://", "ftp://example.org/x", "")
        ),
        (
            {"evaluator": {**GOOD["evaluator"], "expected": {"type": "cloud_file", "path": "gold.txt", "dest": "x"}}},
            "$.evaluator.expected",
            "'gold.txt' is not an address",
        ),
    ],
)
def test_what_would_fail_in_the_middle_of_a_run_is_told_before(
    tmp_path: Path, changes: dict[str, Any], where: str, what: str
) -> None:
    text = said(write(tmp_path, **{"requires": {"os": ["linux", "windows"]}, **changes}))
    assert text.startswith(f"{tmp_path}/one.json: {where}: ")
    assert what in text


def test_a_key_that_is_there_twice_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(GOOD).replace('"func":', '"func": "exact_match", "func":'))
    assert "$.evaluator.func: occurs twice" in said(path)


def check_of(func: str, result: Any = None, expected: Any = None, **options: Any) -> dict[str, Any]:
    parts = {"func": func, "result": result, "expected": expected, "options": options}
    return {"evaluator": {key: part for key, part in parts.items() if part}}


FILE = {"type": "vm_file", "path": "~/a", "dest": "a"}


def rule(value: Any, kind: str = "rule") -> dict[str, Any]:
    return {"type": kind, "rules": value}


DAY = rule({"relativeTime": {"from": "some day"}, "expected": {"time": "{Year}"}}, "rule_relativeTime")


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        (check_of("text_equals", None, rule({"expected": "a"})), "$.evaluator.result", "needs a result"),
        (check_of("text_equals", FILE), "$.evaluator.expected", "needs an expected value"),
        (check_of("text_equals", FILE, rule({"expect": "a"})), "$.evaluator.expected.rules", "'expected'"),
        (check_of("text_equals", FILE, rule({})), "$.evaluator.expected.rules", "missing rule key 'expected'"),
        (check_of("text_equals", FILE, rule(None)), "$.evaluator.expected.rules", "the rules are None"),
        (check_of("json_value", FILE, rule({"expect": [{"path": ["a"]}]})), "$.evaluator.expected.rules", "equals"),
        (check_of("ini_value", FILE, rule({"expect": [{"equals": "a"}]})), "$.evaluator.expected.rules", "key"),
        (check_of("number_equals", FILE, rule({"expected": "much"})), "$.evaluator.expected.rules", "number"),
        (check_of("check_json", FILE, rule({"expect": []})), "$.evaluator.expected.rules", "set no condition"),
        (check_of("check_image_size", FILE, rule({})), "$.evaluator.expected.rules", "set no condition; give 'width'"),
        (check_of("text_matches", FILE, rule({"pattern": "("})), "$.evaluator.expected.rules", "regular expression"),
        (check_of("check_list", FILE, rule({"expect": ["(?P<"]})), "$.evaluator.expected.rules", "regular expression"),
        (
            check_of("check_json", FILE, rule({"expect": [{"key": ["a"], "method": "re.I", "ref": "*"}]})),
            "$.evaluator.expected.rules", "regular expression",
        ),
        (
            check_of("is_expected_url_pattern_match", FILE, rule({"expected": ["*"]})),
            "$.evaluator.expected.rules", "regular expression",
        ),
        (check_of("check_accessibility_tree", FILE, rule([{"text": "a"}])), "$.evaluator.expected.rules", "selectors"),
        (check_of("check_accessibility_tree", FILE, rule([{"xpath": "//["}])), "$.evaluator.expected.rules", "XPath"),
        (check_of("get_unique_train_ids", FILE), "$.evaluator.func", "never be scored"),
        (check_of("compare_table", FILE, rules=[{"type": "sheet_name"}]), "$.evaluator.func", "expected workbook"),
        (check_of("check_direct_json_object", FILE, DAY), "$.evaluator.expected", "some day"),
        (
            check_of("exact_match", {"type": "vm_file", "path": ["~/a", "~/b"], "dest": ["a"]}, rule({"expected": 1})),
            "$.evaluator.result", "path has 2 entries, but dest has 1",
        ),
    ],
)  # fmt: skip
def test_a_check_that_could_never_pass_is_refused(
    tmp_path: Path, changes: dict[str, Any], where: str, what: str
) -> None:
    problems = check_all(write(tmp_path, **changes)).errors
    assert [problem.where for problem in problems] == [where]
    assert what in problems[0].message


def test_keys_of_other_peoples_files_are_warnings_and_slips_are_errors(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "difficulty": "hard",
        "category": "x",
        "max_steps": 3,
        "instruction_de": "Tu es.",
        "pass_rate": {"m": 0.5},
    }
    found = check_all(write(tmp_path, **more))
    assert len(found.tasks) == 1
    assert {problem.where for problem in found.warnings} == {f"$.{key}" for key in more}
    for slip, meant in (
        ("mutant", "mutants"),
        ("Oracle", "oracle"),
        ("limit", "limits"),
        ("intruction", "instruction"),
    ):
        changes: dict[str, Any] = {slip: []}
        [problem] = check_all(write(tmp_path, **changes)).errors
        assert f"did you mean '{meant}'" in problem.message


def test_what_else_leads_to_the_end_state_and_what_may_be_there_is_read(tmp_path: Path) -> None:
    step = {"type": "execute", "parameters": {"command": ["true"]}}
    solutions = [{"name": "keys", "steps": [{"type": "key", "keys": ["enter"]}]}, {"name": "shell", "script": "true"}]
    neutral, why = [{"name": "saved again", "steps": [step]}], {"text/blank": "the instruction says nothing of blanks"}
    [task] = load(write(tmp_path, solutions=solutions, neutral=neutral, allowed=why, noqa={"DB020": "one file only"}))
    assert [(one.name, len(one.steps), one.script) for one in task.solutions] == [("keys", 1, ""), ("shell", 0, "true")]
    assert [one.name for one in task.neutral] == ["saved again"]
    assert (task.allowed, task.noqa) == (why, {"DB020": "one file only"})
    bad: dict[str, Any] = {"solutions": [{"name": "x"}], "allowed": {"text/blank": " "}, "noqa": ["DB020"]}
    assert [problem.where for problem in check_all(write(tmp_path, **bad)).errors] == [
        "$.solutions[0]", "$.allowed", "$.noqa",
    ]  # fmt: skip


def test_an_asset_outside_of_the_suite_needs_the_users_word(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    suite = tmp_path / "suite"
    (suite / "assets").mkdir(parents=True)
    (suite / "assets" / "fine").write_text("x")
    (suite / "assets" / "link").symlink_to(tmp_path / "secret")
    names = ["assets/fine", "../secret", str(tmp_path / "secret"), "assets/link", "/etc/passwd"]
    files = [{"local_path": name, "path": f"~/{index}"} for index, name in enumerate(names)]
    url = (tmp_path / "secret").as_uri()
    path = write(
        suite, config=[{"type": "upload_file", "parameters": {"files": files}},
                       {"type": "download", "parameters": {"files": [{"url": url, "path": "~/9"}]}}],
        evaluator={**GOOD["evaluator"], "expected": {"type": "task_file", "path": "/etc/passwd"}},
    )  # fmt: skip
    told = [problem.where for problem in check_all(path).errors]
    uploads = [f"$.config[0].parameters.files[{k}].local_path" for k in range(1, 5)]
    assert told == [*uploads, "$.config[1]", "$.evaluator.expected.path"]
    assert all("--host-files" in problem.message for problem in check_all(path).errors)
    [task] = load(path, host_files=True)
    assert task.asset("../secret").read_text() == "x"
    [parsed] = read(path)[0]
    with pytest.raises(Outside):
        parsed.asset("assets/link")


def test_a_checkout_is_read_however_deep_its_tasks_stand(tmp_path: Path) -> None:
    root = tmp_path / "evaluation_examples"
    for index, folder in enumerate(("examples/os", "examples/access/vision", "examples/access/vision/zoom")):
        (root / folder).mkdir(parents=True)
        write(root / folder, f"{index}.json", id=str(index))
    write(root / "examples", "top.json", id="top")
    for folder in ("examples/os/assets", "examples_mine/x"):
        (root / folder).mkdir(parents=True)
        write(root / folder, "left.json", id="left")
    found = check_all(tmp_path)
    assert {task.key for task in found.tasks} == {"os/0", "vision/1", "zoom/2", "examples/top"}
    assert {str(problem.file.relative_to(root)) for problem in found.warnings} == {
        "examples/os/assets/left.json", "examples_mine/x/left.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "what"),
    [('["os/a"]', "object of lists"), ('{"os": "a"}', "object of lists"), ('{"os": ["a",]}', "not JSON"), ("", "not")],
)
def test_a_split_that_is_none_is_told_with_its_file(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "examples" / "os").mkdir(parents=True)
    write(tmp_path / "examples" / "os")
    (tmp_path / "test_mine.json").write_text(text)
    with pytest.raises(UsageError, match=what) as caught:
        load(tmp_path, split="test_mine")
    assert str(caught.value).startswith(f"{tmp_path}/test_mine.json")


def test_a_split_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "examples" / "os").mkdir(parents=True)
    write(tmp_path / "examples" / "os")
    (tmp_path / "test_mine.json").write_bytes(b"\xef\xbb\xbf" + b'{"os": ["one"]}')
    assert [task.id for task in load(tmp_path, split="test_mine")] == ["one"]


def test_an_oracles_step_that_has_a_target_and_no_type_is_told(tmp_path: Path) -> None:
    (problem,) = check_all(write(tmp_path, oracle=[{"target": {"text": "a"}}])).problems
    assert problem.where == "$.oracle[0]" and "type" in problem.message


def test_a_new_task_passes_the_check(tmp_path: Path) -> None:
    new_task(tmp_path / "t" / "mine.json")
    assert check_all(tmp_path / "t").problems == ()
    with pytest.raises(UsageError, match="already"):
        new_task(tmp_path / "t" / "mine.json")


def test_the_schema_knows_every_name() -> None:
    text = json.dumps(task_schema())
    for name in ("vm_file", "text_equals", "launch", "upload_file", "mutants", "oracle", "infeasible"):
        assert f'"{name}"' in text


def test_the_library_is_right() -> None:
    assert [p for p in LIBRARY.iterdir() if p.is_dir() and not p.name.startswith("_")] != []
    assert check_all("basics").problems == ()


@pytest.mark.skipif(not OSWORLD.is_dir(), reason="OSWorld's task files are not beside this checkout")
def test_every_file_of_osworld_is_read() -> None:
    tasks, problems = read(OSWORLD)
    assert len(tasks) == 418
    assert problems == []
    assert check_all(OSWORLD).problems == ()
    small, _ = read(OSWORLD, split="test_small")
    assert len(small) == 39
    assert sum(not t.feasible for t in tasks if "examples_windows" not in str(t.path)) == 29

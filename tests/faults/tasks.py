"""Faults of tasks, of their checks and of agents' own code, and results that are nobody's fault."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from tests.faults.base import FAKE, LOCAL, Becomes, Scene, Whose, fault
from tests.faults.desktops import ALWAYS

HERE = "tests.faults"
NOTE = "/home/user/note.txt"
CAT = {"type": "vm_command_line", "command": ["cat", NOTE]}
HELLO = {"type": "rule", "rules": {"expected": "hello"}}


def checked(func: str = "exact_match", result: Any = None, expected: Any = None) -> dict[str, Any]:
    """An evaluator."""
    return {"evaluator": {"func": func, "result": result or CAT, "expected": expected or HELLO}}


def picture() -> bytes:
    """A PNG."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    return buffer.getvalue()


def steps(*more: dict[str, Any]) -> dict[str, Any]:
    """Set-up steps, followed by the usual one."""
    return {"config": [*more, "OPEN"]}


def downloaded(url: str) -> dict[str, Any]:
    """A step that downloads a file."""
    return {"type": "download", "parameters": {"files": [{"url": url, "path": "/home/user/x.txt"}]}}


# Set-up

PERMANENT = Becomes("env_error")
"""Tried once: it would fail the same way again."""
BROKEN = Becomes("env_error", attempts=ALWAYS)

fault("setup-without-effect", "a set-up step without effect, once", Whose.DESKTOP, Becomes("done", 1.0, attempts=2),
      Scene(harm="forgets", times=1,
            task=steps({"type": "write_file", "parameters": {"path": "/home/user/a.txt", "text": "a"}})))  # fmt: skip
fault("setup-never-takes-effect", "a set-up step that never takes effect", Whose.TASK, BROKEN,
      Scene(task=steps({"type": "execute_with_verification", "parameters": {
          "command": ["true"], "max_wait_time": 0.5, "verification": {"window_exists": "No such window"}}})))  # fmt: skip
fault("setup-no-window", "a set-up step for a window that is not there", Whose.TASK, BROKEN,
      Scene(task={"config": [{"type": "close_window", "parameters": {"window_name": "No such window"}}]}))  # fmt: skip
fault("setup-no-program", "a set-up step with a program that the image lacks", Whose.TASK, PERMANENT,
      Scene(task=steps({"type": "launch", "parameters": {"command": ["no-such-program"]}})))  # fmt: skip
fault("setup-no-program-shell", "the same, in a shell command", Whose.TASK, PERMANENT,
      Scene(task=steps({"type": "launch", "parameters": {"command": "no-such-program x", "shell": True}})))  # fmt: skip
fault("setup-no-command", "a set-up command that the image lacks", Whose.TASK, PERMANENT,
      Scene(task=steps({"type": "execute", "parameters": {"command": ["no-such-program", "x"]}})), (LOCAL,))  # fmt: skip
NO_ADDRESS = Becomes(None, goes_on=False, status=2, told="error: .*is not an address")
fault("setup-impossible-url", "an invalid URL", Whose.TASK, NO_ADDRESS,
      Scene(task=steps(downloaded("http://[::1/x.txt")), command=True))  # fmt: skip
fault("setup-no-scheme", "a URL of an unknown kind", Whose.TASK, NO_ADDRESS,
      Scene(task=steps(downloaded("htp://example.org/x.txt")), command=True))  # fmt: skip
fault("setup-host-file", "a file of the controller's machine without `--host-files`", Whose.TASK,
      Becomes(None, goes_on=False, status=2, told="error: .*--host-files"),
      Scene(task=steps(downloaded("file:///etc/hostname")), command=True))  # fmt: skip
fault("setup-users-own", "a user's own set-up step that raises", Whose.TASK, BROKEN,
      Scene(task=steps({"type": f"{HERE}.checks:steps_wrong", "parameters": {}})))  # fmt: skip
fault("task-half-a-pair", "half of a surrogate pair in a task file", Whose.TASK,
      Becomes(None, goes_on=False, status=2, told="error: .*surrogate"),
      Scene(written='{"id": "a-bad", "instruction": "Write \\ud83d", "evaluator": {"func": "infeasible"}}',
            command=True))  # fmt: skip
fault("oracle-no-target", "a task's own solution does not find its target", Whose.TASK,
      Becomes("agent_error", said="the task is broken: oracle: no .*Print"),
      Scene(agent="oracle", config={"max_steps": 15},
            task={"oracle": [{"type": "click", "target": {"name": "Print"}}]}))  # fmt: skip

# Checks

UNSCORED = Becomes("done", said="the check failed")
fault("check-raises", "a user's own metric that raises", Whose.CHECK, UNSCORED,
      Scene(task=checked(f"{HERE}.checks:raises")))  # fmt: skip
fault("check-no-score", "a user's own metric whose value is not a score", Whose.CHECK, UNSCORED,
      Scene(task=checked(f"{HERE}.checks:says_two")))  # fmt: skip
fault("check-getter-raises", "a user's own getter that raises", Whose.CHECK, UNSCORED,
      Scene(task=checked(result={"type": f"{HERE}.checks:reads_wrong"})))  # fmt: skip
fault("check-no-expected", "an expected file that is not there", Whose.CHECK,
      Becomes(None, goes_on=False, status=2, told="error: .*expected.path: no such file"),
      Scene(task=checked("compare_text_file", {"type": "vm_file", "path": NOTE},
                         {"type": "task_file", "path": "beside/none.txt"}), command=True))  # fmt: skip
_PICTURES = {**steps({"type": "upload_file", "parameters": {"files": [
                 {"local_path": "beside/good.png", "path": "/home/user/r.png"}]}}),
             **checked("check_structure_sim", {"type": "vm_file", "path": "/home/user/r.png"},
                       {"type": "task_file", "path": "beside/expected.png"})}  # fmt: skip
fault("check-unread-expected", "an expected file that cannot be read", Whose.CHECK, UNSCORED,
      Scene(task=_PICTURES, beside={"good.png": picture(), "expected.png": picture()[:60]}))  # fmt: skip
fault("check-no-program-before", "a program that the image lacks, in a step before the check", Whose.TASK, PERMANENT,
      Scene(task={"evaluator": checked()["evaluator"] | {
          "postconfig": [{"type": "launch", "parameters": {"command": ["no-such-program"]}}]}}))  # fmt: skip
fault("check-no-url", "an expected file with an invalid URL", Whose.CHECK, NO_ADDRESS,
      Scene(task=checked("compare_text_file", {"type": "vm_file", "path": NOTE},
                         {"type": "cloud_file", "path": "http://[::1/x.txt"}), command=True))  # fmt: skip
fault("check-no-program", "a command of a check that cannot be started", Whose.NOBODY,
      Becomes("done", 0.0, said="the command that asks for it failed"),
      Scene(task=checked(result={"type": "vm_command_line", "command": ["no-such-program"]})), (LOCAL,))  # fmt: skip
fault("check-lacks-program", "a program that a check runs and the image lacks", Whose.TASK,
      Becomes("env_error", said="lacks xclip, which the task's check runs"),
      Scene(harm="lacks-xclip", times=1, task=checked(result={"type": "vm_clipboard"})), (LOCAL,))  # fmt: skip
fault("check-lacks-command", "the same, in the task's own command", Whose.TASK,
      Becomes("env_error", said="lacks xclip, which the task's check runs"),
      Scene(harm="lacks-xclip", times=1, task=checked(
          result={"type": "vm_command_line", "command": "cat /dev/null | xclip -o", "shell": True})), (LOCAL,))  # fmt: skip
fault("check-lacks-program-unasked", "the same on a desktop without a shell, seen when the task is scored", Whose.DESKTOP,
      Becomes("done", said="the check failed: the desktop lacks a program"),
      Scene(harm="lacks-xclip", times=1, task=checked(result={"type": "vm_clipboard"})), (FAKE,))  # fmt: skip
fault("half-a-pair-value", "half of a surrogate pair in the value that a check reads", Whose.NOBODY, Becomes("done", 1.0),
      Scene(harm="half-a-pair", times=1, task=checked(
          "check_include_exclude", expected={"type": "rule", "rules": {"include": ["hello"]}})), (FAKE,))  # fmt: skip
_PRINTS = {"type": "vm_command_line", "command": ["printf", "hello\\355\\240\\275"]}
fault("half-a-pair-bytes", "the same, from a program that prints it", Whose.NOBODY, Becomes("done", 1.0),
      Scene(task=checked("check_include_exclude", _PRINTS, {"type": "rule", "rules": {"include": ["hello"]}})),
      (LOCAL,))  # fmt: skip
_NAME = "import os; os.mkdir('/home/user/d'); open(b'/home/user/d/\\xff\\xed\\xa0\\xbd.txt', 'w')"
fault("half-a-pair-name", "a file name that is not text", Whose.NOBODY, Becomes("done", 0.0, said="directory_tree"),
      Scene(task={**steps({"type": "execute", "parameters": {"command": ["python3", "-c", _NAME], "check": True}}),
                  **checked("directory_tree", {"type": "list_directory", "path": "/home/user/d"},
                            {"type": "rule", "rules": {"expected": {"a.txt": None}}})}), (LOCAL,))  # fmt: skip

# What an agent leaves


def written(path: str, text: str) -> dict[str, Any]:
    """A step that writes a file as an agent might leave it."""
    return {"type": "write_file", "parameters": {"path": path, "text": text}}


fault("result-folder", "a folder in the result's place", Whose.NOBODY, Becomes("done", 0.0, said="folder"),
      Scene(task={**steps(written("/home/user/r/x.txt", "x")),
                  **checked(result={"type": "vm_file_text", "path": "/home/user/r"})}))  # fmt: skip
fault("result-hostile", "a hostile file in the result's place", Whose.NOBODY, Becomes("done", 0.0, said="json_equals"),
      Scene(task={**steps(written("/home/user/r.json", "[" * 200_000)),
                  **checked("json_equals", {"type": "vm_file", "path": "/home/user/r.json"},
                            {"type": "rule", "rules": {"expected": []}})}))  # fmt: skip
fault("result-other-kind", "a text in a workbook's place", Whose.NOBODY, Becomes("done", 0.0, said="archive_contains"),
      Scene(task=checked("archive_contains", {"type": "vm_file", "path": NOTE},
                         {"type": "rule", "rules": {"expected": {"a.txt": None}}})))  # fmt: skip
fault("result-missing", "nothing in the result's place", Whose.NOBODY,
      Becomes("done", 0.0, said="nothing to check"),
      Scene(task=checked(result={"type": "vm_file_text", "path": "/home/user/none.txt"})))  # fmt: skip
fault("answer-wrong", "a wrong answer", Whose.NOBODY, Becomes("done", 0.0), Scene(agent=f"{HERE}.agents:Wrong"))
fault("answer-right", "a right answer", Whose.NOBODY, Becomes("done", 1.0), Scene())
fault("answer-none", "an agent that never finishes", Whose.NOBODY, Becomes("step_limit", 0.0),
      Scene(agent=f"{HERE}.agents:Idle"))  # fmt: skip
fault("answer-fail", "the agent says 'it cannot be done', and it can", Whose.NOBODY, Becomes("failed", 0.0),
      Scene(agent=f"{HERE}.agents:Resigned"))  # fmt: skip
fault("answer-infeasible", "the agent says 'it cannot be done', and it cannot", Whose.NOBODY, Becomes("failed", 1.0),
      Scene(agent=f"{HERE}.agents:Resigned", task={"evaluator": {"func": "infeasible"}}))  # fmt: skip

# Agents' own code


def crash(agent: str, title: str, error: str) -> None:
    """Add a fault for an agent with a bug."""
    becomes = Becomes("agent_crash", said=error, told=rf"the agent's code failed in 1 episode, .*{error}")
    fault(f"agent-{agent.lower()}", title, Whose.AGENT, becomes, Scene(agent=f"{HERE}.agents:{agent}", command=True))


crash("Misspelt", "`NameError` at the agent's first step", "NameError: name 'anwsers' is not defined")
crash("Unimportable", "`ImportError` at the agent's first step", "ModuleNotFoundError: No module named")
crash("FalseStart", "an agent that fails before it begins", "KeyError: 'history'")
crash("Untyped", "an agent that returns something other than a decision", r"act\(\) returned str")
crash("Stringly", "an agent that decides on something other than an action", r"act\(\) decided on 'click'")
fault("agent-unmakeable", "an agent that cannot be created", Whose.AGENT,
      Becomes(None, goes_on=False, told="error: agent .*Unmakeable': NameError: name 'anwsers' is not defined"),
      Scene(agent=f"{HERE}.agents:Unmakeable", command=True))  # fmt: skip
fault("agent-unfinished", "an agent whose module cannot be imported", Whose.AGENT,
      Becomes(None, goes_on=False, status=2, told="error: agent .* cannot be imported: NameError: name 'anwsers'"),
      Scene(agent=f"{HERE}.unfinished:AGENT", command=True))  # fmt: skip
fault("agent-sloppy", "an agent that fails when it is closed", Whose.AGENT, Becomes("done", 1.0, said="closed twice"),
      Scene(agent=f"{HERE}.agents:Sloppy"))  # fmt: skip

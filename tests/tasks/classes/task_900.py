"""A task class in OSWorld-V2's form: partial scores, a postcondition, files through `asset`, metrics and getters."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from desktop_env.evaluators import getters, metrics
from desktop_env.file_source import asset
from desktop_env.task_base import BaseTask

if TYPE_CHECKING:
    from desktop_env.controllers.setup import SetupController
    from desktop_env.desktop_env import DesktopEnv

logger = logging.getLogger("desktopenv.task")


class Task900(BaseTask):
    id = "900"
    snapshot = "os"
    instruction = "Write the total of the list into total.txt on the desktop. Ask for the currency if you need it."
    related_apps = ["os"]
    user_simulator = {
        "type": "scripted",
        "rules": [{"keywords": ["currency", "money"], "response": "Euros."}],
        "default": "I do not know.",
    }
    volume_size = 50

    def __init__(self) -> None:
        super().__init__()
        self.prepared = False

    def setup(self, setup_controller: SetupController, use_proxy: bool = False) -> None:
        print("printed by a task class")  # must not disturb the conversation with the controller
        setup_controller.execute(command=["bash", "-c", "mkdir -p ~/Desktop; echo '{SCREEN_WIDTH}' > ~/width"])
        setup_controller.download(files=[{"url": asset("task_900/list.txt"), "path": "~/Desktop/list.txt"}])
        setup_controller._sleep_setup(seconds=0)
        self.prepared = True

    def evaluate(self, env: DesktopEnv) -> dict[str, Any]:
        env.is_environment_used = True
        assert self.prepared, "setup and evaluate are of one object"
        env.setup_controller._execute_setup(["touch", "/tmp/judged"])
        env.setup_controller.activate_window(window_name="a window that nobody opened")
        time.sleep(0.01)
        expected = getters.get_cloud_file(env, {"path": asset("task_900/gold.txt"), "dest": "gold.txt"})
        result = getters.get_vm_file(env, {"path": "/home/user/Desktop/total.txt", "dest": "total.txt"})
        width = getters.get_vm_command_line(env, {"command": ["bash", "-lc", "cat ~/width"], "timeout": 60})
        said = env.controller.execute_python_command("print(pyautogui.size().width)")
        there = result is not None
        same = metrics.compare_text_file(result, expected, ignore_blanks=True) if there else 0.0
        facts = width.strip() == said["output"].strip() == str(env.vm_screen_size["width"])
        assert env.controller.get_file("/no/such/file") is None and facts
        parts = {
            "there": {"score": float(there), "weight": 0.25, "description": "total.txt is on the desktop"},
            "right": {"score": float(same), "weight": 0.75, "description": "it holds the total and the currency"},
        }
        return {"score": sum(part["score"] * part["weight"] for part in parts.values()), "partial_scores": parts}


TASK_CLASS = Task900

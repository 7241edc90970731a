"""A task class with three phases; the second has a gate that a lazy agent does not pass."""

from desktop_env.evaluators.getters import get_vm_command_line
from desktop_env.task_base import MultiPhaseTask


class Task901(MultiPhaseTask):
    id = "901"
    related_apps = ["os"]

    def phase_1_instruction(self):
        return "Write one into 1.txt."

    def get_phases(self):
        return [
            {
                "name": "first", "instruction": self.phase_1_instruction, "setup": self.begin_first,
                "evaluate": lambda env: 0.5 * self.holds(env, 1), "weight": 0.5, "gate_min_score": 0.5,
            },
            {
                "name": "second", "instruction": "Write two into 2.txt.",
                "evaluate": lambda env: 0.3 * self.holds(env, 2), "weight": 0.3, "gate_min_score": 0.3,
            },
            {
                "name": "third", "instruction": "Nothing is to be done.",
                "evaluate": lambda env: 0.2 * (not self.holds(env, 3)), "weight": 0.2,
            },
        ]  # fmt: skip

    def begin_first(self, setup_controller, use_proxy=False):
        setup_controller.launch(["true"])
        setup_controller.execute(["rm", "-f", "/home/user/1.txt"])

    def holds(self, env, number):
        words = {1: "one", 2: "two", 3: "three"}
        return get_vm_command_line(env, {"command": f"cat ~/{number}.txt", "shell": True}).strip() == words[number]

"""Run by an interpreter that has inspect_ai: evaluate a task by its registered name with a scripted model.

Arguments: a folder for logs, the task's settings as JSON, the model's calls as JSON. Writes the sample as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

from inspect_ai import eval as evaluate
from inspect_ai.model import ModelOutput, ModelUsage, get_model


def said(function: str, arguments: dict[str, Any]) -> Any:
    output = ModelOutput.for_tool_call("mockllm/model", function, arguments)
    output.usage = ModelUsage()  # otherwise a tokenizer's data would be fetched
    return output


def main(logs: str, settings: str, calls: str) -> None:
    sys.path.append(
        str(Path(__file__).resolve().parents[3])
    )  # for providers of the tests; last, since it has an egg-info
    model = get_model("mockllm/model", custom_outputs=[said(*call) for call in json.loads(calls)])
    [log] = evaluate("deskbench/suite", model=model, task_args=json.loads(settings), log_dir=logs, display="none")
    [sample] = log.samples
    told = {
        "status": log.status,
        "error": sample.error and sample.error.message,
        "score": {name: score.model_dump(mode="json") for name, score in (sample.scores or {}).items()},
        "unscored": log.results.scores[0].unscored_samples,
        "tools": [
            [part.type for part in message.content] if isinstance(message.content, list) else message.text
            for message in sample.messages
            if message.role == "tool"
        ],
        "errors": [message.error.message for message in sample.messages if message.role == "tool" and message.error],
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

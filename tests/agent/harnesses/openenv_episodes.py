"""Run by an interpreter that has openenv: play an episode with its own client.

Arguments: the server's URL, what `reset` takes as JSON, the steps as JSON. Writes what the client got as JSON.
"""

import json
import sys
from typing import Any

from openenv.core import GenericEnvClient


def told(result: Any) -> dict[str, Any]:
    return {
        "observation": result.observation,
        "reward": result.reward,
        "done": result.done,
        "metadata": result.metadata,
    }


def main(address: str, begin: str, steps: str) -> None:
    with GenericEnvClient(base_url=address, connect_timeout_s=60, message_timeout_s=200).sync() as env:
        results = [told(env.reset(**json.loads(begin)))]
        results += [told(env.step(step)) for step in json.loads(steps)]
        sys.stdout.write(json.dumps({"results": results, "state": env.state()}))


if __name__ == "__main__":
    main(*sys.argv[1:])

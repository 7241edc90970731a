"""deskbench: benchmark agents that use a computer as a person does. `docs/api.md` lists what you may import.

This file is the package `deskbench` itself (`pyproject.toml` maps it); its sub-packages are the folders of the source
tree. It imports them when one of its names is used, so `import deskbench` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deskbench.agent.training.asynchronous import AsyncEnv
    from deskbench.agent.training.env import Env
    from deskbench.agent.training.vector import VectorEnv

__all__ = ["AsyncEnv", "Env", "VectorEnv", "__version__"]

__version__: str
LATER = {
    "AsyncEnv": "deskbench.agent.training.asynchronous",
    "Env": "deskbench.agent.training.env",
    "VectorEnv": "deskbench.agent.training.vector",
}


def __getattr__(name: str) -> Any:
    if name in LATER:
        from importlib import import_module

        return getattr(import_module(LATER[name]), name)
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("deskbench")
        except PackageNotFoundError:  # the source tree itself is on the path
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""deskbench: benchmark agents that use a computer as a person does. `docs/api.md` lists what you may import.

This file is the package `deskbench` itself (`pyproject.toml` maps it); its sub-packages are the folders of the source
tree. It imports none of them, so `import deskbench` is quick.
"""

from __future__ import annotations

__version__: str


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("deskbench")
        except PackageNotFoundError:  # the source tree itself is on the path
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

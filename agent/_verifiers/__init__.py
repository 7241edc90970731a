"""deskbench for verifiers, which imports a taskset by the name of a package at the top: `vf-eval deskbench-verifiers`.

This file is the package `deskbench_verifiers` (`pyproject.toml` maps it). `docs/harnesses.md` explains its use.
"""

from __future__ import annotations

try:
    from deskbench.agent.harnesses.verifiers import DesktopEnv, DesktopHarness, DesktopTaskset
except ImportError as error:
    # of a taskset that cannot be imported, verifiers shows a ValueError as one line, and an ImportError as a traceback
    # or as "not found" (verifiers/v1/cli/resolve.py and v1/utils/loaders.py, 0.4.0)
    raise ValueError(str(error)) from None

__all__ = ["DesktopEnv", "DesktopHarness", "DesktopTaskset"]

"""Faults of desktops: they die, hang, or do not show what they should."""

from __future__ import annotations

from tests.faults.base import Becomes, Scene, Whose, fault
from tests.faults.runs import RETRIES

ALWAYS = RETRIES + 1
"""How often a task is tried."""
FINE = Becomes("done", 1.0, attempts=2)
"""It is tried again on a fresh desktop, and solved."""
UNSCORED = Becomes("env_error", attempts=ALWAYS)

fault("desktop-starts-once-not", "a desktop does not start, once", Whose.DESKTOP, FINE,
      Scene(harm="never-starts", times=1))  # fmt: skip
fault("desktop-never-starts", "no desktop starts", Whose.DESKTOP, UNSCORED, Scene(harm="never-starts", times=ALWAYS))
fault("desktop-dies-before", "the desktop dies before the agent acts, once", Whose.DESKTOP, FINE,
      Scene(harm="dies-in-setup", times=1))  # fmt: skip
fault("desktop-always-dies-before", "every desktop dies before the agent acts", Whose.DESKTOP, UNSCORED,
      Scene(harm="dies-in-setup", times=ALWAYS))  # fmt: skip
fault("desktop-dies-acting", "the desktop dies while the agent acts, once", Whose.DESKTOP, FINE,
      Scene(harm="dies-acting", times=1))  # fmt: skip
fault("desktop-dies-twice", "the desktop dies while the agent acts, twice", Whose.DESKTOP,
      Becomes("env_error", 0.0, attempts=2, tampered=True, said="died twice while the agent acted"),
      Scene(harm="dies-acting", times=2))  # fmt: skip
fault("desktop-dies-twice-unscored", "the same with `--on-tamper unscored`", Whose.DESKTOP,
      Becomes("env_error", attempts=2, tampered=True, said="died twice while the agent acted"),
      Scene(harm="dies-acting", times=2, config={"on_tamper": "unscored"}))  # fmt: skip
fault("desktop-dies-scored", "the desktop dies while it is scored, once", Whose.DESKTOP, FINE,
      Scene(harm="dies-scored", times=1))  # fmt: skip
fault("desktop-hangs", "the desktop hangs while the agent acts, once", Whose.DESKTOP, FINE,
      Scene(harm="hangs", times=1))  # fmt: skip
fault("desktop-no-tree", "no accessibility tree, for an agent that needs one, once", Whose.DESKTOP, FINE,
      Scene(wire="chat", settings={"observation": "a11y_tree"}, harm="no-tree", times=1))  # fmt: skip
fault("desktop-never-a-tree", "never an accessibility tree, for an agent that needs one", Whose.DESKTOP,
      Becomes("env_error", attempts=ALWAYS, said="no accessibility tree"),
      Scene(wire="chat", settings={"observation": "a11y_tree"}, harm="no-tree", times=ALWAYS))  # fmt: skip
fault("desktop-no-marks", "no accessibility tree, for an agent that needs marks", Whose.DESKTOP,
      Becomes("env_error", attempts=ALWAYS, said="no accessibility tree"),
      Scene(wire="chat", settings={"observation": "som"}, harm="no-tree", times=ALWAYS))  # fmt: skip
fault("desktop-no-tree-oracle", "no accessibility tree, for a task's own solution", Whose.DESKTOP,
      Becomes("env_error", said="no accessibility tree"),
      Scene(agent="oracle", harm="no-tree", times=1, config={"retries": 0, "max_steps": 15},
            task={"oracle": [{"type": "click", "target": {"name": "Save"}}]}))  # fmt: skip
fault("desktop-does-not-end", "a desktop that cannot be ended", Whose.DESKTOP,
      Becomes("done", 1.0, said="stopping the desktop: KeyError"), Scene(harm="does-not-end", times=1))  # fmt: skip
fault("deskbench-surprised", "an exception that nobody foresaw, once", Whose.DESKBENCH,
      Becomes("done", 1.0, attempts=2, said="Traceback.*DecompressionBombError"),
      Scene(harm="surprises", times=1))  # fmt: skip
fault("deskbench-surprised-always", "an exception that nobody foresaw, each time", Whose.DESKBENCH,
      Becomes("crashed", attempts=ALWAYS, said="Traceback.*DecompressionBombError",
              told="deskbench failed in 1 episode, first in suite/a-bad: DecompressionBombError"),
      Scene(harm="surprises-looking", times=ALWAYS))  # fmt: skip
fault("disk-full", "the disk is full", Whose.DISK,
      Becomes(None, goes_on=False, stays=True, told=r"error: cannot write .*; free disk space, then use --resume"),
      Scene(agent="tests.faults.agents:Filler", command=True, behind=True, disk=True))  # fmt: skip

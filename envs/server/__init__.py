"""The server inside the desktop.

It imports the standard library, `deskbench.envs.{wire,actions,keys,wait}`, and platform libraries lazily, so that
these files can be copied into any machine with Python 3.10.
"""

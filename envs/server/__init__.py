"""The server inside the desktop.

It imports the standard library, `deskbench.envs.{wire,actions,keys,wait,pipe}`, and platform libraries when it needs
them. So these files can be copied to any machine with Python 3.10.
"""

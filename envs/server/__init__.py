"""The server inside the desktop. Imports the standard library, `deskbench.envs.wire`, `.actions`, `.keys`, and platform libraries lazily."""

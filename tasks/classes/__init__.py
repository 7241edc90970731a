"""Tasks that are Python classes, as in OSWorld-V2: `setup(setup_controller)` and `evaluate(env)`, possibly in phases.

A class opens files that the agent made, so it runs in a separate process (`child`) with limits of memory and time and
without the person's environment. It imports stand-ins for OSWorld's package `desktop_env` (`stand_ins`). Their calls
come back to the controller (`serve`), which runs deskbench's own set-up steps, getters and desktop. `process` is the
controller's end.
"""

"""Tasks that are Python classes, as OSWorld-V2's are: `setup(setup_controller)` and `evaluate(env)`, in phases or not.

A class runs in a process of its own (`child`), with limits of memory and time and without the person's environment: it
opens files that the agent made. It gets stand-ins for OSWorld's package `desktop_env` (`stand_ins`), whose calls come
back to the controller (`serve`) and are our own set-up steps, getters and desktop. `process` is the controller's end.
"""

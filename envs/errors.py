"""Errors say whose fault it was, because that decides whether an episode gets a score.

DeskbenchError
|-- UsageError          the user's: printed in one line, before any machine starts
|-- EnvError            ours: the episode is unscored and retried on a fresh desktop
|   |-- StartError          the desktop did not come up
|   |-- GuestUnreachable    the server in the desktop cannot be reached, or the connection was lost
|   |-- GuestTimeout        the server did not answer in time
|   |-- GuestError          the server answered with an error
|   |   `-- NotThere            a window, file or program that it needed does not exist
|   `-- SetupError          a set-up step did not take effect
|       `-- AssetError         a file that the task needs, from the web or this machine, could not be fetched
|-- Unfit               the end state's: it holds something, but not what the check needs; scored 0
|-- CheckError          the evaluator's: the episode is unscored, with the cause
|-- StorageError        the disk's: the run stops, and what it recorded stays
`-- AgentError          the agent's or the model's: counts, and the end state is scored
    |-- ReplyError          the model's reply is not an action (the model sees the error and is asked again)
    |-- RefusalError        the model declined
    |-- Undecided           it waited until the time was up or the run was stopped: the loop says which
    |-- AgentCrash          the agent's own code has a bug: unscored, since no model decided it
    `-- ModelError          the endpoint failed after all retries: unscored
        `-- ModelFatal          the endpoint says that no request of this run can succeed (401, 402, ...)
"""

from __future__ import annotations

from typing import Any


class DeskbenchError(Exception):
    """Root of every error that deskbench raises on purpose."""


class UsageError(DeskbenchError):
    """Something the user wrote is wrong; the message is one line with the cause and the fix."""


class EnvError(DeskbenchError):
    """The desktop or what runs it failed; the episode is unscored and retried on a fresh desktop.

    Attributes:
        permanent: a fresh desktop would certainly fail the same way, so the episode is not retried.
    """

    permanent: bool = False


class StartError(EnvError):
    """The desktop did not start; the message has the last state seen."""


class GuestUnreachable(EnvError):
    """The server in the desktop cannot be reached, or the connection was lost."""


class GuestTimeout(EnvError):
    """The server in the desktop did not answer in time."""


class GuestError(EnvError):
    """The server in the desktop answered with an error, or with something invalid.

    Attributes:
        status: the HTTP status of its answer, or None if the status was not the problem.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotThere(GuestError):
    """Something that the desktop needed does not exist: a window, a file, a program."""


class SetupError(EnvError):
    """A set-up step did not take effect."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class AssetError(SetupError):
    """A file that the task needs, from the web or from this machine, could not be fetched."""


class Unfit(DeskbenchError):
    """The desktop holds something, but not what the check needs: a folder instead of a file, or a file too large.

    That is a result about the end state, which a check scores 0 with this reason. It is not a failure of the desktop.
    """


class CheckError(DeskbenchError):
    """A getter or metric failed; the episode is unscored, with the cause."""


class StorageError(DeskbenchError):
    """The run folder cannot be written (disk full, no permission); the run stops."""


class AgentError(DeskbenchError):
    """The agent or its model failed; the episode counts and its end state is scored.

    `decision` holds what the step had spent so far (an `agent.base.Decision` without actions), or None.
    """

    decision: Any = None


class ReplyError(AgentError):
    """The model's reply is not an action; the model gets the message."""


class RefusalError(AgentError):
    """The model declined to act."""


class Undecided(AgentError):
    """The agent waited until the time was up or the run was stopped; the episode ends for that reason."""


class AgentCrash(AgentError):
    """The agent's own code has a bug; the episode is unscored, because no model decided anything with it."""


class ModelError(AgentError):
    """The model's endpoint failed after all retries; the episode is unscored."""


class ModelFatal(ModelError):
    """The endpoint says that no request of this run can succeed (401, 402, 403, 404); the run ends at once."""

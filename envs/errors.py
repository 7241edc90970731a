"""Errors say whose fault it was, because that decides whether an episode gets a score.

DeskbenchError
|-- UsageError          the user's: printed in one line, before any machine starts
|-- EnvError            ours: the episode is unscored and tried again on a fresh desktop
|   |-- StartError          the desktop did not come up
|   |-- GuestUnreachable    the server in the desktop cannot be reached or broke off
|   |-- GuestTimeout        it was reached and did not answer in time
|   |-- GuestError          it answered with an error of its own
|   |   `-- NotThere            what it was asked to work on is not there: a window, a file, a program
|   `-- SetupError          a set-up step did not take effect
|       `-- AssetError         a file that the task wants from the web, or from here, could not be fetched
|-- Unfit               the end state's: what is there is not what was asked for; scored 0, with the reason
|-- CheckError          the evaluator's: the episode is unscored, with the cause
|-- StorageError        the disk's: the run stops, what is recorded stays
`-- AgentError          the agent's or the model's: counts, the end state is scored
    |-- ReplyError          the model's reply is not an action (shown to the model, asked again)
    |-- RefusalError        the model declined
    |-- AgentCrash          the agent's own code has a mistake: unscored, no decision of a model
    `-- ModelError          the endpoint failed after all retries: unscored, nobody's score is made of it
        `-- ModelFatal          the endpoint says that no request of this run can succeed (401, 402, ...)
"""

from __future__ import annotations

from typing import Any


class DeskbenchError(Exception):
    """Root of every error that deskbench raises on purpose."""


class UsageError(DeskbenchError):
    """Something the user wrote is wrong; the message is one line with the cause and the mend."""


class EnvError(DeskbenchError):
    """The desktop or what runs it failed; the episode is unscored and retried on a fresh desktop.

    Attributes:
        permanent: a fresh desktop would fail the same way, for certain: the episode is not tried again.
    """

    permanent: bool = False


class StartError(EnvError):
    """The desktop did not come up; the message carries the last thing seen."""


class GuestUnreachable(EnvError):
    """The server in the desktop cannot be reached, or the connection broke off."""


class GuestTimeout(EnvError):
    """The server in the desktop did not answer in time."""


class GuestError(EnvError):
    """The server in the desktop answered with an error of its own, or with what is no answer.

    Attributes:
        status: HTTP status of its answer, or None where that was not what was wrong.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotThere(GuestError):
    """What the desktop was asked to work on is not there: a window, a file, a program."""


class SetupError(EnvError):
    """A set-up step did not take effect."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class AssetError(SetupError):
    """A file that the task wants from the web, or from this machine, could not be fetched."""


class Unfit(DeskbenchError):
    """What the desktop holds is there, and is not what was asked for: a folder where a file was wanted, too large.

    That is an answer about the end state, which a check counts as 0 with this reason, and no failure of the desktop.
    """


class CheckError(DeskbenchError):
    """A getter or metric failed; the episode is unscored, with the cause."""


class StorageError(DeskbenchError):
    """The run folder cannot be written (disk full, no permission); the run stops."""


class AgentError(DeskbenchError):
    """The agent or its model failed; the episode counts and its end state is scored.

    `decision` is what was spent on the step until then (an `agent.base.Decision` without actions), or None.
    """

    decision: Any = None


class ReplyError(AgentError):
    """The model's reply is not an action; the message is what the model is told."""


class RefusalError(AgentError):
    """The model declined to act."""


class AgentCrash(AgentError):
    """The agent's own code has a mistake; the episode is unscored, since no model decided anything by it."""


class ModelError(AgentError):
    """The model's endpoint failed after all retries; the episode is unscored."""


class ModelFatal(ModelError):
    """The endpoint says that no request of this run can succeed (401, 402, 403, 404); the run ends at once."""

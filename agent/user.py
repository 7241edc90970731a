"""Answers to an agent's questions: from the task's user, who follows rules or is played by a model, or from nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from deskbench.agent.config import RunConfig
from deskbench.agent.models.client import ClientConfig, ModelClient, Spending
from deskbench.agent.models.messages import Message
from deskbench.envs.errors import RefusalError, ReplyError, UsageError
from deskbench.tasks.types import Task
from deskbench.tasks.user import NOBODY, Played, answer

INSTRUCTIONS = """You play a person whose computer is being used for them by an assistant. You are:

{persona}

Answer the assistant's question as that person, in a sentence or two, with what that person knows and nothing else. \
If they would not know, say so. Do not offer help, and do not ask back."""
LONGEST = 4000
"""How many characters of a question the model that plays the person gets."""


def user_of(task: Task, config: RunConfig) -> Callable[[str], str]:
    """A function that answers the questions of one episode.

    Raises:
        UsageError: a model plays the user, and the configuration names none (`lacks_player` finds this earlier).
    """
    user = task.user
    if user is None:
        return lambda question: NOBODY
    if not isinstance(user, Played):
        return lambda question: answer(user, question)
    if config.user_base_url is None or config.user_model is None:
        raise UsageError(str(lacks_player(task, config)))
    return Player(
        ClientConfig(config.user_base_url, config.user_model, api_key_env=config.user_api_key_env, max_tokens=400),
        user.persona,
    ).answer


def lacks_player(task: Task, config: RunConfig) -> str | None:
    """Why no model can play the task's user, or None."""
    if isinstance(task.user, Played) and not (config.user_base_url and config.user_model):
        return "a model must play its user: --set user_base_url=URL --set user_model=NAME"
    return None


class Player:
    """A model that plays a task's user and remembers the conversation of the episode."""

    def __init__(self, config: ClientConfig, persona: str) -> None:
        self._config = config
        self._said = [Message.of("system", INSTRUCTIONS.format(persona=persona))]

    def answer(self, question: str) -> str:
        """The person's answer.

        Raises:
            ModelError: the endpoint failed; the episode is not scored.
        """
        self._said.append(Message.of("user", question[:LONGEST]))
        try:
            with closing(ModelClient(self._config)) as client:
                told = client.complete(self._said, Spending()).text.strip() or NOBODY
        except (RefusalError, ReplyError):  # the person's silence is not the agent's fault
            told = NOBODY
        self._said.append(Message.of("assistant", told))
        return told

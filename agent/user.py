"""Who answers an agent's questions: the task's user, by rule or played by a model, or nobody."""

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
"""Characters of a question that the person reads."""


def user_of(task: Task, config: RunConfig) -> Callable[[str], str]:
    """What answers the questions of one episode.

    Raises:
        UsageError: the user is played by a model, and none was named (`lacks_player` says so before).
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
    """Why there is no one to play the task's user, or None."""
    if isinstance(task.user, Played) and not (config.user_base_url and config.user_model):
        return "its user is played by a model: --set user_base_url=URL --set user_model=NAME"
    return None


class Player:
    """A model that plays a task's user, and remembers what was said in the episode."""

    def __init__(self, config: ClientConfig, persona: str) -> None:
        self._config = config
        self._said = [Message.of("system", INSTRUCTIONS.format(persona=persona))]

    def answer(self, question: str) -> str:
        """What the person says.

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

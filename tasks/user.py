"""The simulated user who answers the agent's questions: with a fixed reply, or by keywords in the question.

A third kind, `model`, is played by the endpoint of a vision-language model; the controller handles it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NOBODY = "Nobody is here to answer. Do what seems best."


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fixed(_Frozen):
    """Gives the same reply to every question."""

    type: Literal["fixed"]
    response: str


class Rule(_Frozen):
    """A reply to questions that contain one of the keywords, in upper or lower case."""

    keywords: tuple[str, ...]
    response: str


class Scripted(_Frozen):
    """Gives the reply of the first rule whose keywords are in the question, else `default`."""

    type: Literal["scripted"]
    rules: tuple[Rule, ...]
    default: str = NOBODY


class Played(_Frozen):
    """A model that knows whom it plays and what that person knows."""

    type: Literal["model"]
    persona: str


User = Annotated[Fixed | Scripted | Played, Field(discriminator="type")]


def answer(user: Fixed | Scripted, question: str) -> str:
    """The user's reply."""
    if isinstance(user, Fixed):
        return user.response
    asked = question.lower()
    for rule in user.rules:
        if any(word.lower() in asked for word in rule.keywords):
            return rule.response
    return user.default

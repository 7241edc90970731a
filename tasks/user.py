"""The user of a task, who answers the agent's questions: always the same way, or by the words of the question.

A third kind, `model`, is played by a vision-language model's endpoint and is the controller's business.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NOBODY = "Nobody is here to answer. Do what seems best."


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fixed(_Frozen):
    """Says the same to every question."""

    type: Literal["fixed"]
    response: str


class Rule(_Frozen):
    """What is said to a question that has one of the words in it, whatever their case."""

    keywords: tuple[str, ...]
    response: str


class Scripted(_Frozen):
    """Says what the first rule has whose words are in the question, and else `default`."""

    type: Literal["scripted"]
    rules: tuple[Rule, ...]
    default: str = NOBODY


class Played(_Frozen):
    """A model that knows whom it plays and what that person knows."""

    type: Literal["model"]
    persona: str


User = Annotated[Fixed | Scripted | Played, Field(discriminator="type")]


def answer(user: Fixed | Scripted, question: str) -> str:
    """What the user says."""
    if isinstance(user, Fixed):
        return user.response
    asked = question.lower()
    for rule in user.rules:
        if any(word.lower() in asked for word in rule.keywords):
            return rule.response
    return user.default

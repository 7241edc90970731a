"""How likely an endpoint's model finds another model's reply: the model reads the reply as the end of its prompt.

OpenAI's chat completions cannot do this: they return log-probabilities only for generated tokens. vLLM's can, with its
own extension: `prompt_logprobs` requests those of the prompt's tokens, and with `continue_final_message` the prompt
ends inside the assistant's turn (vLLM, entrypoints/openai/chat_completion/protocol.py). This module reads vLLM's
answers.

SGLang's chat completions ask its engine only for generated tokens (0.5.23, entrypoints/openai/serving_chat.py:
`logprob_start_len=-1`, whatever the request says). Its completions (`echo`) return a prompt's log-probabilities but
accept no pictures. Its `/generate` returns them (`return_logprob`, `logprob_start_len`,
`meta_info.input_token_logprobs`) but accepts no messages, only a text or token ids with separate pictures. `/tokenize`
turns messages without their pictures into ids. How `/generate` combines both depends on each model's processor (most
decode the ids to a text and tokenize it again), and nothing guarantees the same result as chat completions. So this
module does not use SGLang. llama.cpp's server has no such function.

The reply's tokens must be at the end of the prompt exactly as they were generated. If they are not, because the other
model has another tokenizer or the server has split the text differently, there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.agent.models.answers import Again, Token, count, excerpt, mapping, objects

_IMPOSSIBLE = -9999.0
"""vLLM writes this for minus infinity, which JSON does not have (its `clamp_prompt_logprobs`)."""


class NotGiven(Exception):
    """The endpoint does not return the log-probabilities of a prompt; the message is the reason."""


@dataclass(frozen=True)
class Place:
    """One place of a prompt.

    Attributes:
        text: text of the token at this place, or None if the endpoint does not say which token it is.
        top: log-probabilities in nats of the most likely tokens at this place, and of the token itself.
    """

    text: str | None
    top: Mapping[str, float]


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model read it, and what it would say next."""

    places: tuple[Place, ...]
    then: Place | None = None


def reading(most: int) -> dict[str, Any]:
    """The fields that make a chat-completions request return the log-probabilities of its prompt.

    Args:
        most: number of log-probabilities per token (vLLM's own limit, `--max-logprobs`, is 20).
    """
    return {
        "prompt_logprobs": most,
        "continue_final_message": True,
        "add_generation_prompt": False,
        "return_token_ids": True,
        "temperature": 1.0,
    }


def read_prompt(document: Mapping[str, Any]) -> Prompt:
    """The prompt in a chat-completions answer.

    Raises:
        Again: the document does not have the shape of a reply.
        NotGiven: the document has no log-probabilities of the prompt.
    """
    choices = objects(document.get("choices"))
    if not choices:
        raise Again(f"HTTP 200 without choices[0]: {excerpt(str(document))}")
    found = document.get("prompt_logprobs")
    if not isinstance(found, list):
        raise NotGiven(
            "the endpoint's chat completions return no log-probabilities of a prompt (vLLM's do, SGLang's do not)"
        )
    ids = document.get("prompt_token_ids")
    named = ids if isinstance(ids, list) and len(ids) == len(found) else [None] * len(found)
    places = tuple(_place(mapping(entries), count(number)) for entries, number in zip(found, named, strict=True))
    said = objects(mapping(choices[0].get("logprobs")).get("content"))
    return Prompt(places, _generated(said[0]) if said else None)


def along(prompt: Prompt, reply: Sequence[str], end: str | None = None) -> tuple[Token, ...]:
    """A reply's tokens with the log-probabilities of the model that read them at the end of its prompt.

    Args:
        prompt: a prompt that ends with the reply.
        reply: the texts of the reply's tokens, as they were generated.
        end: the text of the token that ended the reply, which the prompt does not contain.

    Raises:
        NotGiven: the prompt does not end with these tokens.
    """
    tail = prompt.places[len(prompt.places) - len(reply) :] if reply else ()
    if not reply or len(tail) < len(reply):
        raise NotGiven("there is no reply to read")
    ended = [(prompt.then, end)] if end is not None and prompt.then is not None and end in prompt.then.top else []
    for place, text in zip(tail, reply, strict=True):
        if text not in place.top or place.text not in (text, None):
            raise NotGiven("its model splits the reply into other tokens")
    known = [*zip(tail, reply, strict=True), *ended]
    return tuple(Token(text, place.top[text], place.top) for place, text in known)


def _place(entries: Mapping[str, Any], number: int | None) -> Place:
    """One place: an object from the numbers of tokens to their log-probabilities; null for the prompt's first."""
    top: dict[str, float] = {}
    for entry in entries.values():
        _add(top, mapping(entry).get("decoded_token"), mapping(entry).get("logprob"))
    text = mapping(entries.get(str(number))).get("decoded_token")
    return Place(text if isinstance(text, str) else None, top)


def _generated(content: Mapping[str, Any]) -> Place:
    top: dict[str, float] = {}
    for entry in objects(content.get("top_logprobs")) or [dict(content)]:
        _add(top, entry.get("token"), entry.get("logprob"))
    return Place(None, top)


def _add(top: dict[str, float], text: Any, logprob: Any) -> None:
    """Add up the probabilities of tokens with the same text (such as halves of a character)."""
    if isinstance(text, str) and isinstance(logprob, (int, float)) and not math.isnan(logprob):
        low, high = sorted((max(float(logprob), _IMPOSSIBLE), top.get(text, _IMPOSSIBLE)))
        top[text] = high + math.log1p(math.exp(low - high)) if text in top else high

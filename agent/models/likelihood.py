"""How likely an endpoint's model finds a reply that another has given: it reads the reply as the end of its prompt.

OpenAI's chat completions have no such thing: they give log-probabilities of what was generated alone. vLLM's have, as
an addition of its own: `prompt_logprobs` asks for those of the prompt's tokens, and with `continue_final_message` the
prompt ends within the assistant's turn (vLLM, entrypoints/openai/chat_completion/protocol.py; its answers are what is
read here).

SGLang's chat completions ask its engine for generated tokens alone (0.5.23, entrypoints/openai/serving_chat.py:
`logprob_start_len=-1`, whatever the request says). Its completions (`echo`) give a prompt's and take no pictures. Its
`/generate` gives them (`return_logprob`, `logprob_start_len`, `meta_info.input_token_logprobs`) and takes no messages,
but a text or token ids with pictures beside them. `/tokenize` makes ids of messages without their pictures; what
`/generate` makes of both is each model's processor's affair (most decode the ids to a text and cut it anew), and
nothing says that it is what chat completions make. So it is not asked. llama.cpp's server has none.

The tokens of the reply are looked up at the prompt's end. Where they are not there as they were generated, which is
when the other model has another tokenizer, or when the server has cut the same text into other tokens, there is no
answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deskbench.agent.models.answers import Again, Token, count, excerpt, mapping, objects

_IMPOSSIBLE = -9999.0
"""What vLLM writes for minus infinity, which JSON has not (its `clamp_prompt_logprobs`)."""


class NotGiven(Exception):
    """The endpoint does not give the log-probabilities of a prompt; with the reason, in words."""


@dataclass(frozen=True)
class Place:
    """One place of a prompt.

    Attributes:
        text: of the token that stands there, or None where the endpoint does not say which one does.
        top: log-probabilities in nats of the most likely tokens there, and of the one that stands there.
    """

    text: str | None
    top: Mapping[str, float]


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model has read it, and what it would say next."""

    places: tuple[Place, ...]
    then: Place | None = None


def reading(most: int) -> dict[str, Any]:
    """What makes a request of chat completions one for the log-probabilities of its prompt.

    Args:
        most: log-probabilities of each token (vLLM's own limit, `--max-logprobs`, is 20).
    """
    return {
        "prompt_logprobs": most,
        "continue_final_message": True,
        "add_generation_prompt": False,
        "return_token_ids": True,
        "temperature": 1.0,
    }


def read_prompt(document: Mapping[str, Any]) -> Prompt:
    """The prompt in an answer of chat completions.

    Raises:
        Again: the document has not the shape of a reply.
        NotGiven: the prompt's log-probabilities are not in it.
    """
    choices = objects(document.get("choices"))
    if not choices:
        raise Again(f"HTTP 200 without choices[0]: {excerpt(str(document))}")
    found = document.get("prompt_logprobs")
    if not isinstance(found, list):
        raise NotGiven(
            "the endpoint's chat completions do not give the log-probabilities of a prompt (vLLM's do, SGLang's do not)"
        )
    ids = document.get("prompt_token_ids")
    named = ids if isinstance(ids, list) and len(ids) == len(found) else [None] * len(found)
    places = tuple(_place(mapping(entries), count(number)) for entries, number in zip(found, named, strict=True))
    said = objects(mapping(choices[0].get("logprobs")).get("content"))
    return Prompt(places, _generated(said[0]) if said else None)


def along(prompt: Prompt, reply: Sequence[str], end: str | None = None) -> tuple[Token, ...]:
    """A reply's tokens with the log-probabilities of the model that has read them at its prompt's end.

    Args:
        prompt: that ends with the reply.
        reply: the texts of its tokens, as they were generated.
        end: the text of the token that ended the reply, which the prompt does not hold.

    Raises:
        NotGiven: the prompt does not end with these tokens.
    """
    tail = prompt.places[len(prompt.places) - len(reply) :] if reply else ()
    if not reply or len(tail) < len(reply):
        raise NotGiven("there is no reply to be read")
    ended = [(prompt.then, end)] if end is not None and prompt.then is not None and end in prompt.then.top else []
    for place, text in zip(tail, reply, strict=True):
        if text not in place.top or place.text not in (text, None):
            raise NotGiven("it has the reply in other tokens")
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
    """Tokens that are read as the same text (halves of a character) are one: their probabilities are added."""
    if isinstance(text, str) and isinstance(logprob, (int, float)) and not math.isnan(logprob):
        low, high = sorted((max(float(logprob), _IMPOSSIBLE), top.get(text, _IMPOSSIBLE)))
        top[text] = high + math.log1p(math.exp(low - high)) if text in top else high

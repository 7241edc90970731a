"""KL divergence between two policies at one step, in nats, from the data that endpoints return.

KL(P||Q) = sum over x of P(x) * ln(P(x) / Q(x)); P is the reference. Four estimates:

- **kinds**: from several replies of each agent. It counts the kinds of first actions and adds 1/2 to each kind that
  either agent chose (Krichevsky and Trofimov). It is biased upwards for few replies: compare it with the divergence of
  P against itself.
- **name**: at the token that names the action in each reply (`click` of `pyautogui.click`), between the top
  log-probabilities returned there.
- **shared**: the divergence of the next token, averaged over the tokens that both replies begin with and the first
  that differs. Up to there both distributions are conditioned on the same text.
- **reply**: the divergence of the next token, averaged over all tokens of P's reply, which Q has read as if it were
  its own (`models/likelihood.py`).

The last two are in nats per token. By the chain rule, the sum over a reply's tokens, averaged over P's own replies at
temperature 1, is the divergence between the distributions of whole replies; the sum over the shared beginning is a
lower bound of it. For a single reply, or at another temperature, neither holds: the number is the divergence along the
text of the reply.

An endpoint returns the top k tokens (usually 20 at most). The remaining probability counts as one more outcome, and no
outcome has less than FLOOR, so that the divergence stays finite; both distributions are then scaled to sum to 1.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deskbench.agent.models.answers import Token

FLOOR = 1e-6
"""Lowest probability of an outcome that the other policy returned."""
_REST = "\x00rest"
_NAMES = re.compile(
    r"(?:pyautogui|computer|agent)\.(\w+)\(|\"(?:action|tool_name|action_type)\":\s*\"(\w+)|<function=(?!computer)(\w+)"
    r"|<parameter=action>\s*(\w+)|^Action:\s*(\w+)\(|<\|begin_of_box\|>(\w+)\(|<action>\s*(\w+)\(|action:(\w+)",
    re.MULTILINE,
)
"""Where each grammar has the action's name."""


def kl(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """KL(P||Q) in nats, for two positive distributions over the same outcomes.

    Raises:
        ValueError: an outcome of P is impossible under Q; smooth the distributions first.
    """
    total = 0.0
    for outcome, probability in p.items():
        if probability > 0:
            if q.get(outcome, 0.0) <= 0:
                raise ValueError(f"{outcome!r} is impossible under Q")
            total += probability * math.log(probability / q[outcome])
    return max(0.0, total)


def empirical(ours: Sequence[str], theirs: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Two samples as distributions over the values of both, with 1/2 added to each count."""
    known = sorted(set(ours) | set(theirs))

    def share(sample: Sequence[str]) -> dict[str, float]:
        counts = Counter(sample)
        return {name: (counts[name] + 0.5) / (len(sample) + 0.5 * len(known)) for name in known}

    return share(ours), share(theirs)


def smoothed(ours: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Two lists of top log-probabilities as distributions over the union of their tokens and the rest.

    A token that is missing in one list gets an equal part of that list's rest, at most the lowest probability in it.
    """
    known = sorted(set(ours) | set(theirs))

    def whole(top: Mapping[str, float]) -> dict[str, float]:
        given = {token: math.exp(min(0.0, value)) for token, value in top.items()}
        rest = max(0.0, 1.0 - sum(given.values()))
        missing = [token for token in known if token not in given]
        each = min([rest / (len(missing) + 1), *given.values()]) if missing else 0.0
        out = {token: max(FLOOR, given.get(token, each)) for token in known}
        out[_REST] = max(FLOOR, rest - each * len(missing))
        total = sum(out.values())
        return {token: value / total for token, value in out.items()}

    return whole(ours), whole(theirs)


def kl_of_tokens(ours: Sequence[Token], theirs: Sequence[Token]) -> tuple[float | None, int]:
    """Nats per token over the tokens that both replies begin with and the first that differs; and their number."""
    total, count = 0.0, 0
    for one, other in zip(ours, theirs, strict=False):
        if not one.top or not other.top:
            break
        total += kl(*smoothed(one.top, other.top))
        count += 1
        if one.text != other.text:
            break
    return (total / count, count) if count else (None, 0)


def kl_of_reply(ours: Sequence[Token], theirs: Sequence[Token]) -> tuple[float | None, float | None, int]:
    """Two estimates over the tokens of P's reply, in nats per token, and the number of tokens.

    Args:
        ours: P's reply with P's log-probabilities.
        theirs: the same tokens with Q's log-probabilities.

    Returns:
        The mean divergence of the next token; and ln(P(reply) / Q(reply)) divided by the number of tokens. At
        temperature 1 the second has the same mean over P's replies. It has no error from tokens beyond the top k, but
        a wider spread.
    """
    pairs = [(p, q) for p, q in zip(ours, theirs, strict=True) if p.top and q.top]
    if not pairs:
        return None, None, 0
    total = math.fsum(kl(*smoothed({p.text: p.logprob, **p.top}, q.top)) for p, q in pairs)
    ratio = math.fsum(p.logprob - q.logprob for p, q in pairs)
    return total / len(pairs), ratio / len(pairs), len(pairs)


def kl_of_names(ours: Sequence[Token], theirs: Sequence[Token]) -> float | None:
    """The divergence at the tokens that name the actions; None if either reply has no such token."""
    one, other = name_token(ours), name_token(theirs)
    if one is None or other is None or not one.top or not other.top:
        return None
    return kl(*smoothed(_names(one.top), _names(other.top)))


def _names(top: Mapping[str, float]) -> dict[str, float]:
    """Add up the probabilities of tokens that differ only in surrounding blanks: they name the same action."""
    found: dict[str, float] = {}
    for text, logprob in top.items():
        found[text.strip()] = found.get(text.strip(), 0.0) + math.exp(logprob)
    return {name: math.log(probability) for name, probability in found.items() if probability > 0}


def name_token(tokens: Sequence[Token]) -> Token | None:
    """The token that begins the action's name: the last such token in a reply, since reasoning may name others."""
    text = "".join(token.text for token in tokens)
    found = None
    for match in _NAMES.finditer(text):
        found = match
    if found is None:
        return None
    start = found.start(found.lastindex or 0)
    at = 0
    for token in tokens:
        at += len(token.text)
        if at > start:
            return token
    return None


def tokens_of(notes: Sequence[Mapping[str, Any]]) -> list[Token]:
    """The tokens that an agent recorded (setting `logprobs`)."""
    for note in notes:
        if note.get("what") == "logprobs":
            return [Token(t["text"], t["logprob"], t["top"]) for t in note["tokens"]]
    return []


_PLAIN: Mapping[str, tuple[float, ...]] = {
    "temperature": (1,), "top_p": (1,), "top_k": (0, -1), "min_p": (0,), "repetition_penalty": (1,),
    "frequency_penalty": (0,), "presence_penalty": (0,),
}  # fmt: skip
"""Settings of a request, and their values that sample replies from the model's own distribution."""


def drawn_otherwise(request: Mapping[str, Any]) -> str | None:
    """Why replies to a request are not sampled from the model's own distribution, or None if they are.

    The log-probabilities, and so the means over tokens, describe that distribution.
    """
    if request.get("temperature") is None:
        return "no temperature is set, and the endpoint's default may not be 1"
    wrong = [name for name, plain in _PLAIN.items() if request.get(name) is not None and request[name] not in plain]
    return ", ".join(f"{name} {request[name]}" for name in wrong) or None

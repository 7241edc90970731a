"""Read how long a reply may be from an endpoint's error about a request for a longer one."""

from __future__ import annotations

import re

_CONTEXT = re.compile(
    r"context (?:length|window|limit|size)(?: of the model)?(?: is| of)?:? (\d[\d,_]*)|tokens`? must be <= (\d[\d,_]*)",
    re.IGNORECASE,
)
_TAKEN = re.compile(
    r"(\d[\d,_]*)(?: tokens)? (?:in|from|of) (?:the |your |text )?(?:messages|prompt|input)"
    r"|(\d[\d,_]*) `?(?:input|prompt)s?`? tokens"
    r"|(?:prompt|input|request) (?:has|contains)(?: at least)? (\d[\d,_]*)",
    re.IGNORECASE,
)
_SUM = re.compile(r"(\d[\d,_]*) ?\+ ?(\d[\d,_]*) ?> ?(\d[\d,_]*)")
_MOST = re.compile(
    r"(?:at most|less than or equal to|no more than|up to|maximum(?: value)?(?: is| of|:)|"
    r"limit(?: is| of|:)|allowed is|(?:larger|lower|greater|less) than|between \d+ and|<=|> ?|\[\d+, ?)"
    r"[ `'\"]*(\d[\d,_]*)|(\d[\d,_]*)[ `'\"]*(?:\(inclusive\)|\(exclusive\)|,? which is the maximum)",
    re.IGNORECASE,
)


def room_in(message: str, asked: int) -> int | None:
    """How many tokens a reply may have, according to an endpoint's error about `asked`; None if it does not say.

    Endpoints say this in three ways: the context and the prompt's part of it (vLLM, OpenAI), a sum that is too large
    (`190000 + 20000 > 200000`, Anthropic), or the limit of a reply.
    """
    added = _SUM.search(message)
    if added is not None:
        return _below(asked, _whole(added[3]) - _whole(added[1]))
    context, taken = _CONTEXT.search(message), _TAKEN.search(message)
    if context is not None and taken is not None:
        return _below(asked, _whole(context[1] or context[2]) - _whole(next(filter(None, taken.groups()))))
    found = [
        _below(asked, _whole(next(filter(None, most.groups()))) - ("exclusive" in most[0]))
        for most in _MOST.finditer(message)
    ]
    return max((room for room in found if room is not None), default=None)


def _whole(digits: str) -> int:
    return int(digits.replace(",", "").replace("_", "")[:18] or 0)


def _below(asked: int, room: int) -> int | None:
    return room if 0 < room < asked else None

"""Split a family's reply into its thought and its actions; the family's profile selects the grammar."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from deskbench.agent.replies.blocks import last_block
from deskbench.agent.replies.call_text import parse_calls, region
from deskbench.agent.replies.calls import Call, Malformed, NoAction, unwrapped
from deskbench.agent.replies.endings import ended
from deskbench.agent.replies.fenced import MAX_REPLY, parse_reply
from deskbench.agent.replies.grammar import Grammar, Reading
from deskbench.agent.replies.objects import parse_object, parse_pairs
from deskbench.agent.replies.planner import Locate, ground_call, ground_source
from deskbench.agent.replies.reasoning import split_reasoning
from deskbench.agent.replies.spaces import Space
from deskbench.agent.replies.tagged import parse_tagged
from deskbench.agent.replies.vocabularies import VOCABULARIES
from deskbench.agent.replies.vocabulary import Vocabulary, to_actions
from deskbench.envs.types import Action, AskUser, Done, Fail


def read_reply(
    text: str,
    calls: Sequence[Call],
    grammar: Grammar,
    space: Space,
    *,
    pointer: tuple[int, int] = (0, 0),
    code_allowed: bool = False,
    locate: Locate | None = None,
) -> Reading:
    """Read a reply.

    Args:
        text: the raw reply, including reasoning in marks.
        calls: the wire's own calls, whatever the grammar: some servers parse a family's tags, others do not.
        grammar: the family's grammar.
        space: the space of its points.
        pointer: where the pointer is, in pixels of the screen.
        code_allowed: code beyond mouse and keyboard becomes `exec` (python).
        locate: for grammars whose targets are words.

    Raises:
        NoAction, Malformed, Truncated: or any other ReplyError; the message can be shown to the model.
    """
    if len(text) > MAX_REPLY:
        raise Malformed(f"the reply has {len(text)} characters; at most {MAX_REPLY} are read")
    reasoning, rest = split_reasoning(text)
    rest = _STOPS.sub("", rest)
    if not calls and grammar.form == "comments":
        rest = f"```python\n{ground_source(last_block(rest), locate)}\n```"
    if not calls and grammar.form in ("python", "prompt", "comments"):
        thought, actions = _python(rest, grammar, space, pointer, code_allowed)
    else:
        thought, actions = _called(rest, calls, grammar, space, pointer, code_allowed, locate)
    thought = "\n".join(part for part in (reasoning, thought) if part)
    return Reading(thought or None, tuple(actions), said_line(rest))


def _called(
    rest: str,
    calls: Sequence[Call],
    grammar: Grammar,
    space: Space,
    pointer: tuple[int, int],
    code_allowed: bool,
    locate: Locate | None,
) -> tuple[str, list[Action]]:
    vocabulary = VOCABULARIES[grammar.vocabulary]
    found, prose = (list(calls), rest) if calls else _as_text(rest, grammar, vocabulary)
    if not found:
        return prose, [_without(rest, grammar)]
    found = unwrapped(found)
    if calls and grammar.call_space:
        space = dataclasses.replace(space, kind=grammar.call_space)
    if grammar.form == "planner":
        found, space = [ground_call(call, locate) for call in found], dataclasses.replace(space, kind="screen")
    return prose, to_actions(found, vocabulary, space, pointer, code_allowed=code_allowed)


def _as_text(rest: str, grammar: Grammar, vocabulary: Vocabulary) -> tuple[list[Call], str]:
    if grammar.form == "tagged":
        return parse_tagged(rest)
    if grammar.form == "pairs":
        return parse_pairs(rest)
    if grammar.form == "object":
        return parse_object(rest) if "{" in rest else ([], rest)
    if grammar.form == "native":
        return [], rest
    names = list(vocabulary.handlers)
    if grammar.form == "planner":
        block = last_block(rest)
        return parse_calls(block, names, "agent.", meant="last" if block == rest else "all"), rest
    where, meant = region(rest, grammar.marker, grammar.tag, grammar.until)
    prose = rest.replace(where, "") if where != rest else rest
    if grammar.tag is not None:
        prose = prose.replace(f"<{grammar.tag}>", "").replace(f"</{grammar.tag}>", "")
    return parse_calls(where, names, meant=meant, until=grammar.until), prose.strip()


def _without(rest: str, grammar: Grammar) -> Action:
    """The meaning of a complete reply without an action.

    Raises:
        NoAction: the model must answer again.
    """
    said = ended(rest, grammar.done_words, grammar.fail_words, first=grammar.word_first)
    if said is not None:
        return said
    endings: dict[str, Action] = {"done": Done(rest), "ask": AskUser(rest), "fail": Fail(rest)}
    if grammar.without not in endings or not rest:
        raise NoAction("no action was found in the reply; answer in the form that was described")
    return endings[grammar.without]


def _python(
    rest: str, grammar: Grammar, space: Space, pointer: tuple[int, int], code_allowed: bool
) -> tuple[str, list[Action]]:
    """Read source in the space of its numbers, which may be the picture's pixels, and convert its points."""
    on_image = space.kind == "image"
    work = space.image if on_image else space.screen
    if on_image:
        pointer = Space("screen", space.image, space.image).place(*space.to_model(*pointer))
    thought, actions = parse_reply(
        rest,
        action_space="computer_13" if grammar.action_space == "computer_13" else "pyautogui",
        screen=work,
        pointer=pointer,
        code_allowed=code_allowed,
        family=grammar.form == "python",
    )
    return thought or "", [action.moved(space.place) if on_image else action for action in actions]


_STOPS = re.compile(r"(?:\s*(?:<\|(?!box_|begin_of|end_of_box)[a-z_]{2,20}\|>|</s>|\[EO[ST]\]))+\s*\Z")
"""Tokens that end a reply, which servers return if they are asked for special tokens."""
_SAID = re.compile(
    r"(?:^#{1,3} *Action:?[ \t]*\n|^Action:[ \t]*|<operation>\s*|<conclusion>\s*)(.+?)"
    r"(?=\n\s*#{1,3} |\n\s*<|</|\n\s*\n|\n?```|\Z)",
    re.MULTILINE | re.DOTALL,
)


def said_line(text: str) -> str:
    """The line in which a reply says what it does (`Action: ...`), or its first line."""
    found = _SAID.search(text)
    line = found[1] if found else next((line for line in text.splitlines() if line.strip()), "")
    return " ".join(line.split())[:500]

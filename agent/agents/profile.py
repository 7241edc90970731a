"""A family of models as data: one TOML file has everything that is specific to the family.

The files are in `agent/profiles/`; users name their own files by path. `docs/models.md` explains every field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from deskbench.agent.models.wires.base import merged
from deskbench.agent.replies.grammar import Grammar
from deskbench.agent.replies.vocabularies import VOCABULARIES
from deskbench.envs.actions import nearest
from deskbench.envs.errors import UsageError
from deskbench.envs.foreign import first_fault, read_toml


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(_Data):
    """Sampling settings of the request; None leaves a field out."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 2048
    max_tokens_name: str = "max_tokens"


class ImagePolicy(_Data):
    """The size of the pictures for the model.

    `native`: the screen's size. `size`: exactly `size`. `longest`: the longer side is at most `longest`. `smart`: each
    side is a multiple of `factor`, and the number of pixels is between `min_pixels` and `max_pixels` (Qwen2-VL's
    smart_resize).
    """

    fit: Literal["native", "size", "longest", "smart"] = "native"
    size: tuple[int, int] | None = None
    longest: int = 1568
    factor: int = 28
    min_pixels: int = 3136
    max_pixels: int = 12_845_056
    detail: str | None = None


class SpacePolicy(_Data):
    """The coordinate space of the family's points: see `replies.spaces.Space`."""

    kind: Literal["screen", "image", "unit", "auto", "grid", "auto_grid"] = "screen"
    grid: int = 1000


class ReplyRules(_Data):
    """How to read replies: see `replies.grammar.Grammar`."""

    form: Literal["python", "tagged", "calls", "object", "pairs", "native", "planner", "comments", "prompt"]
    vocabulary: str = "qwen"
    marker: str | None = None
    tag: str | None = None
    until: str | None = None
    without: Literal["again", "done", "ask", "fail"] = "again"
    done_words: tuple[str, ...] = ("[DONE]",)
    fail_words: tuple[str, ...] = ("[INFEASIBLE]",)
    action_space: Literal["pyautogui", "computer_13"] = "pyautogui"
    word_first: bool = False
    call_space: Literal["screen", "image", "unit", "auto", "grid", "auto_grid"] | None = None

    @field_validator("vocabulary")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in VOCABULARIES:
            raise ValueError(f"unknown vocabulary {value!r}{nearest(value, VOCABULARIES)}")
        return value

    @property
    def grammar(self) -> Grammar:
        """The same rules, for the readers of replies."""
        return Grammar(**self.model_dump())


class HistoryPolicy(_Data):
    """What a request shows of earlier steps.

    Attributes:
        shape: `turns`: a user turn and a reply for each step. `single`: everything in one user turn.
        pictures: number of newest pictures that are always kept, including the current one.
        chunk: older pictures are dropped this many at a time, so that the prefix of requests stays the same (and in
            the endpoint's cache) for that many steps.
        first: also keep the first picture.
        older: what to do with steps without a picture: `keep` them with a placeholder, `drop` them, `merge` their
            lines into one reply before the first step that is kept, or keep their `replies` and the first user turn.
        placeholder: replaces a picture that is no longer shown; empty for nothing.
        past_scale: factor by which earlier pictures are shrunk.
        native: send replies back as the endpoint returned them, and results of calls in the wire's own form.
        results: where chat completions have the picture of a result: in a user turn `after` the tool's turns (OpenAI's
            rule), or `inside` the tool's turn.
    """

    shape: Literal["turns", "single"] = "turns"
    pictures: int = Field(default=3, ge=1)
    chunk: int = Field(default=1, ge=1)
    first: bool = False
    older: Literal["keep", "drop", "merge", "replies"] = "keep"
    placeholder: str = "(This screenshot is not shown any more.)"
    past_scale: float = Field(default=1.0, gt=0, le=1)
    native: bool = False
    results: Literal["after", "inside"] = "after"


class Templates(_Data):
    """Texts with names in braces (`docs/models.md` lists them); `{image}` marks the place of the picture.

    Attributes:
        system: the system prompt; empty for none.
        first: the user turn of the oldest step that is shown.
        next: the user turn of every later step; None for the same as `first`.
        now: the user turn of the current step; None for `first` or `next`, whichever applies.
        past: an earlier step inside a `single` turn.
        reply: an earlier reply of the model.
        step: one line of `{steps}`.
        result: the text of a native call's result; `{lines}` is a line `[0:name]` for each action in it.
        role: role of the turns that show the screen: `user` or `tool`.
    """

    system: str = ""
    first: str = "{image}{instruction}"
    next: str | None = None
    now: str | None = None
    past: str = "{image}{reply}"
    reply: str = "{reply}"
    step: str = "Step {n}: {said}"
    result: str = "{name}: done."
    role: Literal["user", "tool"] = "user"


class GrounderRules(_Data):
    """The model that finds a planner's targets."""

    title: str = ""
    base_url: str = "http://127.0.0.1:8001/v1"
    model: str
    key: str | None = None
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=256)
    image: ImagePolicy = ImagePolicy()
    space: SpacePolicy = SpacePolicy()
    system: str = ""
    ask: str = "{image}{description}"
    texts: dict[str, str] = Field(default_factory=dict)


class Profile(_Data):
    """One family.

    Attributes:
        name: the NAME in `--agent NAME`.
        title: the models it is for.
        endpoint: the wire: `chat`, `responses`, `messages`, `gemini` or `interactions`.
        base_url, model: address and name at the vendor or the usual server; a run may set others.
        key: the environment variable that usually holds the key, or None.
        facts: the sources of the family's format.
        request: merged into every request's body; `{width}` and `{height}` become the picture's size as numbers.
        served: the same, but only at addresses other than the vendor's: fields for one's own servers (vLLM, SGLang).
        headers: sent with every request.
        texts: more names for the templates, so that a family that differs in a few words needs only a few lines.
        grounder: the grounder, for planners.
    """

    name: str
    title: str
    endpoint: Literal["chat", "responses", "messages", "gemini", "interactions"] = "chat"
    base_url: str = "http://127.0.0.1:8000/v1"
    model: str
    key: str | None = None
    facts: str
    sampling: Sampling = Sampling()
    request: dict[str, Any] = Field(default_factory=dict)
    served: dict[str, Any] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    image: ImagePolicy = ImagePolicy()
    space: SpacePolicy = SpacePolicy()
    reply: ReplyRules
    history: HistoryPolicy = HistoryPolicy()
    templates: Templates = Templates()
    texts: dict[str, str] = Field(default_factory=dict)
    grounder: GrounderRules | None = None

    @property
    def space_text(self) -> str:
        """The coordinate space in a few words."""
        if self.grounder is not None:
            return f"words, grounder: {_space_text(self.grounder.space, self.grounder.image)}"
        return _space_text(self.space, self.image)


def _space_text(space: SpacePolicy, image: ImagePolicy) -> str:
    texts = {"screen": "screen pixels", "unit": "0-1", "auto": "0-1 or screen pixels", "grid": f"0-{space.grid}",
             "auto_grid": f"0-1 or 0-{space.grid}"}  # fmt: skip
    if space.kind != "image":
        return texts[space.kind]
    sizes = {"smart": f"smart_resize({image.factor})", "native": "native"}
    return f"picture pixels, {sizes.get(image.fit, f'{image.size[0]}x{image.size[1]}' if image.size else 'fitted')}"


def profile_names() -> list[str]:
    """The names of the families that come with deskbench."""
    files = (resources.files("deskbench.agent") / "profiles").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_profile(name: str) -> Profile:
    """Load a family by its name, or from a user's file.

    Raises:
        UsageError: there is no such family, or a field is wrong; the message is one line.
    """
    values = _values(name, ())
    values.setdefault("name", Path(name).stem)
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"profile {name}: {first_fault(error, Profile.model_fields)}") from None


def _values(name: str, above: tuple[str, ...]) -> dict[str, Any]:
    """A file's content merged over that of its `base`."""
    if name in above:
        raise UsageError(f"profile {name}: its bases form a cycle: {' -> '.join((*above, name))}")
    values = _read(name)
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise UsageError(f"profile {name}: base must be a name")
    below: Mapping[str, Any] = _values(base, (*above, name))
    return merged({key: value for key, value in below.items() if key != "name"}, values)


def _read(name: str) -> dict[str, Any]:
    known = profile_names()
    if name in known:
        text = (resources.files("deskbench.agent") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
        return {"name": name, **tomllib.loads(text)}
    if not name.endswith(".toml"):
        raise UsageError(f"unknown family {name!r}{nearest(name, known)} (or the path of a .toml file)")
    return read_toml(Path(name), f"the profile {name}")

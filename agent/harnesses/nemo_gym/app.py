"""NeMo Gym's agent server: a model of NeMo Gym's uses desktops of `deskbench serve openenv`, one episode a rollout.

NeMo Gym runs each server in an environment of its own. So this file needs nemo-gym and nothing of deskbench; `serve
openenv --nemo-gym FOLDER` copies it there. What NeMo Gym asks for and records is in its base_responses_api_agent.py and
rollout_collection.py, 0.4.0.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

LOWEST, BELOW = (0, 4), (0, 8)
"""The versions of nemo-gym that this file is for."""


def _check() -> None:
    command = "pip install 'deskbench[nemo-gym]'"
    try:
        found = version("nemo-gym")
    except PackageNotFoundError:
        raise ImportError(f"nemo-gym is not installed: {command}") from None
    if not LOWEST <= tuple(map(int, found.split(".")[:2])) < BELOW:
        wanted = "at least {}.{} and below {}.{}".format(*LOWEST, *BELOW)
        raise ImportError(f"nemo-gym is version {found}; it must be {wanted}: {command}")


_check()

import aiohttp
from fastapi import FastAPI, HTTPException
from nemo_gym.base_resources_server import BaseRunRequest, BaseVerifyResponse
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.config_types import AggregateMetrics, AggregateMetricsRequest, ModelServerRef
from nemo_gym.openai_utils import (
    NeMoGymEasyInputMessage,
    NeMoGymFunctionCallOutput,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseFunctionToolCall,
    NeMoGymResponseUsage,
)
from nemo_gym.server_utils import get_response_json
from pydantic import ConfigDict, PrivateAttr, ValidationError

CLOSE_SECONDS = 60.0
"""How long the desktop of an episode may take to end."""
NOTHING: dict[str, Any] = {"actions": []}
"""A step that does nothing. It takes the place of a wrong call, so that the limit of steps ends every episode."""
OF_A_RESULT = ("error", "mask_sample", "_ng_failure_class", "_ng_failure_terminal", "_ng_no_persist")
"""Fields of results that say how NeMo Gym treats them; a row that was a result has those of its last attempt."""
Json = dict[str, Any]


class DesktopAgentConfig(BaseResponsesAPIAgentConfig):  # type: ignore[misc]
    """The agent's settings.

    Attributes:
        model_server: the model that acts.
        openenv_url, openenv_token: what `deskbench serve openenv` prints.
        sessions: episodes at once, as many as its `-n`.
        failure_reward: the reward of an episode that has no score, for trainers that insist on a number.
    """

    model_server: ModelServerRef
    openenv_url: str
    openenv_token: str | None = None
    sessions: int = 1
    failure_reward: float | None = None


class DesktopRunRequest(BaseRunRequest):  # type: ignore[misc]
    """A row of the data; `verifier_metadata` has the task and the seed."""

    model_config = ConfigDict(extra="allow")

    verifier_metadata: Json


class DesktopRunResponse(BaseVerifyResponse):  # type: ignore[misc]
    """A rollout; its reward is None if the episode has no score."""

    model_config = ConfigDict(extra="allow")

    reward: float | None


class Failed(Exception):
    """An episode has no score.

    Attributes:
        kind: whose fault it was, as NeMo Gym's `_ng_failure_class`.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Wrong(Exception):
    """The server does not take what was sent; the episode goes on."""


class Session:
    """A session of OpenEnv's: one episode on a desktop of its own."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._hear()

    def _hear(self) -> None:
        # Reads at all times: aiohttp answers the server's pings only while it reads, and a model may take minutes.
        self._heard = asyncio.ensure_future(self._socket.receive())

    async def ask(self, kind: str, data: Json) -> Json:
        """The answer to a message.

        Raises:
            Wrong: the message is wrong.
            Failed: there is no desktop, the session has ended, or the episode has no score.
        """
        with suppress(ConnectionError):  # a session that was refused has its reason to read
            await self._socket.send_json({"type": kind, "data": data})
        message = await self._heard
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Failed("env_error", "the connection to deskbench has ended")
        self._hear()
        answer = json.loads(message.data)
        told: Json = answer["data"]
        if answer["type"] == "error":
            raise Wrong(told["message"]) if told["code"] == "VALIDATION_ERROR" else Failed("env_error", told["message"])
        if told["done"] and told["reward"] is None:
            kind = "env_error" if told["metadata"]["ending"] == "env_error" else "check_error"
            raise Failed(kind, told["metadata"]["error"])
        return told

    async def step(self, data: Json) -> tuple[Json, str | None]:
        """Carry out a step; also what was wrong with it, if it could not be carried out.

        Raises:
            Failed: as `ask`.
        """
        try:
            return await self.ask("step", data), None
        except Wrong as wrong:
            problem = str(wrong)
        try:
            return await self.ask("step", NOTHING), problem
        except Wrong as wrong:  # the server stops
            raise Failed("env_error", str(wrong)) from None

    async def close(self) -> None:
        """End the session, and wait until its desktop has ended, so that the next one has room."""
        with suppress(ConnectionError):
            await self._socket.send_json({"type": "close"})
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while (await self._heard).type is aiohttp.WSMsgType.TEXT:
                    self._hear()
        self._heard.cancel()


@asynccontextmanager
async def session(url: str, token: str | None) -> AsyncIterator[Session]:
    """A session at a server.

    Raises:
        Failed: the server cannot be reached, or refuses.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as client:
        try:
            socket = await client.ws_connect(f"{url.rstrip('/')}/ws", headers=headers, max_msg_size=0)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Failed("env_error", f"no desktops at {url}: {error}") from None
        async with socket:
            opened = Session(socket)
            try:
                yield opened
            finally:
                await opened.close()


class Conversation:
    """What the model has seen and said.

    Attributes:
        items: what follows the row's own input, as the rollout's output.
        last: the model's last response.
        usage: the tokens of all its responses.
    """

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.last: NeMoGymResponse | None = None
        self.usage: NeMoGymResponseUsage | None = None
        self.cookies: Any = None
        self._instruction: str | None = None

    def see(self, observation: Json) -> None:
        """Show what there is to see: pictures are a user's message, as a tool's output cannot have any."""
        notes = []
        if self._instruction is None:
            notes.append("The screen has {}x{} pixels.".format(*observation["size"]))
        elif observation["instruction"] != self._instruction:
            notes.append(observation["instruction"])
        self._instruction = observation["instruction"]
        if observation["answer"] is not None:
            notes.append(f"The user answers: {observation['answer']}")
        notes += [text for text in (observation["problem"], *observation["errors"]) if text]
        shown: list[Json] = [{"type": "input_text", "text": "\n".join(notes)}] if notes else []
        if observation["screenshot"] is not None:
            url = f"data:image/png;base64,{observation['screenshot']}"
            shown.append({"type": "input_image", "image_url": url, "detail": "auto"})
        self.items.append(NeMoGymEasyInputMessage(type="message", role="user", content=shown))

    def say(self, reply: NeMoGymResponse) -> None:
        """What the model answered."""
        self.items += reply.output
        self.last = reply
        if reply.usage is None or self.usage is None:
            self.usage = self.usage or reply.usage
            return
        total, more = self.usage, reply.usage
        total.input_tokens += more.input_tokens
        total.output_tokens += more.output_tokens
        total.total_tokens += more.total_tokens
        total.input_tokens_details.cached_tokens += more.input_tokens_details.cached_tokens
        total.output_tokens_details.reasoning_tokens += more.output_tokens_details.reasoning_tokens

    def result(self, call: NeMoGymResponseFunctionToolCall, text: str) -> None:
        """What came of a call."""
        output = NeMoGymFunctionCallOutput(type="function_call_output", call_id=call.call_id, output=text)
        self.items.append(output)

    def response(self, name: str) -> NeMoGymResponse:
        """All of it, as a response of the agent."""
        last = self.last or NeMoGymResponse(
            id=f"deskbench-{time.time_ns()}", created_at=time.time(), model=name, object="response", output=[],
            parallel_tool_calls=False, tool_choice="auto", tools=[],
        )  # fmt: skip
        return last.model_copy(update={"output": self.items, "usage": self.usage})


def text_of(reply: NeMoGymResponse) -> str:
    """The text of a response."""
    texts: list[str] = []
    for item in reply.output:
        if item.type == "message" and item.role == "assistant":
            content = item.model_dump()["content"]  # some model servers write a text in place of parts
            texts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return "".join(texts)


def arguments_of(call: NeMoGymResponseFunctionToolCall) -> tuple[Json, str | None]:
    """The arguments of a call; if they are none, a step that does nothing, and why."""
    try:
        found = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return NOTHING, f"the arguments are not JSON: {error}"
    return (found, None) if isinstance(found, dict) else (NOTHING, "the arguments are not an object")


class DesktopAgent(SimpleResponsesAPIAgent):  # type: ignore[misc]
    """An agent server for which a rollout is an episode on a desktop."""

    config: DesktopAgentConfig
    ray_enabled: ClassVar[bool] = False  # NeMo Gym 0.7 starts Ray only for servers that want it
    _seats: asyncio.Semaphore | None = PrivateAttr(None)

    def setup_webserver(self) -> FastAPI:
        """The server's routes."""
        self._seats = asyncio.Semaphore(self.config.sessions)
        return super().setup_webserver()

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        """`POST /v1/responses`: refused, since a desktop needs a whole row."""
        raise HTTPException(501, "this agent has a desktop only for whole rollouts: POST /run")

    async def run(self, body: DesktopRunRequest) -> DesktopRunResponse:
        """`POST /run`: play the episode of a row.

        A failure is a result without a reward and with `_ng_failure_class`: NeMo Gym keeps it in a file of its own. An
        HTTP error would end its whole collection.
        """
        talk = Conversation()
        assert self._seats is not None
        async with self._seats:
            try:
                found = await self._played(body, talk)
            except Failed as failure:
                found = {
                    "reward": self.config.failure_reward, "mask_sample": True, "error": str(failure),
                    "_ng_failure_class": failure.kind,
                }  # fmt: skip
        row = {name: value for name, value in body.model_dump().items() if name not in OF_A_RESULT}
        return DesktopRunResponse(**{**row, "response": talk.response(self.config.name), **found})

    async def aggregate_metrics(self, body: AggregateMetricsRequest) -> AggregateMetrics:
        """`POST /aggregate_metrics`: of the episodes that have a score."""
        scored = [one for one in body.verify_responses if not one.get("mask_sample")]
        return await super().aggregate_metrics(AggregateMetricsRequest(verify_responses=scored))

    async def _played(self, body: DesktopRunRequest, talk: Conversation) -> Json:
        """Play an episode; what is to be recorded of it.

        Raises:
            Failed: it has no score.
        """
        wanted = {name: value for name, value in body.verifier_metadata.items() if name in ("task", "seed")}
        async with session(self.config.openenv_url, self.config.openenv_token) as desktop:
            try:
                answer = await desktop.ask("reset", wanted)
            except Wrong as wrong:
                raise Failed("data_error", str(wrong)) from None
            while not answer["done"]:
                talk.see(answer["observation"])
                answer = await self._turn(body, talk, desktop)
        told = answer["metadata"]
        episode = {name: told.get(name) for name in ("task", "seed", "ending", "reason", "checks", "folder")}
        steps = answer["observation"]["step"]
        return {"reward": answer["reward"], "steps": steps, "truncated": told["truncated"],
                "episode": episode}  # fmt: skip

    async def _turn(self, body: DesktopRunRequest, talk: Conversation, desktop: Session) -> Json:
        """Ask the model, and do what it says; the last answer."""
        reply = await self._replied(body, talk)
        calls = [item for item in reply.output if item.type == "function_call"]
        if not calls:
            return await self._without_calls(reply, desktop, tools=bool(body.responses_create_params.tools))
        answer: Json = {"done": False}
        for call in calls:
            if answer["done"]:
                talk.result(call, "The episode is over.")
                continue
            data, problem = arguments_of(call)
            answer, refused = await desktop.step(data)
            talk.result(call, problem or refused or "Done.")
        return answer

    async def _without_calls(self, reply: NeMoGymResponse, desktop: Session, *, tools: bool) -> Json:
        """A model that has tools and calls none has ended; one without tools writes its actions as text."""
        text = text_of(reply)
        if not tools:
            try:
                return await desktop.ask("step", {"text": text})
            except Wrong as wrong:
                raise Failed("data_error", str(wrong)) from None
        if reply.incomplete_details:  # there is no room for more
            return (await desktop.step({"type": "done"}))[0]
        return (await desktop.step({"type": "done", "answer": text} if text else NOTHING))[0]

    async def _replied(self, body: DesktopRunRequest, talk: Conversation) -> NeMoGymResponse:
        """What the model says next.

        Raises:
            Failed: it cannot be reached, or its answer is none.
        """
        params = body.responses_create_params
        given = params.input
        if isinstance(given, str):
            given = [NeMoGymEasyInputMessage(type="message", role="user", content=given)]
        path = "/v1/responses"
        if hasattr(self, "url_path_for_run"):  # NeMo Gym 0.5 and later name the rollout in the path
            path = self.url_path_for_run(path, body)
        answer = await self.server_client.post(
            server_name=self.config.model_server.name,
            url_path=path,
            json=params.model_copy(update={"input": [*given, *talk.items]}),
            cookies=talk.cookies,
        )
        if not answer.ok:
            said = (await answer.read()).decode(errors="replace")
            raise Failed("model_error", f"the model server answers {answer.status}: {said[:300]}")
        talk.cookies = answer.cookies
        try:
            reply = NeMoGymResponse.model_validate(await get_response_json(answer))
        except ValidationError as error:
            raise Failed("model_error", f"the model server's answer is no response: {error}") from None
        talk.say(reply)
        return reply


if __name__ == "__main__":
    DesktopAgent.run_webserver()

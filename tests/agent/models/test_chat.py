"""The chat-completions client: what endpoints do, and what becomes of it. No fault ever becomes an action."""

import contextlib
import email.utils
import hashlib
import json
import logging
import socket
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.models.answers import Again, Answer, CutOff, Overflow, read_document, retry_after
from deskbench.agent.models.client import ClientConfig, ModelClient, Spending, pause_before
from deskbench.agent.models.messages import LEFT_OUT, Message, Picture, Text, shrink
from deskbench.agent.models.prices import Price, price_of
from deskbench.agent.models.wires.chat import ChatWire
from deskbench.agent.replies.calls import Truncated
from deskbench.envs.errors import AgentError, ModelError, ModelFatal, RefusalError, UsageError

from .endpoint import Say, endpoint, error, reply

PNG = b"\x89PNG\r\n\x1a\nnot really a picture"
PICTURE = Picture(PNG, hashlib.sha256(PNG).hexdigest(), 1280, 800)
ASK = [Message.of("system", "be brief"), Message.of("user", "what now?", PICTURE)]


def ask(url: str, messages: list[Message] = ASK, **settings: Any) -> tuple[Answer, Spending]:
    quick = {"first_pause": 0.001, "longest_pause": 0.01, "attempts": 3, "connect_timeout": 5.0, "read_timeout": 5.0}
    client = ModelClient(ClientConfig(base_url=url, model="m", **{**quick, **settings}))
    spending = Spending()
    try:
        return client.complete(messages, spending), spending
    finally:
        client.close()


def failed(url: str, kind: type[AgentError], **settings: Any) -> str:
    with pytest.raises(kind) as caught:
        ask(url, **settings)
    assert type(caught.value) is kind
    return str(caught.value)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# What goes out


def test_the_request_has_the_settings_the_turns_and_the_picture_as_a_data_url() -> None:
    with endpoint(reply("ok")) as server:
        ask(server.url, temperature=0.5, top_p=0.9, seed=7, max_tokens=99, extra={"thinking": {"type": "enabled"}})
    sent = server.asked[0]
    assert sent["path"] == "/v1/chat/completions"
    assert {k: sent[k] for k in ("model", "temperature", "top_p", "seed", "max_tokens", "thinking")} == {
        "model": "m", "temperature": 0.5, "top_p": 0.9, "seed": 7, "max_tokens": 99, "thinking": {"type": "enabled"},
    }  # fmt: skip
    assert sent["messages"][0] == {"role": "system", "content": "be brief"}
    text, image = sent["messages"][1]["content"]
    assert text == {"type": "text", "text": "what now?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert image["image_url"]["detail"] == "high"


def test_settings_that_are_not_given_are_left_out() -> None:
    with endpoint(reply("ok")) as server:
        ask(server.url, max_tokens=None, detail=None)
    assert set(server.asked[0]) == {"path", "model", "messages"}
    assert "detail" not in server.asked[0]["messages"][1]["content"][1]["image_url"]
    assert "Authorization" not in server.headers[0]


def test_max_tokens_goes_by_the_name_that_the_endpoint_wants() -> None:
    with endpoint(reply("ok")) as server:
        ask(server.url, max_tokens=5, max_tokens_name="max_completion_tokens")
    assert server.asked[0]["max_completion_tokens"] == 5
    assert "max_tokens" not in server.asked[0]


# What comes back


def test_a_reply_is_its_text_and_its_reasoning() -> None:
    with endpoint(reply("click", reasoning_content="because")) as server:
        answer, _ = ask(server.url)
    assert answer == Answer("click", "because")


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "other"}, {"type": "text", "text": "b"}]
    with endpoint(reply(parts)) as server:
        assert ask(server.url)[0].text == "ab"


PASSING = {
    "500": error(500, "boom"),
    "502": Say("<html>bad gateway</html>", 502),
    "503": error(503),
    "529": error(529, "overloaded"),
    "408": error(408),
    "409": error(409),
    "429": error(429, "slow down"),
    "429 in ms": error(429, headers={"retry-after-ms": "5"}),
    "429 in seconds": error(429, headers={"Retry-After": "0.01"}),
    "429 with a date": error(429, headers={"Retry-After": email.utils.formatdate(0, usegmt=True)}),
    "429 with rubbish": error(429, headers={"Retry-After": "soon"}),
    "400 that may be retried": error(400, headers={"x-should-retry": "true"}),
    "empty 200": Say(""),
    "HTML 200": Say("<!doctype html><title>Sign in</title>"),
    "rubbish 200": Say("{not json"),
    "list 200": Say("[]"),
    "deep 200": Say("[" * 100_000),
    "bytes 200": Say(b"\xff\xfe\x00\x01"),
    "no choices": Say({"id": "x"}),
    "empty choices": Say({"choices": []}),
    "odd choices": Say({"choices": ["hello"]}),
    "no message": Say({"choices": [{"finish_reason": "stop"}]}),
    "error in a 200": Say({"error": {"message": "upstream"}}),
    "429 in a 200": Say({"error": {"message": "upstream", "code": 429}}),
    "no text": reply(None),
    "blank text": reply(" \n"),
    "cut off mid-body": Say({"choices": [{"message": {"content": "x" * 10_000}}]}, fault="cut"),
    "closed at once": Say(fault="close"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_passing_fault_is_tried_again(fault: Say) -> None:
    with endpoint(fault, reply("fine")) as server:
        answer, spending = ask(server.url)
    assert answer.text == "fine"
    assert [e.reply for e in spending.exchanges] == [None, "fine"]
    assert (spending.exchanges[0].error or "").startswith("Again: ")


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_stays_is_the_endpoints_and_is_not_scored(fault: Say) -> None:
    with endpoint(fault) as server:
        message = failed(server.url, ModelError)
    assert len(server.asked) == 3
    assert server.url in message
    assert "gave up after 3" in message


def test_the_error_has_the_last_thing_seen() -> None:
    with endpoint(error(500, "first"), error(503, "the last thing seen")) as server:
        assert "HTTP 503: the last thing seen" in failed(server.url, ModelError)


def test_an_endpoint_that_is_down() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    message = failed(url, ModelError)
    assert url in message
    assert "refused" in message


@pytest.mark.parametrize("how", ["hang", "drip", "drip headers"])
def test_an_endpoint_that_is_slow(how: str) -> None:
    with endpoint(Say(fault=how)) as server:
        message = failed(server.url, ModelError, read_timeout=0.1, total_timeout=0.5, attempts=2)
    assert "time" in message.lower()


def test_an_answer_without_end_is_not_kept() -> None:
    with endpoint(Say("x" * 100_000)) as server:
        assert "more than 1000 bytes" in failed(server.url, ModelError, max_bytes=1000)


def test_an_endpoint_that_asks_for_more_time_than_there_is() -> None:
    with endpoint(error(429, "later", headers={"Retry-After": "3600"})) as server:
        message = failed(server.url, ModelError, total_timeout=5.0, longest_retry_after=9999.0)
    assert len(server.asked) == 1
    assert "HTTP 429: later" in message


FATAL = {
    "401": error(401, "bad key"),
    "403": error(403),
    "404": error(404, "no such model"),
    "301": Say("", 301, {"Location": "https://elsewhere.example/v1"}),
    "quota": error(429, "pay", code="insufficient_quota"),
    "401 in a 200": Say({"error": {"message": "bad key", "code": 401}}),
}


@pytest.mark.parametrize("fault", FATAL.values(), ids=FATAL)
def test_what_no_retry_can_mend_ends_the_run_at_once(fault: Say) -> None:
    with endpoint(fault, reply("fine")) as server:
        failed(server.url, ModelFatal)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 405, 415, 422])
def test_another_4xx_is_an_error_at_once(status: int) -> None:
    with endpoint(error(status, "bad field")) as server:
        assert "bad field" in failed(server.url, ModelError)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "fault",
    [
        reply(None, refusal="I cannot help with that"),
        reply("", finish="content_filter"),
        error(400, "policy", code="content_filter"),
    ],
    ids=["refusal", "filter", "filter as an error"],
)
def test_a_refusal_is_the_models(fault: Say) -> None:
    with endpoint(fault) as server:
        failed(server.url, RefusalError)
    assert len(server.asked) == 1


def test_tool_calls_are_read_and_broken_ones_say_what_is_wrong() -> None:
    calls = [
        {"id": "1", "type": "function", "function": {"name": "click", "arguments": '{"x": 5}'}},
        {"id": "2", "type": "function", "function": {"name": "type", "arguments": "{"}},
    ]
    with endpoint(reply(None, finish="tool_calls", tool_calls=calls)) as server:
        first, second = ask(server.url)[0].calls
    assert (first.name, first.arguments, first.id, first.problem) == ("click", {"x": 5}, "1", None)
    assert "not JSON" in (second.problem or "")


def test_a_reply_that_was_cut_off_gets_one_larger_budget() -> None:
    with endpoint(reply("I thi", finish="length"), reply("whole")) as server:
        answer, spending = ask(server.url, max_tokens=10, longer=4.0)
    assert answer.text == "whole"
    assert [a["max_tokens"] for a in server.asked] == [10, 40]
    assert spending.exchanges[0].reply == "I thi"


def test_a_reply_that_is_cut_off_again_is_not_an_action() -> None:
    with endpoint(reply("```python\npyautogui.click(", finish="length")) as server:
        assert "cut off at the limit of 40 tokens" in failed(server.url, Truncated, max_tokens=10)
    assert len(server.asked) == 2


OVERFLOWS = {
    "openai": error(400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
    "vllm": error(400, "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens"),
    "images": error(400, "At most 1 image(s) may be provided in one request."),
    "413": Say("Payload Too Large", 413),
}
LONG = [
    Message.of("system", "s"),
    Message.of("user", "Step 1", Text("old tree", droppable=True), PICTURE),
    Message.of("assistant", "a"),
    Message.of("user", "Step 2", Text("new tree", droppable=True), PICTURE),
]


@pytest.mark.parametrize("fault", OVERFLOWS.values(), ids=OVERFLOWS)
def test_a_context_that_overflows_loses_the_older_pictures_once(fault: Say) -> None:
    with endpoint(fault, reply("fine")) as server:
        assert ask(server.url, LONG)[0].text == "fine"
    old, new = server.asked[1]["messages"][1], server.asked[1]["messages"][3]
    assert [p["text"] for p in old["content"]] == ["Step 1", LEFT_OUT, LEFT_OUT]
    assert [p["type"] for p in new["content"]] == ["text", "text", "image_url"]


@pytest.mark.parametrize("messages", [ASK, LONG], ids=["nothing to leave out", "still too long"])
def test_a_context_that_overflows_all_the_same_is_an_error(messages: list[Message]) -> None:
    with endpoint(OVERFLOWS["openai"]) as server:
        assert "too long" in failed(server.url, ModelError, messages=messages)
    assert len(server.asked) == (1 if messages is ASK else 2)


# Before a run


def check(url: str, **settings: Any) -> None:
    client = ModelClient(ClientConfig(base_url=url, model="m", connect_timeout=5.0, **settings))
    try:
        client.check()
    finally:
        client.close()


@pytest.mark.parametrize("answer", [Say('{"data": []}'), Say("not here", 404), Say("", 405)])
def test_an_endpoint_that_answers_anything_is_there(answer: Say) -> None:
    with endpoint(answer) as server:
        check(server.url)


@pytest.mark.parametrize("status", [401, 403])
def test_an_endpoint_that_does_not_take_the_key_is_found_out(status: int) -> None:
    with endpoint(error(status, "bad key")) as server, pytest.raises(ModelFatal, match=f"HTTP {status}$"):
        check(server.url)


def test_an_endpoint_that_is_down_is_found_out() -> None:
    with pytest.raises(ModelError, match="cannot be reached"):
        check(f"http://127.0.0.1:{free_port()}/v1")


# Accounting and records


def test_tokens_are_as_the_endpoint_counts_them_and_cost_what_the_price_says() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 400}}
    with endpoint(reply("x", usage=usage)) as server:
        _, spending = ask(server.url, price=Price(2.0, 10.0, cached=1.0))
    assert (spending.usage.input_tokens, spending.usage.output_tokens) == (1000, 10)
    assert spending.usage.cost_usd == pytest.approx((600 * 2 + 400 * 1 + 10 * 10) / 1e6)


@pytest.mark.parametrize("usage", [None, {}, "many", {"prompt_tokens": -1, "completion_tokens": True}])
def test_tokens_are_estimated_where_the_endpoint_does_not_count_them(usage: Any) -> None:
    with endpoint(reply("four" * 5, usage=usage)) as server:
        _, spending = ask(server.url)
    assert spending.usage.output_tokens == 5
    assert spending.usage.input_tokens == pytest.approx(1280 * 800 / 750, rel=0.02)
    assert spending.usage.cost_usd is None  # an unknown model's price is not zero


def test_a_request_that_failed_is_on_the_record_and_costs_nothing() -> None:
    with endpoint(error(500), reply("fine")) as server:
        _, spending = ask(server.url, price=Price(1, 1))
    assert len(spending.exchanges) == 2
    assert spending.usage.input_tokens == 100


def test_a_refusal_costs_what_it_cost() -> None:
    client = ModelClient(ClientConfig(base_url="http://127.0.0.1:1/v1", model="m"))
    with endpoint(reply("", finish="content_filter")) as server:
        client = ModelClient(ClientConfig(base_url=server.url, model="m"))
        spending = Spending()
        with pytest.raises(RefusalError):
            client.complete(ASK, spending)
        client.close()
    assert spending.usage.input_tokens == 100


def test_the_record_names_pictures_by_their_frame() -> None:
    with endpoint(reply("x")) as server:
        _, spending = ask(server.url, temperature=0.1)
    request = spending.exchanges[0].request
    assert request["messages"][1]["content"][1] == {"image": PICTURE.sha256, "width": 1280, "height": 800}
    assert request["url"] == f"{server.url}/chat/completions"
    assert request["temperature"] == 0.1
    assert "base64" not in json.dumps(request)


def test_prices_are_known_by_name_with_or_without_a_date() -> None:
    assert price_of("gpt-4o-2024-11-20") == price_of("gpt-4o") is not None
    assert price_of("someone/unknown") is None


def test_a_users_own_prices_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('["gpt-4o"]\ninput = 1\noutput = 2\n["mine"]\ninput = 0.5\noutput = 1\nwritten = 0.75\n')
    monkeypatch.setenv("DESKBENCH_PRICES", str(path))
    assert price_of("gpt-4o-2024-11-20") == Price(1.0, 2.0)
    assert price_of("mine") == Price(0.5, 1.0, written=0.75)
    assert price_of("claude-opus-4-5-20251101") == Price(5.0, 25.0, 0.5, 6.25)


@pytest.mark.parametrize("text", ["[a]\ninput = 1", "[a]\ninput = 1\noutput = -1", "a = 1", "[a", "[a]\ninput='x'"])
def test_prices_that_are_wrong_are_the_users_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    monkeypatch.setenv("DESKBENCH_PRICES", str(path))
    with pytest.raises(UsageError, match=r"prices\.toml"):
        price_of("a")


def test_what_the_cache_keeps_has_a_price_of_its_own() -> None:
    assert Price(5.0, 25.0, 0.5, 6.25).cost(1000, 0, 400, 100) == pytest.approx(
        (500 * 5 + 400 * 0.5 + 100 * 6.25) / 1e6
    )


# The key

SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DESKBENCH_TEST_KEY", SECRET)
    return "DESKBENCH_TEST_KEY"


def test_the_key_is_sent_and_is_in_no_record(key: str) -> None:
    with endpoint(reply(f"your key is {SECRET}")) as server:
        answer, spending = ask(server.url, api_key_env=key, extra={"user": f"me {SECRET}"})
    assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(spending) + repr(answer)
    assert answer.text == "your key is [secret]"


@pytest.mark.parametrize("status", [400, 401, 429, 500, 200, 301])
def test_an_endpoint_that_repeats_the_key_puts_it_in_no_exception_and_no_log(
    key: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Say(f"Authorization: Bearer {SECRET} is wrong", status, {"Location": f"https://x.example/?key={SECRET}"})
    with endpoint(echo) as server, pytest.raises(AgentError) as caught:
        ask(server.url, api_key_env=key)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert SECRET not in repr(seen) + str(seen) + repr(vars(seen))
        seen = seen.__cause__ or seen.__context__
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text


def test_a_connection_that_breaks_leaves_no_request_in_the_exception(key: str) -> None:
    with endpoint(Say(fault="close")) as server, pytest.raises(ModelError) as caught:
        ask(server.url, api_key_env=key)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert not hasattr(seen, "request")
        seen = seen.__cause__ or seen.__context__


def test_the_key_is_kept_in_no_attribute(key: str) -> None:
    client = ModelClient(ClientConfig(base_url="http://127.0.0.1:9/v1", model="m", api_key_env=key))
    assert SECRET not in repr(vars(client)) + repr(client.config)
    client.close()


def test_a_stand_in_for_a_key_is_not_cut_out_of_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKBENCH_TEST_KEY", "EMPTY")
    with endpoint(reply("The cell is EMPTY.")) as server:
        assert ask(server.url, api_key_env="DESKBENCH_TEST_KEY")[0].text == "The cell is EMPTY."


def test_a_password_file_does_not_replace_the_key(key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with endpoint(reply("ok")) as server:
        ask(server.url, api_key_env=key)
    assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("value", [None, "", "  ", "two\nlines", "schlüssel"])
def test_a_variable_without_a_key_is_the_users_error(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("DESKBENCH_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("DESKBENCH_TEST_KEY", value)
    with pytest.raises(UsageError, match="DESKBENCH_TEST_KEY") as caught:
        ClientConfig(base_url="http://x/v1", model="m", api_key_env="DESKBENCH_TEST_KEY")
    assert not value or not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize("url", ["x", "ftp://x/v1", "http://", "http://me:hunter2@x/v1", "https://x/v1?key=hunter2"])
def test_an_address_that_is_none_or_holds_a_secret_is_the_users_error(url: str) -> None:
    with pytest.raises(UsageError, match="base_url") as caught:
        ClientConfig(base_url=url, model="m")
    assert "hunter2" not in str(caught.value)


# Properties

WIRE = ChatWire()
CONFIG = ClientConfig(base_url="http://x/v1", model="m")
TEXT_OR_JSON = st.one_of(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "error", "usage", "finish_reason", "code", "refusal"]),
            inner,
        ),
    ).map(json.dumps),
)  # fmt: skip


@given(st.integers(100, 599), st.dictionaries(st.text(), st.text()), TEXT_OR_JSON)
def test_every_answer_is_a_reply_with_text_or_one_of_our_errors(
    status: int, headers: dict[str, str], body: str
) -> None:
    with contextlib.suppress(Again, Overflow, CutOff, AgentError):
        document = read_document(status, headers, body, 0.0, WIRE.gather)
        counts = WIRE.counts(document)
        assert 0 <= counts.cached <= (counts.input or 0)
        assert WIRE.read(document).text.strip()


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e9), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_longer_than_allowed(failures: int, told: float | None, draw: float) -> None:
    pause = pause_before(CONFIG, failures, told, draw)
    if told is None:
        assert CONFIG.first_pause / 2 <= pause <= CONFIG.longest_pause
    else:
        assert min(told, CONFIG.longest_retry_after) <= pause <= CONFIG.longest_retry_after + 1


@given(st.text())
def test_whatever_retry_after_says_it_is_no_time_or_a_sane_one(text: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after({name: text}, 0.0)
        assert seconds is None or seconds >= 0


def test_retry_after_in_each_form() -> None:
    assert retry_after({"retry-after": "7"}, 0) == 7
    assert retry_after({"retry-after-ms": "250", "retry-after": "7"}, 0) == 0.25
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 20.0) == 40.0
    assert retry_after({}, 0) is None


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.lists(st.sampled_from(["t", "d", "p"])))))
def test_leaving_out_keeps_the_turns_and_is_done_after_once(shape: list[tuple[str, list[str]]]) -> None:
    kinds: dict[str, Text | Picture] = {"t": Text("t"), "d": Text("d", droppable=True), "p": PICTURE}
    messages = [Message(role, tuple(kinds[k] for k in parts)) for role, parts in shape]
    shrunk = shrink(messages)
    if shrunk is not None:
        assert [m.role for m in shrunk] == [m.role for m in messages]
        assert [len(m.parts) for m in shrunk] == [len(m.parts) for m in messages]
        assert shrink(shrunk) is None

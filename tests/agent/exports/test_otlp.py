"""A run as spans, read by OpenTelemetry's own reader of OTLP in JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto_json.trace.v1.trace import Span, Status, TracesData

from deskbench.agent.base import Ending
from deskbench.agent.exports.export import export

from ..staged_runs import episode, run


def attributes(of: Any) -> dict[str, Any]:
    values = {}
    for one in of.attributes:
        known = [getattr(one.value, kind) for kind in ("string_value", "int_value", "double_value", "bool_value")]
        values[one.key] = next((value for value in known if value is not None), None)
    return values


@pytest.fixture
def spans(tmp_path: Path) -> list[Any]:
    made = run(tmp_path / "run", planned=2)
    episode(made, "suite/a", 0.5)
    episode(made, "suite/b", None, ending=Ending.ENV_ERROR)
    export(made, tmp_path / "out", "otlp")
    lines = (tmp_path / "out/traces.jsonl").read_text().splitlines()
    messages = [TracesData.from_json(line) for line in lines]
    assert [attributes(one.resource_spans[0].resource)["service.name"] for one in messages] == ["deskbench"] * 3
    return [span for one in messages for scope in one.resource_spans[0].scope_spans for span in scope.spans]


def test_spans_are_a_tree_of_run_episodes_and_steps(spans: list[Any]) -> None:
    assert len({span.trace_id for span in spans}) == 1 and len(spans[0].trace_id) == 16
    ids = {span.span_id: span for span in spans}
    assert len(ids) == len(spans) == 1 + 2 * (1 + 2 * 3)
    roots = [span for span in spans if not span.parent_span_id]
    assert [span.name for span in roots] == ["run run"]
    below: dict[str, list[str]] = {}
    for span in spans:
        if span.parent_span_id:
            below.setdefault(ids[span.parent_span_id].name, []).append(span.name)
            assert span.start_time_unix_nano <= span.end_time_unix_nano
    assert below["run run"] == ["invoke_agent vlm"] * 2
    assert below["invoke_agent vlm"] == ["step 0", "step 1"] * 2
    assert below["step 0"] == ["chat", "execute_tool click"] * 2


def test_their_attributes_are_those_of_the_conventions(spans: list[Any]) -> None:
    chat = next(span for span in spans if span.name == "chat")
    said = attributes(chat)
    assert (chat.kind, said["gen_ai.usage.input_tokens"]) == (Span.SpanKind.SPAN_KIND_CLIENT, 100)
    assert json.loads(said["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "I click."}]
    tool = attributes(next(span for span in spans if span.name == "execute_tool type"))
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"text": "hi"}
    scored, failed = [span for span in spans if span.name == "invoke_agent vlm"]
    result = attributes(scored.events[0])
    assert scored.events[0].name == "gen_ai.evaluation.result"
    assert (result["gen_ai.evaluation.score.value"], result["gen_ai.evaluation.explanation"]) == (0.5, "because")
    assert (scored.status.code, failed.status.code) == (Status.StatusCode.STATUS_CODE_OK, 2)
    assert attributes(failed)["error.type"] == "env_error" and "deskbench.score" not in attributes(failed)

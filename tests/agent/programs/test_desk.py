"""Where calls meet the loop: one at a time, in order, and never without an answer."""

from deskbench.agent.programs.desk import MOST_WAITING, NOT_YET, Answer, Desk, ToolCall


def taken(desk: Desk) -> ToolCall:
    call = desk.take(1.0)
    assert call is not None
    return call


def test_calls_are_taken_in_the_order_in_which_they_came() -> None:
    desk = Desk()
    desk.open()
    first, second = desk.submit("computer", {"action": "key"}), desk.submit("done", {})
    call = taken(desk)
    assert (call.name, call.arguments) == ("computer", {"action": "key"})
    assert not first.done()
    call.answer.set_result(Answer("seen"))
    assert (first.result().text, second.done(), taken(desk).name) == ("seen", False, "done")


def test_no_call_is_none() -> None:
    desk = Desk()
    desk.open()
    assert desk.take(0.01) is None


def test_a_closed_desk_refuses_at_once_before_and_after() -> None:
    desk = Desk()
    assert desk.submit("done", {}).result() == Answer(NOT_YET, error=True, ended=True)
    desk.open()
    waiting = desk.submit("done", {})
    desk.close("over")
    assert waiting.result() == desk.submit("done", {}).result() == Answer("over", error=True, ended=True)


def test_a_flood_is_refused_and_the_first_calls_are_kept() -> None:
    desk = Desk()
    desk.open()
    calls = [desk.submit("computer", {"number": number}) for number in range(MOST_WAITING + 5)]
    refused = [call.result() for call in calls if call.done()]
    assert len(refused) == 5
    assert all(one.error and not one.ended and "one call at a time" in one.text for one in refused)
    assert taken(desk).arguments == {"number": 0}


def test_a_call_whose_client_has_gone_is_not_carried_out() -> None:
    desk = Desk()
    desk.open()
    desk.submit("computer", {}).cancel()
    desk.submit("done", {})
    assert desk.take(0.01) is None
    assert taken(desk).name == "done"

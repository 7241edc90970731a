"""The OCR endpoint's policy: what it understands, what it finds, how it goes on, when it gives up."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.agent.ocr.match import Line, find, right_of
from deskbench.agent.ocr.plan import Step, make_plan
from deskbench.agent.ocr.policy import Memory, answer

SCREEN = [
    Line("notes.txt - Editor", (200, 10, 400, 30)),
    Line("File Edit Search", (10, 40, 170, 60)),
    Line("Name:", (20, 100, 80, 120)),
    Line("Ada", (120, 100, 160, 120)),
    Line("Remember me", (40, 150, 160, 170)),
    Line("Cancel", (300, 300, 360, 320)),
    Line("Save", (400, 300, 440, 320)),
    Line("Save As...", (20, 400, 110, 420)),
]
SIZE = (1280, 800)


def reply(instruction: str, earlier: list[str] | None = None, lines: list[Line] = SCREEN) -> str:
    return answer(instruction, lines, earlier or [], SIZE, "actions")


def actions(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text.split("```json\n")[1].split("\n```", maxsplit=1)[0])
    return found


# Plans

PLANS = {
    'Click the "Save" button.': [Step("click", label="Save")],
    "Please double-click on report.pdf": [Step("click", label="report.pdf", count=2)],
    "Right-click the Trash icon": [Step("click", label="Trash", button="right")],
    "Open list.txt, add the line \"Butter\" and save the file.": [
        Step("click", label="list.txt", count=2), Step("keys", keys=("ctrl", "end")),
        Step("type", text="Butter"), Step("keys", keys=("ctrl", "s")),
    ],
    "Use File > Save As to save the document.": [
        Step("click", label="File", prepares=True), Step("click", label="Save As"),
    ],
    'Choose "View > Word Wrap" from the menu bar': [
        Step("click", label="View", prepares=True), Step("click", label="Word Wrap"),
    ],
    'Type "Ada" into the Name field, choose "Blue" and press Submit.': [
        Step("type", label="Name", text="Ada", replace=True), Step("click", label="Blue"),
        Step("click", label="Submit"),
    ],
    "In the terminal, run `ls -la > out.txt`.": [Step("type", text="ls -la > out.txt", enter=True)],
    "Compute 12 * 7 with the calculator.": [Step("type", text="12*7", enter=True)],
    "Rename the file a.txt to b.txt in the file manager.": [
        Step("click", label="a.txt"), Step("keys", keys=("f2",)), Step("type", text="b.txt", replace=True, enter=True),
    ],
    "Press Ctrl+S.": [Step("keys", keys=("ctrl", "s"))],
    "Hit the Enter key": [Step("keys", keys=("enter",))],
    "Replace the word 'Milk' with 'Tea and bread' and then save.": [
        Step("click", label="Milk", count=2), Step("type", text="Tea and bread"), Step("keys", keys=("ctrl", "s")),
    ],
    "Save the file as notes.md": [
        Step("keys", keys=("ctrl", "shift", "s")), Step("type", text="notes.md", replace=True, enter=True),
        Step("confirm", label="Save"),
    ],
    'Set the "Email" field to "a@b.c"; tick Remember me; scroll down': [
        Step("type", label="Email", text="a@b.c", replace=True), Step("click", label="Remember me"),
        Step("scroll", amount=-5),
    ],
    'Enter "Ada" as the first name and "London" as the city.': [
        Step("type", label="first name", text="Ada", replace=True),
        Step("type", label="city", text="London", replace=True),
    ],
    'Set "Name" to "Ada" and the city to "London"': [
        Step("type", label="Name", text="Ada", replace=True), Step("type", label="city", text="London", replace=True),
    ],
    'Add "# Title" at the top of the file': [
        Step("keys", keys=("ctrl", "home")), Step("type", text="# Title", enter=True),
    ],
    "Delete the file old.txt": [
        Step("click", label="old.txt"), Step("keys", keys=("delete",)), Step("confirm"),
    ],
    'Choose File > Save As and type "b.txt"': [
        Step("click", label="File", prepares=True), Step("click", label="Save As"),
        Step("type", text="b.txt", replace=True),
    ],
    "Use the calculator to compute 123 × 456 and leave the result there.": [Step("type", text="123*456", enter=True)],
    "Change the word 'cat' to 'dog'.": [Step("click", label="cat", count=2), Step("type", text="dog")],
    'Select "Blue" from the Colour list': [
        Step("click", label="Colour", beside=True, prepares=True), Step("click", label="Blue"),
    ],
    'Choose "Icons" from the View menu': [Step("click", label="View", prepares=True), Step("click", label="Icons")],
    "In the terminal, create a folder named `my work`.": [Step("type", text="mkdir -p 'my work'", enter=True)],
    "Copy a.txt to b.txt in a terminal": [Step("type", text="cp -r a.txt b.txt", enter=True)],
    'Create a file called "n.txt" with the text "hi"': [
        Step("type", text="hi"), Step("keys", keys=("ctrl", "shift", "s")),
        Step("type", text="n.txt", replace=True, enter=True), Step("confirm", label="Save"),
    ],
    'In the preferences, on the page Looks, switch off "Animations"': [
        Step("click", label="Looks", prepares=True), Step("click", label="Animations"),
    ],
    "Save the open picture as a GIF file called cat.gif in the Pictures folder.": [
        Step("keys", keys=("ctrl", "shift", "s")),
        Step("type", text="~/Pictures/cat.gif", replace=True, enter=True), Step("confirm", label="Save"),
    ],
    "Fill in the form: first name Grace, town New York, e-mail g@h.example.": [
        Step("type", label="first name", text="Grace", replace=True),
        Step("type", label="town", text="New York", replace=True),
        Step("type", label="e-mail", text="g@h.example", replace=True),
    ],
    "Turn on the ruler by the editor's View menu": [
        Step("click", label="View", prepares=True), Step("click", label="ruler"),
    ],
    "Use the open terminal to make the folders a/b and c.": [Step("type", text="mkdir -p a/b c", enter=True)],
    "Copy the word `Milk`": [Step("click", label="Milk", count=2), Step("keys", keys=("ctrl", "c"))],
    "Drag photo.png to Pictures": [Step("drag", label="photo.png", target="Pictures")],
    "What a lovely day": [],
    "": [],
}  # fmt: skip


@pytest.mark.parametrize(("instruction", "plan"), PLANS.items(), ids=range(len(PLANS)))
def test_an_instruction_becomes_a_plan(instruction: str, plan: list[Step]) -> None:
    assert make_plan(instruction) == plan


def test_what_is_quoted_is_never_read_as_grammar() -> None:
    assert make_plan('Type "click here, then press Enter. Save" now') == [
        Step("type", text="click here, then press Enter. Save")
    ]


@given(st.text())
def test_any_text_has_a_plan(text: str) -> None:
    make_plan(text)


@given(
    st.lists(st.sampled_from(["click", '"OK"', "press", "and", ",", ">", "type", "the", "to", "save", "`", "'", "."]))
)
def test_any_jumble_of_words_has_a_reply_in_every_action_space(words: list[str]) -> None:
    for space in ("pyautogui", "computer_13", "actions"):
        assert "```" in answer(" ".join(words), SCREEN, [], SIZE, space)


# Finding


@pytest.mark.parametrize(
    ("label", "box"),
    [
        ("Save", (400, 300, 440, 320)),
        ("save as", (20, 400, 110, 420)),
        ("Rernember me", (40, 150, 160, 170)),  # a slip of the reading
        ("name", (20, 100, 80, 120)),
    ],
)
def test_a_name_is_found_as_a_line_of_its_own(label: str, box: tuple[int, int, int, int]) -> None:
    found = find(label, SCREEN)
    assert found is not None
    assert found.box == box


def test_a_name_is_found_within_a_line() -> None:
    found = find("Edit", SCREEN)
    assert found is not None
    assert 55 < found.centre[0] < 105
    assert found.centre[1] == 50


@pytest.mark.parametrize("label", ["Print", "Sav", "", "OK", "..."])
def test_what_is_not_there_is_not_found(label: str) -> None:
    assert find(label, SCREEN) is None


def test_a_field_is_right_of_its_label() -> None:
    label = find("Name", SCREEN)
    assert label is not None
    assert right_of(label, SCREEN, 1280) == (140, 110)  # on what stands in it
    assert right_of(label, SCREEN[:3], 1280) == (140, 110)  # where it must be


# Going on


def test_a_plan_is_carried_out_a_step_at_a_time_and_ends() -> None:
    instruction = 'Tick "Remember me" and click "Save"'
    replies: list[str] = []
    for _ in range(3):
        replies.append(reply(instruction, replies))
    assert actions(replies[0]) == [{"type": "click", "x": 100, "y": 160, "button": "left", "count": 1}]
    assert actions(replies[1]) == [{"type": "click", "x": 420, "y": 310, "button": "left", "count": 1}]
    assert actions(replies[2]) == [{"type": "done"}]


def test_what_is_not_to_be_seen_is_looked_for_again_and_then_given_up() -> None:
    first = reply('Click "Print"')
    assert actions(first) == [{"type": "wait"}]
    (end,) = actions(reply('Click "Print"', [first]))
    assert end["type"] == "fail"


def test_opening_a_menu_in_vain_is_not_having_done_anything() -> None:
    instruction = "Choose File > Print"
    replies: list[str] = []
    for _ in range(3):
        replies.append(reply(instruction, replies))
    assert [actions(r)[0]["type"] for r in replies] == ["click", "wait", "fail"]


def test_what_appears_at_the_second_look_is_used() -> None:
    first = reply('Click "Print"')
    later = [*SCREEN, Line("Print", (0, 500, 40, 520))]
    assert actions(reply('Click "Print"', [first], later))[0]["type"] == "click"


def test_one_missing_step_does_not_end_the_others() -> None:
    instruction = 'Click "Print" and click "Save"'
    replies = [reply(instruction)]
    replies.append(reply(instruction, replies))
    replies.append(reply(instruction, replies))
    assert [actions(r)[0]["type"] for r in replies] == ["wait", "click", "done"]


def test_a_task_that_it_does_not_understand_is_not_called_done() -> None:
    assert actions(reply("Be excellent"))[0]["type"] == "fail"


def test_a_question_is_confirmed_where_one_appears_and_else_passed_over() -> None:
    instruction = 'Delete "Save"'
    replies = [reply(instruction)]
    replies.append(reply(instruction, replies))
    asked = [*SCREEN, Line("Yes", (600, 400, 640, 420))]
    assert actions(reply(instruction, replies, asked))[0]["x"] == 620
    assert actions(reply(instruction, replies))[0]["type"] == "done"


def test_a_field_is_emptied_before_its_text_comes() -> None:
    first = actions(reply('Set "Name" to "Grace"'))
    assert [a["type"] for a in first] == ["click", "key", "type"]
    assert first[2]["text"] == "Grace"


@given(st.lists(st.text()))
def test_memory_is_sane_whatever_was_said_before(earlier: list[str]) -> None:
    memory = Memory.of(earlier)
    assert memory.next >= 0
    reply('Click "Save"', earlier)


def test_each_action_space_gets_its_own_form() -> None:
    def in_space(space: str) -> str:
        return answer('Click "Save"', SCREEN, [], SIZE, space)

    assert "pyautogui.click(420, 310, clicks=1, button='left')" in in_space("pyautogui")
    assert json.loads(in_space("computer_13").split("```json\n")[1].split("\n```")[0])["action_type"] == "CLICK"
    assert actions(in_space("actions"))[0]["type"] == "click"

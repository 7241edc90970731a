"""Changes of what a browser keeps, judged by the metrics that read it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from deskbench.tasks.metrics.programs.browser import (
    check_history_deleted,
    is_cookie_deleted,
    is_expected_bookmarks,
)
from deskbench.tasks.mutation.operators import About, Unlike, find_kind, operators
from tests.tasks.mutation.samples import BOOKMARKS, COOKIES, VISITED, changes

ROOTS: dict[str, Any] = BOOKMARKS["roots"]  # type: ignore[assignment]
FOLDERS: Any = {"type": "bookmark_bar_folders_names", "names": ["Work"]}
PAGES: Any = {"type": "bookmark_bar_websites_urls", "urls": ["https://news.example/"]}


def names(kind: str, must: str) -> list[str]:
    return [one.name.partition("/")[2] for one in operators(kind) if one.must == must]


def test_the_bar_is_right_before() -> None:
    assert is_expected_bookmarks(ROOTS, FOLDERS) == is_expected_bookmarks(ROOTS, PAGES) == 1.0


@pytest.mark.parametrize(
    ("operator", "words", "rules"),
    [
        ("missing", "'Work' in bookmark_bar is missing", FOLDERS),
        ("title", "'Work' in bookmark_bar has a different name", FOLDERS),
        ("address", "'News' in bookmark_bar has the address https://news.example/more", PAGES),
        ("address", "'News' in bookmark_bar has the address https://other.example/", PAGES),
        ("moved", "'Wiki' is in bookmark_bar, not in bookmark_bar/Work", PAGES),
        ("moved", "'News' is in other, not in bookmark_bar", PAGES),
        ("extra", "there is a page too many in bookmark_bar", PAGES),
        ("extra", "there is a folder too many in bookmark_bar", FOLDERS),
    ],
)
def test_bookmarks_that_are_others_lose_the_score(operator: str, words: str, rules: Any) -> None:
    [value] = [value for value, told in changes("bookmarks", operator, ROOTS) if told == words]
    assert is_expected_bookmarks(value, rules) == 0.0


def test_a_bookmark_can_be_there_twice() -> None:
    values = [value for value, _ in changes("bookmarks", "twice", ROOTS)]
    assert [len(value["bookmark_bar"]["children"]) for value in values] == [3, 3, 2]


def test_numbers_and_times_of_bookmarks_do_not_matter() -> None:
    [(raw, _)] = changes("bookmarks", "ids")
    model = json.loads(raw)
    assert model["checksum"] != BOOKMARKS["checksum"]
    assert model["roots"]["bookmark_bar"]["children"][0]["id"] != "2"
    assert is_expected_bookmarks(model["roots"], FOLDERS) == is_expected_bookmarks(model["roots"], PAGES) == 1.0


@pytest.mark.parametrize("raw", [b"no json", b"[]", {"a": 1}, {}])
def test_what_has_no_bookmarks_is_told(raw: Any) -> None:
    with pytest.raises(Unlike):
        find_kind("bookmarks").read(raw)


def visited(raw: bytes) -> dict[str, int]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(raw)
        counted = "SELECT u.url, count(v.id) FROM urls u LEFT JOIN visits v ON v.url = u.id GROUP BY u.id"
        return dict(connection.execute(counted).fetchall())


def test_a_history_is_what_the_words_say() -> None:
    about = About("s", named='["chalk"]')
    wrong = names("history", "fail")
    told = {name: [visited(raw) for raw, _ in changes("history", name, about=about)] for name in wrong}
    news, chalk = "https://news.example/", "https://chalk.example/"
    assert told["missing"] == [{news: 1}]
    assert told["not-visited"] == [{news: 1, chalk: 0}]
    assert told["address"] == [{news: 1, "https://other.example/": 2}]
    for name in names("history", "stay"):
        assert [visited(raw) for raw, _ in changes("history", name, about=about)] == [{news: 1, chalk: 2}]


def test_a_page_that_was_to_be_deleted_comes_back() -> None:
    rules: Any = {"type": "keywords", "keywords": ["youtube", "example.net"]}
    about = About("s", named=json.dumps([rules]) + ' {"dest": "History", "path": ""}')
    assert check_history_deleted(VISITED, rules) == 1.0
    back = [check_history_deleted(value, rules) for value, _ in changes("visited", "there", about=about)]
    assert back == [0.0, 0.0]
    for name in names("visited", "stay"):
        assert [check_history_deleted(value, rules) for value, _ in changes("visited", name, about=about)] == [1.0]


def test_a_cookie_that_was_to_be_deleted_comes_back() -> None:
    rules: Any = {"type": "domains", "domains": [".shop.example"]}
    about = About("s", named=json.dumps([rules]))
    assert is_cookie_deleted(COOKIES, rules) == 1.0
    assert [is_cookie_deleted(value, rules) for value, _ in changes("cookies", "there", about=about)] == [0.0]
    for name in names("cookies", "stay"):
        assert [is_cookie_deleted(value, rules) for value, _ in changes("cookies", name, about=about)] == [1.0]

"""Secrets are removed in every form in which they are echoed, and ordinary text stays."""

import base64
import io
import json
import re
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbench.envs.redact import (
    CUT,
    KNOWN,
    Printed,
    Redactor,
    names_secret,
    secret_of,
    secrets_beside,
    secrets_in,
    without_logins,
)

from ..echoes import forms

KEYS = [
    "sk-proj-0123456789abcdefABCDEF_ghij", "sk-\"quoted'\\key\"-01/23+45=", "p@ss w%rd&<tag>#;:?", "0123456789abcdef",
    "Ключ-от-всего-é✓", '"leading and trailing"', "a\nkey\nof\tlines", "{}[]()<>+++///", "\\\\back\\slashes\\",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_every_form_of_a_key_is_cut_out(key: str) -> None:
    redactor = Redactor([key])
    for form in forms(key):
        found = redactor.text(f"before {form} after")
        assert CUT in found, form
        assert found.startswith("before ") and found.endswith(" after")
        runs = re.findall(r"[^\W_]{4,}", form.removeprefix("https://x.example/?").removesuffix("&more=1"))
        assert not runs or runs[-1] not in found.replace(CUT, ""), form


@pytest.mark.parametrize("key", KEYS)
def test_what_stands_around_it_does_not_matter(key: str) -> None:
    redactor = Redactor([key])
    for before in (b"", b"1", b"12", b"123", b"user:"):
        for after in (b"", b"4", b"45", b"456", b" and more"):
            coded = base64.b64encode(before + key.encode() + after).decode()
            assert CUT in redactor.text(f"x={coded}&y")


@given(st.text(min_size=6, max_size=60).filter(lambda key: len(key.strip("\\")) >= 4 and key.strip() == key))
def test_whatever_the_key_is(key: str) -> None:
    redactor = Redactor([key])
    for form in (key, json.dumps(key)[1:-1], urllib.parse.quote(key, safe=""), base64.b64encode(key.encode()).decode()):
        assert CUT in redactor.text(f"({form})")


@given(st.text())
def test_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    assert Redactor(["sk-proj-0123456789abcdef"]).text(text) == text


def test_names_and_texts_of_json_are_cleaned_and_the_rest_stays() -> None:
    key = 'sk-"quoted"-key'
    value = {"a": [1, 2.5, None, True, f"x {key}"], f"name {key}": {"b": (json.dumps(key),)}}
    assert Redactor([key]).value(value) == {
        "a": [1, 2.5, None, True, f"x {CUT}"], f"name {CUT}": {"b": [f'"{CUT}"']},
    }  # fmt: skip


def test_the_longest_secret_is_cut_out_first() -> None:
    assert Redactor(["sk-0123456", "sk-0123456789"]).text("sk-0123456789 sk-0123456") == f"{CUT} {CUT}"


@pytest.mark.parametrize("short", ["x", "123", "EMPTY", "none", "ollama", "no-key"])
def test_a_short_one_is_cut_out_only_where_it_is_called_a_key(short: str) -> None:
    redactor = Redactor([short])
    for text in (f"The cell is {short}.", f'{{"n": {short}}}', f"{short}, {short}"):
        assert redactor.text(text) == text
    for text in (f"Authorization: Bearer {short}", f'{{"api_key": "{short}"}}', f"?key={short}&n=1"):
        assert CUT in redactor.text(text) and short not in redactor.text(text).replace(CUT, "")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("http://me:hunter2@host:80/x", "http://host:80/x"), ("https://token@host", "https://host"),
        ("http://me:p@ss@host/x@y", "http://host/x@y"),
        ("postgres://u:p%40@h/d, mail a@b.c", "postgres://h/d, mail a@b.c"),
        ("http://host/@name", "http://host/@name"), ("a@b.c", "a@b.c"), ("http://host?q=a@b", "http://host?q=a@b"),
        ("(http://a:b@c) http://d:e@f", "(http://c) http://f"),
    ],
)  # fmt: skip
def test_urls_lose_their_logins(text: str, left: str) -> None:
    assert without_logins(text) == left


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"OPENAI_API_KEY": "0123456789abcdef"}, ["0123456789abcdef"]),
        ({"HF_TOKEN": "0123456789abcdef"}, ["0123456789abcdef"]),
        ({"DB_PASSWORD": "password"}, []),  # a word that occurs in ordinary text
        ({"EDITOR": "0123456789abcdef"}, []),
        ({"https_proxy": "http://me:hunter%402@proxy:3128"}, ["hunter@2"]),
    ],
)
def test_what_counts_as_a_secret_of_the_environment(environment: dict[str, str], found: list[str]) -> None:
    assert list(secrets_in(environment)) == found


def test_credentials_in_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_text("client_config:\n  client_id: public-name\n  client_secret: GOCSPX-secret\n")
    (tmp_path / "credentials.json").write_text('{"access_token": "ya29.token", "refresh_token": "1//refresh", "n": 1}')
    (tmp_path / "account.json").write_text(
        json.dumps({"email": "me@example.org", "password": "correct horse"}, indent=1)
    )
    (tmp_path / "other.txt").write_text("password: in-a-text")
    found = set(secrets_beside(tmp_path / "settings.yml"))
    assert found == {"GOCSPX-secret", "ya29.token", "1//refresh", "correct horse"}


def test_one_that_is_read_from_the_environment_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK5_TOKEN", " tok-0123456789 \n")
    assert secret_of("DESK5_TOKEN") == "tok-0123456789"
    assert KNOWN.told("http://me:x@h said: bad token tok-0123456789") == f"http://h said: bad token {CUT}"
    assert secret_of("NOT_SET_AT_ALL") == ""


def test_headers_are_known_by_their_names() -> None:
    secret = ("Authorization", "proxy-authorization", "x-api-key", "api_key", "X-Auth-Token", "Cookie", "client_secret")
    plain = ("anthropic-beta", "Content-Type", "max_tokens", "prompt_cache_key", "tokenizer", "x-request-id")
    assert [name for name in (*secret, *plain) if names_secret(name)] == list(secret)


def test_what_is_printed_is_cleaned() -> None:
    KNOWN.add("sk-printed-0123456789")
    stream = io.StringIO()
    printed = Printed(stream)
    printed.writelines(["sk-printed-0123456789\n", "http://me:hunter2@host/\n"])
    assert stream.getvalue() == f"{CUT}\nhttp://host/\n"

"""Requests and answers are signed: a different key, a different nonce or one changed byte makes them invalid."""

import itertools

from deskbench.envs.server.signing import Nonces, Signed, answer_proof, request_proof, same, sign

TOKEN = "a token of the desktop"


def test_a_signed_request_reads_back_and_holds() -> None:
    signed = sign(TOKEN, "control", "POST", "/v1/step", b"{}", "application/json")
    read = Signed.read(signed.header())
    assert read == signed
    assert same(read.proof, request_proof(TOKEN, read.nonce, "POST", "/v1/step", b"{}", "application/json"))


def test_whatever_is_changed_changes_the_proof() -> None:
    right = ("n" * 32, "POST", "/file", b"a=b", "text/plain")
    wrong = [
        ("m" * 32, *right[1:]), (right[0], "GET", *right[2:]), (*right[:2], "/v1/run", *right[3:]),
        (*right[:3], b"a=c", right[4]), (*right[:4], "text/html"),
    ]  # fmt: skip
    proofs = [request_proof(TOKEN, *what) for what in (right, *wrong)] + [request_proof("another", *right)]
    assert all(not same(one, other) for one, other in itertools.combinations(proofs, 2))


def test_fields_do_not_run_into_each_other() -> None:
    assert request_proof(TOKEN, "n", "POST", "/a", b"", "b") != request_proof(TOKEN, "n", "POST", "/ab", b"", "")
    assert answer_proof(TOKEN, "n", 200, b"") != request_proof(TOKEN, "n", "200", "", b"")


def test_an_answer_is_bound_to_its_request_and_status() -> None:
    proofs = {answer_proof(TOKEN, nonce, status, b"x") for nonce in ("n", "m") for status in (200, 404)}
    assert len(proofs) == 4


def test_long_tokens_are_told_apart_to_their_end() -> None:
    assert answer_proof("x" * 200 + "a", "n", 200, b"") != answer_proof("x" * 200 + "b", "n", 200, b"")


def test_other_schemes_and_malformed_headers_are_none_of_ours() -> None:
    for header in (
        "",
        "Bearer abc",
        "Deskbench control abc",
        f"Deskbench root {'a' * 32} p",
        "Deskbench control a!b p",
    ):
        assert Signed.read(header) is None


def test_a_nonce_counts_once() -> None:
    taken = Nonces(most=2)
    assert taken.take("a")
    assert not taken.take("a")
    assert taken.take("b")
    assert taken.take("c")  # the oldest is forgotten
    assert not taken.take("b")
    assert taken.take("a")

"""Ids that own nothing here: which ones are chosen, and how the kernel maps them."""

import os
import pwd
import shutil
import subprocess

import pytest

from deskbench.envs.errors import StartError
from deskbench.envs.providers import ids

from ...other_user import OtherUser

root = pytest.mark.skipif(os.geteuid() != 0, reason="chooses ids as root does")


def run(chosen: ids.Ids | None, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command under the ids."""
    with ids.entry(chosen) as entry:
        process = subprocess.Popen(
            entry.command(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=entry.descriptors,
        )  # fmt: skip
        entry.map(process)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out.decode(), err.decode())


@root
def test_each_sandbox_has_ids_of_its_own() -> None:
    chosen = [ids.allocate() for _ in range(50)]
    numbers = [number for pair in chosen if pair is not None for number in (pair.server, pair.programs)]
    assert len(set(numbers)) == 100
    for number in numbers:
        with pytest.raises(KeyError):
            pwd.getpwuid(number)


@root
def test_a_command_is_the_root_of_its_namespace_and_nothing_outside() -> None:
    chosen = ids.allocate()
    assert chosen is not None
    tried = "cat /etc/shadow; echo x > /proc/sys/vm/overcommit_memory"
    done = run(chosen, "sh", "-c", f"id -u; tr -s ' ' < /proc/self/uid_map; {tried}")
    said = done.stdout.split("\n")
    assert said[0] == "0"
    assert f" 0 {chosen.server} 1" in said and f" 1000 {chosen.programs} 1" in said
    assert done.stderr.count("ermission denied") + done.stderr.count("Read-only") == 2


@root
def test_it_makes_no_further_namespace() -> None:
    done = run(ids.allocate(), "unshare", "--user", "true")
    assert done.returncode != 0


@root
def test_a_command_that_is_not_there_ends_and_says_so() -> None:
    done = run(ids.allocate(), "no-such-program")
    assert done.returncode != 0 and "no-such-program" in done.stderr


@root
def test_ids_that_cannot_be_mapped_are_an_error() -> None:
    with pytest.raises(StartError, match="cannot map"):
        run(ids.Ids(1_900_000_000, 2**32 - 1), "true")  # the number that means no id


def test_without_ids_nothing_is_changed() -> None:
    assert run(None, "id", "-u").stdout.strip() == str(os.geteuid())


@root
@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="needs newuidmap")
def test_an_ordinary_user_takes_what_it_was_lent(other_user: OtherUser) -> None:
    script = "from deskbench.envs.providers import ids; print(ids.allocate()); print(ids.why_not())"
    lent, why = other_user.python(script, lent=True).stdout.split("\n", 1)
    assert lent.startswith("Ids(") and why.strip() == ""
    without, why = other_user.python(script, lent=False).stdout.split("\n", 1)
    assert without == "None" and "subordinate" in why

"""A run's configuration: where it comes from, and what is said about what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from deskbench.agent.build import prepare
from deskbench.agent.config import Defaults, RunConfig, make_config, user_defaults, user_file
from deskbench.envs.errors import AgentCrash, ModelError, UsageError
from deskbench.envs.redact import KNOWN

from . import paper
from .paper import write_suite, write_task


def test_flags_go_before_settings_and_settings_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('agent = "null"\nmax_steps = 5\nseed = 1\n[agent_settings]\nmodel = "m"\n')
    config = make_config(file, ["max_steps=6", "seed=2", "temperature=0.5"], {"seed": 3, "parallel": None})
    assert (config.agent, config.max_steps, config.seed, config.parallel) == ("null", 6, 3, 1)
    assert config.agent_settings == {"model": "m", "temperature": "0.5"}


@pytest.mark.parametrize(
    ("text", "settings", "strict"),
    [
        ("osworld_strict = true", [], "1.0.2"),
        ("osworld_strict = false", [], None),
        ('osworld_strict = "main"', [], "main"),
        ("", ["osworld_strict=true"], "1.0.2"),
        ("", ["osworld_strict=main"], "main"),
    ],
)
def test_yes_is_the_oldest_revision(tmp_path: Path, text: str, settings: list[str], strict: str | None) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    assert make_config(file, settings, {}).osworld_strict == strict


@pytest.mark.parametrize(
    ("text", "settings", "flags", "said"),
    [
        ("max_stepz = 5", [], {}, "unknown setting 'max_stepz'; did you mean 'max_steps'?"),
        ("not toml", [], {}, "is not TOML"),
        ("", ["max_steps"], {}, "--set max_steps: write key=value"),
        ("", ["max_steps=many"], {}, "setting max_steps is 'many'"),
        ("", [], {"parallel": 0}, "setting parallel is 0"),
        ("", ["policy=soon"], {}, "policy"),
        ("", ["policy=none"], {}, "must see something"),
        ("", [], {"width": 10}, "setting width is 10"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, text: str, settings: list[str], flags: dict[str, object], said: str
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        make_config(file, settings, flags)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.toml"):
        make_config(tmp_path / "run.toml", [], {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agent": "orakel"}, "unknown agent 'orakel'; did you mean 'oracle'?"),
        ({"provider": "locl"}, "unknown provider 'locl'; did you mean 'local'?"),
        ({"agent": "no.such.module:Agent"}, "cannot be imported"),
        ({"agent": "deskbench.agent.agents.simple:NoSuch"}, "cannot be imported"),
        ({"agent": "tests.faults.unfinished:AGENT"}, "cannot be imported: NameError: name 'anwsers'"),
        ({"only": ("write-9",)}, "no task 'write-9'; did you mean"),
        ({"agent": "null", "agent_settings": {"model": "x"}}, "has no settings"),
        ({"agent": "human", "parallel": 2}, "one person uses one desktop"),
        ({"agent": "vlm"}, "missing base_url and model"),
        ({"agent": "vlm", "agent_settings": {"base_url": "http://x/v1", "modell": "m"}}, "unknown setting 'modell'"),
        ({"source": "bassics"}, "suites: "),
        ({"split": "test_small"}, "not an OSWorld checkout"),
    ],
)
def test_every_name_is_resolved_before_a_machine_starts(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    suite = write_suite(tmp_path / "suite")
    with pytest.raises(UsageError) as caught:
        prepare(RunConfig.model_validate({"source": str(suite), "agent": "oracle", "provider": "fake", **changes}))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_agent_that_cannot_be_made_is_told_on_one_line(tmp_path: Path) -> None:
    suite = write_suite(tmp_path / "suite")
    with pytest.raises(AgentCrash, match="Unmakeable': NameError: name 'anwsers' is not defined"):
        prepare(RunConfig(source=str(suite), agent="tests.faults.agents:Unmakeable", provider="fake"))


def test_an_endpoint_that_is_down_is_noticed_before_a_machine_starts(tmp_path: Path) -> None:
    settings = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "connect_timeout": "2"}
    with pytest.raises(ModelError, match="cannot be reached"):
        prepare(RunConfig(source=str(write_suite(tmp_path / "s")), agent="vlm", agent_settings=settings))


def test_what_cannot_be_done_is_listed_with_its_reason(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    write_task(suite, "fine")
    write_task(suite, "no-oracle", oracle=None)
    write_task(suite, "windows", requires={"os": ["windows"]}, oracle=[{"type": "key", "keys": ["a"]}])
    write_task(suite, "online", requires={"network": "full"})
    found = prepare(RunConfig(source=str(suite), agent="oracle", provider="fake"))
    assert [task.id for task in found.tasks] == ["fine"]
    reasons = {task.id: reason for task, reason in found.skipped}
    assert set(reasons) == {"no-oracle", "windows", "online"}
    assert "network" in reasons["online"]


def test_a_program_that_is_not_there_skips_the_task_on_this_machine(tmp_path: Path) -> None:
    write_task(tmp_path / "suite", "gimp", requires={"apps": ["surely-not-installed"]})
    found = prepare(RunConfig(source=str(tmp_path / "suite"), agent="null", provider="local"))
    assert "surely-not-installed" in found.skipped[0][1]


def test_anything_that_can_be_imported_is_an_agent_or_a_provider(tmp_path: Path) -> None:
    config = RunConfig(
        source=str(write_suite(tmp_path / "suite")),
        agent=f"{paper.__name__}:SlowWriter",
        provider=f"{paper.__name__}:Flaky",
    )
    found = prepare(config)
    assert found.make_agent(found.tasks[0]).name == "slow-writer"


def test_the_key_of_an_endpoint_is_not_in_what_is_printed_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_NAME", "a-key-of-an-endpoint")
    settings = {"any_env": "SOME_NAME"}
    config = RunConfig(
        source=str(write_suite(tmp_path / "s")), agent=f"{paper.__name__}:Settled", provider="fake",
        agent_settings=settings,
    )  # fmt: skip
    found = prepare(config)
    assert KNOWN.text("a-key-of-an-endpoint") == "[secret]"
    assert "a-key-of-an-endpoint" not in repr(found) + config.model_dump_json()


@pytest.mark.parametrize(
    "setting",
    [{"provider": "remote:http://me:hunter2@h:5000"}, {"user_base_url": "https://me:hunter2@h/v1"},
     {"agent_settings": {"url": "http://hunter2@h"}}],
)  # fmt: skip
def test_a_url_with_a_password_is_the_users_error_and_is_not_repeated(setting: dict[str, Any], tmp_path: Path) -> None:
    values: dict[str, Any] = {"source": str(tmp_path), "agent": "null", "provider": "fake", **setting}
    with pytest.raises(UsageError, match="contains a user or a password") as caught:
        prepare(RunConfig(**values))
    assert "hunter2" not in str(caught.value)


# The user's own defaults.


def user(folder: Path, text: str) -> Defaults:
    file = folder / "config.toml"
    file.write_text(text)
    file.chmod(0o644)
    return user_defaults(file)


def test_a_flag_goes_before_set_before_the_file_before_the_users_own(tmp_path: Path) -> None:
    own = user(
        tmp_path, 'parallel = 2\nretries = 3\nseed = 4\nrepeats = 5\n[agent_settings]\nmodel = "a"\nhistory = "1"'
    )
    file = tmp_path / "run.toml"
    file.write_text('parallel = 6\nretries = 7\nseed = 8\n[agent_settings]\nmodel = "b"')
    found = make_config(file, ["parallel=9", "retries=10", "temperature=0"], {"parallel": 11, "split": None}, own)
    assert (found.parallel, found.retries, found.seed, found.repeats, found.max_steps) == (11, 10, 8, 5, None)
    assert found.agent_settings == {"model": "b", "history": "1", "temperature": "0"}
    assert found.origins == {
        "parallel": "flag", "retries": "--set", "seed": str(file), "repeats": str(own.path),
        "agent_settings.model": str(file), "agent_settings.history": str(own.path),
        "agent_settings.temperature": "--set",
    }  # fmt: skip


def test_the_settings_of_the_users_agent_are_for_this_agent_only(tmp_path: Path) -> None:
    own = user(tmp_path, 'agent = "kimi-vl"\nparallel = 2\n[agent_settings]\nbase_url = "http://127.0.0.1:1/v1"')
    settings = [make_config(None, [], {"agent": agent}, own) for agent in (None, "kimi-vl", "oracle")]
    assert [(one.agent, one.parallel, len(one.agent_settings)) for one in settings] == [
        ("kimi-vl", 2, 1), ("kimi-vl", 2, 1), ("oracle", 2, 0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paralel = 2", "config.toml: unknown setting 'paralel'; did you mean 'parallel'?"),
        ("parallel = 0", "config.toml: parallel is 0: it must be at least 1"),
        ("parallel = ", "config.toml is not TOML"),
        ('[agent_settings]\napi_key = "x"', "put keys in environment variables and set api_key_env"),
    ],
)
def test_a_mistake_in_the_users_file_is_one_line_with_its_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        user(tmp_path, text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("parallel = 2")
    file.chmod(0o666)
    with pytest.raises(UsageError, match="every user may write it"):
        user_defaults(file)


def test_the_users_file_is_where_the_platform_keeps_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESKBENCH_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_file() is None
    (tmp_path / "deskbench").mkdir()
    (tmp_path / "deskbench/config.toml").touch()
    assert user_file() == tmp_path / "deskbench/config.toml"
    monkeypatch.setenv("DESKBENCH_CONFIG", "")
    assert user_file() is None
    monkeypatch.setenv("DESKBENCH_CONFIG", "gone.toml")
    with pytest.raises(UsageError, match=r"cannot read gone\.toml"):
        user_defaults(user_file())

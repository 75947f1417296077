"""Loading the settings, and everything that can be wrong with them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sync_engine.adapters.registry import ProviderEntry
from sync_engine.configuration.problems import InvalidSettingsError, SettingProblem
from sync_engine.core.meeting import Field
from sync_engine.errors import ConfigurationError
from sync_engine.settings import Settings, load_settings
from tests.unit.configuration.stand_in import STAND_INS, VALID, AlphaSettings, BetaSettings

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write_and_load(text: str, /, **environ: str) -> Settings:
        file = tmp_path / "sync-engine.toml"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        file.chmod(0o600)
        return load_settings(file, environ, providers=STAND_INS)

    return write_and_load


def problems_of(load: Load, text: str, **environ: str) -> list[SettingProblem]:
    with pytest.raises(InvalidSettingsError) as caught:
        load(text, **environ)
    return list(caught.value.problems)


def only_problem(load: Load, text: str, **environ: str) -> SettingProblem:
    problems = problems_of(load, text, **environ)
    assert len(problems) == 1, problems
    return problems[0]


def line_of(text: str, line: str) -> int:
    return text.splitlines().index(line) + 1


# What a valid file gives


def test_a_valid_file_gives_each_connection_its_providers_own_settings(load: Load) -> None:
    settings = load(VALID)

    connections = settings.workspace("acme").connections
    assert isinstance(connections["a"], AlphaSettings)
    assert isinstance(connections["b-one"], BetaSettings)
    assert connections["a"].hosts == ("anna@acme.example",)
    assert connections["a"].client_secret.get_secret_value() == "s3cret-of-alpha"


def test_what_is_not_written_has_its_documented_default(load: Load, tmp_path: Path) -> None:
    settings = load(VALID)

    acme = settings.workspace("acme")
    assert settings.redis_url == ""
    assert settings.database_url == f"sqlite:///{tmp_path}/sync-engine.db"
    assert (settings.log.format, settings.log.level) == ("auto", "info")
    assert (acme.window_past_days, acme.window_future_days, acme.poll_seconds) == (7, 180, 300)
    assert (acme.deletions, acme.conflicts, acme.guard_percent, acme.guard_count) == (
        "propagate",
        "decide",
        10,
        5,
    )
    assert acme.owners == {Field.SCHEDULE: "a"}


def test_precedence_is_the_order_of_the_file_unless_it_is_written(load: Load) -> None:
    assert load(VALID).workspace("acme").precedence == ("a", "b-one")


def test_connections_that_precedence_leaves_out_follow_in_the_order_of_the_file(load: Load) -> None:
    text = VALID.replace("window_past_days = 7", 'precedence = ["b-one"]')

    assert load(text).workspace("acme").precedence == ("b-one", "a")


def test_the_settings_know_their_file(load: Load, tmp_path: Path) -> None:
    assert load(VALID).path == tmp_path / "sync-engine.toml"


def test_the_file_is_the_one_that_the_environment_names(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text(VALID)

    settings = load_settings(None, {"SYNC_ENGINE_CONFIG": str(file)}, providers=STAND_INS)

    assert settings.path == file


def test_a_byte_order_mark_does_no_harm(load: Load) -> None:
    assert load("\ufeff" + VALID).workspace("acme").window_past_days == 7


# The environment


def test_every_level_can_be_overridden_by_the_environment(load: Load) -> None:
    settings = load(
        VALID,
        SYNC_ENGINE__REDIS_URL="redis://127.0.0.1:6379/1",
        SYNC_ENGINE__LOG__LEVEL="DEBUG",
        SYNC_ENGINE__WORKSPACES__ACME__GUARD_COUNT="9",
        SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__B_ONE__API_KEY="from-environment",
        SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__A__HOSTS='["x@acme.example"]',
        SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__A__OWNER_MAP='{ "r@acme.example" = "7" }',
    )

    acme = settings.workspace("acme")
    alpha, beta = acme.connections["a"], acme.connections["b-one"]
    assert isinstance(alpha, AlphaSettings)
    assert isinstance(beta, BetaSettings)
    assert (settings.redis_url, settings.log.level) == ("redis://127.0.0.1:6379/1", "debug")
    assert acme.guard_count == 9
    assert beta.api_key.get_secret_value() == "from-environment"
    assert (alpha.hosts, alpha.owner_map) == (("x@acme.example",), {"r@acme.example": "7"})


@pytest.mark.parametrize("text", ["123456", "2026-01-01", "true", "1_000", "0.10"])
def test_a_secret_that_looks_like_a_number_stays_exactly_as_the_variable_has_it(
    load: Load, text: str
) -> None:
    settings = load(
        VALID,
        SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__A__CLIENT_SECRET=text,
        SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__A__ACCOUNT_ID=text,
        SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__A__OWNER_MAP__R=text,
    )

    alpha = settings.workspace("acme").connections["a"]
    assert isinstance(alpha, AlphaSettings)
    assert alpha.client_secret.get_secret_value() == text
    assert (alpha.account_id, alpha.owner_map) == (text, {"r": text})


def test_the_environment_alone_can_configure_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "SYNC_ENGINE__WORKSPACES__W__CONNECTIONS__B__PROVIDER": "beta",
        "SYNC_ENGINE__WORKSPACES__W__CONNECTIONS__B__API_KEY": "k",
    }

    settings = load_settings(None, environ, providers=STAND_INS)

    assert settings.path is None
    assert list(settings.workspace("w").connections) == ["b"]


def test_a_wrong_override_names_the_variable_and_not_a_line(load: Load) -> None:
    problem = only_problem(load, VALID, SYNC_ENGINE__WORKSPACES__ACME__GUARD_COUNT="many")

    assert problem.variable == "SYNC_ENGINE__WORKSPACES__ACME__GUARD_COUNT"
    assert problem.line is None
    assert problem.key == "workspaces.acme.guard_count"


def test_an_unknown_key_from_the_environment_names_the_variable_and_the_closest_key(load: Load) -> None:
    problem = only_problem(load, VALID, SYNC_ENGINE__DATABSE_URL="sqlite:///x.db")

    assert problem.variable == "SYNC_ENGINE__DATABSE_URL"
    assert 'did you mean "database_url"?' in problem.fix


# Problems and their places


def test_all_problems_are_told_at_once_in_the_order_of_the_file(load: Load) -> None:
    text = """\
        database_url = "mysql://db/x"

        [log]
        lvel = "info"

        [workspaces.acme]
        window_past_days = "long"
        deletions = "propagat"

        [workspaces.acme.owners]
        titel = "a"

        [workspaces.acme.connections.a]
        provider = "alpha"
        client_secret = ""

        [workspaces.acme.connections.b]
        provider = "betta"
    """

    problems = problems_of(load, text)

    assert [(problem.line, problem.key) for problem in problems] == [
        (1, "database_url"),
        (4, "log.lvel"),
        (7, "workspaces.acme.window_past_days"),
        (8, "workspaces.acme.deletions"),
        (11, "workspaces.acme.owners.titel"),
        (13, "workspaces.acme.connections.a.account_id"),
        (15, "workspaces.acme.connections.a.client_secret"),
        (18, "workspaces.acme.connections.b.provider"),
    ]
    assert all(problem.fix for problem in problems if problem.line != 7)


def test_the_message_of_the_error_holds_every_problem(load: Load) -> None:
    with pytest.raises(ConfigurationError, match=r"2 problems") as caught:
        load(VALID.replace("window_past_days", "window_pst_days").replace('"12"', "12"))

    assert re.search(
        r"sync-engine\.toml:4: .*window_pst_days.*did you mean \"window_past_days\"", str(caught.value)
    )
    assert "account_id must be text in quotes" in str(caught.value)


def test_an_unknown_key_gets_the_closest_known_one(load: Load) -> None:
    text = VALID.replace("hosts =", "host =")

    problem = only_problem(load, text)

    assert problem.line == line_of(text, 'host = ["anna@acme.example"]')
    assert problem.fix == 'did you mean "hosts"?'


def test_a_misspelt_required_key_is_one_problem_and_not_two(load: Load) -> None:
    problem = only_problem(load, VALID.replace("client_secret", "client_secrt"))

    assert problem.key == "workspaces.acme.connections.a.client_secrt"
    assert problem.fix == 'did you mean "client_secret"?'


def test_a_missing_key_says_where_it_goes_and_where_its_value_is_found(load: Load) -> None:
    text = VALID.replace('account_id = "12"\n', "")

    problem = only_problem(load, text)

    assert problem.line == line_of(text, "[workspaces.acme.connections.a]")
    assert "[workspaces.acme.connections.a]" in problem.fix
    assert "SYNC_ENGINE__WORKSPACES__ACME__CONNECTIONS__A__ACCOUNT_ID" in problem.fix
    assert "the account id on the page Credentials" in problem.fix


def test_without_a_guide_the_models_own_description_says_where_a_value_is_found(load: Load) -> None:
    problem = only_problem(load, VALID.replace('api_key = "s3cret-of-beta"\n', ""))

    assert "made below Settings, Keys" in problem.fix


@pytest.mark.parametrize("value", ["", "   ", "...", "<client secret>"])
def test_an_empty_secret_is_a_problem_of_its_own_name(load: Load, value: str) -> None:
    problem = only_problem(load, VALID.replace("s3cret-of-alpha", value))

    assert problem.key == "workspaces.acme.connections.a.client_secret"
    assert problem.message == "is not filled in"


def test_an_optional_secret_may_be_left_out_but_not_left_empty(load: Load) -> None:
    problem = only_problem(load, VALID + 'webhook_secret = ""\n')

    assert problem.key == "workspaces.acme.connections.b-one.webhook_secret"
    assert "remove the line" in problem.fix


def test_an_optional_text_may_be_empty(load: Load) -> None:
    alpha = load(VALID.replace("hosts =", 'default_host = ""\nhosts =')).workspace("acme").connections["a"]

    assert isinstance(alpha, AlphaSettings)
    assert alpha.default_host == ""


def test_text_that_is_not_toml_names_its_line(load: Load) -> None:
    problem = only_problem(load, VALID + "\nthis is not toml\n")

    assert problem.line == len(VALID.splitlines()) + 2


def test_an_unfinished_file_names_its_last_line(load: Load) -> None:
    problem = only_problem(load, 'a = 1\nb = """never closed\n')

    assert problem.line is not None
    assert problem.line >= 2


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "sync-engine.toml"
    file.write_bytes(b"# fine\n# caf\xe9\n")

    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(file, {}, providers=STAND_INS)

    assert caught.value.problems[0].line == 2


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="sync-engine init"):
        load_settings(tmp_path / "nothing.toml", {}, providers=STAND_INS)


def test_a_missing_file_that_the_environment_names_is_a_problem_of_that_variable(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(None, {"SYNC_ENGINE_CONFIG": str(tmp_path / "no.toml")}, providers=STAND_INS)

    assert caught.value.problems[0].variable == "SYNC_ENGINE_CONFIG"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "workspaces"),
        ("[workspaces.acme]\n", "workspaces.acme"),
        ("workspaces = 3\n", "workspaces"),
        ("[workspaces]\nacme = 3\n", "workspaces.acme"),
        ("[workspaces.acme.connections]\nzoom = 1\n", "workspaces.acme.connections.zoom"),
        ("[workspaces.acme.connections.a]\n", "workspaces.acme.connections.a.provider"),
    ],
)
def test_a_file_without_connections_is_refused_by_name(load: Load, text: str, key: str) -> None:
    assert only_problem(load, text).key == key


def test_an_unknown_provider_names_the_known_ones(load: Load) -> None:
    problem = only_problem(load, VALID.replace('provider = "beta"', 'provider = "bta"'))

    assert problem.fix == 'did you mean "beta"? known: alpha, beta'


def test_a_broken_adapter_package_is_a_problem_of_the_connection_that_uses_it(tmp_path: Path) -> None:
    def broken() -> Any:
        raise ImportError("no module named missing_part")

    file = tmp_path / "sync-engine.toml"
    file.write_text(VALID)
    entry = ProviderEntry("beta", "beta-for-sync", broken, broken, broken)

    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(file, {}, providers={**STAND_INS, "beta": entry})

    assert [problem.key for problem in caught.value.problems] == [
        "workspaces.acme.connections.b-one.provider"
    ]
    assert "reinstall or update beta-for-sync" in caught.value.problems[0].fix


# What must agree


@pytest.mark.parametrize(
    ("line", "key", "fix"),
    [
        ('precedence = ["a", "b-two"]', "workspaces.acme.precedence[1]", 'did you mean "b-one"?'),
        ('precedence = ["a", "a"]', "workspaces.acme.precedence[1]", "name every connection once"),
    ],
)
def test_precedence_names_existing_connections_once(load: Load, line: str, key: str, fix: str) -> None:
    text = VALID.replace("window_past_days = 7", line)

    problem = only_problem(load, text)

    assert (problem.key, problem.fix, problem.line) == (key, fix, line_of(text, line))


def test_an_owner_is_a_connection_or_a_person(load: Load) -> None:
    problem = only_problem(load, VALID.replace('schedule = "a"', 'schedule = "b"\ntitle = "ask"'))

    assert problem.key == "workspaces.acme.owners.schedule"
    assert "known: a, b-one, ask" in problem.fix


def test_a_connection_may_not_be_called_what_means_a_person(load: Load) -> None:
    problem = only_problem(load, VALID.replace("connections.b-one", "connections.ask"))

    assert problem.key == "workspaces.acme.connections.ask"


@pytest.mark.parametrize(
    ("name", "better"), [('"Acme Europe"', "acme-europe"), ("ACME", "acme"), ('"a/b"', "a-b")]
)
def test_a_name_that_cannot_stand_in_an_address_gets_one_that_can(load: Load, name: str, better: str) -> None:
    problem = only_problem(load, VALID.replace("workspaces.acme", f"workspaces.{name}"))

    assert f'call it "{better}"' in problem.fix


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("postgres://u:pw@db/x", "postgresql+psycopg://u:pw@db/x"),
        ("postgresql://u:pw@db/x", "postgresql+psycopg://u:pw@db/x"),
    ],
)
def test_a_database_address_without_driver_is_corrected_with_a_note(
    load: Load, written: str, read: str
) -> None:
    settings = load(f'database_url = "{written}"\n' + VALID)

    assert settings.database_url == read
    assert [(note.key, note.line) for note in settings.notes] == [("database_url", 1)]
    assert "pw" not in str(settings.notes[0])


@pytest.mark.parametrize(
    "url",
    ["mysql://u:hunter2@db/x", "postgresql+psycopg2://u:hunter2@db/x", "hunter2", "sqlite+aiosqlite:///x.db"],
)
def test_another_database_is_refused_without_showing_its_password(load: Load, url: str) -> None:
    problem = only_problem(load, f'database_url = "{url}"\n' + VALID)

    assert (problem.key, problem.line) == ("database_url", 1)
    assert "postgresql+psycopg://" in problem.fix
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqlite:///data/x.db", "sqlite:///{folder}/data/x.db"),
        ("sqlite:///x.db?timeout=5", "sqlite:///{folder}/x.db?timeout=5"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
    ],
)
def test_a_relative_database_file_lies_beside_the_configuration(
    load: Load, tmp_path: Path, written: str, read: str
) -> None:
    settings = load(f'database_url = "{written}"\n' + VALID)

    assert settings.database_url == read.format(folder=tmp_path)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost"])
def test_a_broker_that_is_no_redis_is_refused(load: Load, url: str) -> None:
    problem = only_problem(load, VALID.replace('redis_url = ""', f'redis_url = "{url}"'))

    assert (problem.key, problem.line) == ("redis_url", 1)


def test_plain_http_is_refused_beyond_this_machine(load: Load) -> None:
    problem = only_problem(load, VALID + 'base_url = "http://api.beta.example"\n')

    assert problem.key == "workspaces.acme.connections.b-one.base_url"
    assert problem.fix == "use https"


# Secrets


def test_a_secret_can_be_named_by_file_and_by_variable(load: Load, tmp_path: Path) -> None:
    (tmp_path / "alpha.key").write_text("from-file\n")
    text = VALID.replace("s3cret-of-alpha", "file:alpha.key").replace("s3cret-of-beta", "env:BETA_KEY")

    connections = load(text, BETA_KEY="from-variable").workspace("acme").connections

    alpha, beta = connections["a"], connections["b-one"]
    assert isinstance(alpha, AlphaSettings)
    assert isinstance(beta, BetaSettings)
    assert alpha.client_secret == SecretStr("from-file")
    assert beta.api_key == SecretStr("from-variable")


def test_a_list_of_secrets_can_be_named_as_well(load: Load) -> None:
    text = VALID.replace("hosts =", 'webhook_secrets = ["env:NEW", "old"]\nhosts =')

    alpha = load(text, NEW="new").workspace("acme").connections["a"]

    assert isinstance(alpha, AlphaSettings)
    assert [secret.get_secret_value() for secret in alpha.webhook_secrets] == ["new", "old"]


@pytest.mark.parametrize("named", ["file:no-such-file", "env:NO_SUCH_VARIABLE"])
def test_a_named_secret_that_is_not_there_is_a_problem_of_its_key(load: Load, named: str) -> None:
    problem = only_problem(load, VALID.replace("s3cret-of-beta", named))

    assert problem.key == "workspaces.acme.connections.b-one.api_key"
    assert named.partition(":")[2] in problem.message


def test_an_empty_secret_file_counts_as_an_empty_secret(load: Load, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")

    problem = only_problem(load, VALID.replace("s3cret-of-beta", "file:empty"))

    assert problem.message == "is not filled in"


def test_the_database_address_can_be_named_too(load: Load) -> None:
    settings = load('database_url = "env:DATABASE_URL"\n' + VALID, DATABASE_URL="postgres://u:p@db/x")

    assert settings.database_url == "postgresql+psycopg://u:p@db/x"


def test_no_representation_shows_a_secret(load: Load) -> None:
    settings = load(
        'database_url = "postgresql+psycopg://u:hunter2@db/x"\n'
        + VALID.replace('redis_url = ""', 'redis_url = "redis://:hunter2@cache:6379/0"')
    )

    for shown in (repr(settings), str(settings), f"{settings.workspace('acme').connections!r}"):
        assert "s3cret" not in shown
        assert "hunter2" not in shown
    assert "u:***@db/x" in repr(settings)


def test_no_problem_quotes_a_secret_of_the_wrong_kind(load: Load) -> None:
    text = VALID.replace('"s3cret-of-alpha"', '["s3cret-of-alpha"]').replace(
        '"s3cret-of-beta"', "[1, 's3cret']"
    )

    for problem in problems_of(load, text):
        assert "s3cret" not in repr(problem)


def test_a_file_with_secrets_that_others_can_read_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "sync-engine.toml"
    file.write_text(VALID)
    file.chmod(0o644)

    settings = load_settings(file, {}, providers=STAND_INS)

    assert [note.fix for note in settings.notes] == [f"chmod 600 {file}"]


def test_a_file_that_only_names_its_secrets_may_be_read_by_anyone(tmp_path: Path) -> None:
    file = tmp_path / "sync-engine.toml"
    file.write_text(VALID.replace("s3cret-of-alpha", "env:A").replace("s3cret-of-beta", "env:B"))
    file.chmod(0o644)

    settings = load_settings(file, {"A": "a", "B": "b"}, providers=STAND_INS)

    assert settings.notes == ()


# The fingerprint


@pytest.mark.parametrize(
    "edit",
    [
        {"window_past_days = 7": "window_past_days = 8"},
        {"window_past_days = 7": 'deletions = "keep"\nwindow_past_days = 7'},
        {"window_past_days = 7": 'precedence = ["b-one"]\nwindow_past_days = 7'},
        {'schedule = "a"': 'schedule = "ask"'},
        {"hosts = [": 'writes = ["create"]\nhosts = ['},
        {"hosts = [": 'owner_map = { "r@acme.example" = "1" }\nhosts = ['},
    ],
)
def test_the_fingerprint_changes_with_whatever_planning_depends_on(
    load: Load, edit: Mapping[str, str]
) -> None:
    before = load(VALID).fingerprint("acme")
    ((old, new),) = edit.items()

    after = load(VALID.replace(old, new)).fingerprint("acme")

    assert after != before


@pytest.mark.parametrize(
    "edit",
    [
        {"s3cret-of-alpha": "another"},
        {"window_past_days = 7": "window_past_days = 7\npoll_seconds = 5"},
        {"hosts = [": 'base_url = "http://127.0.0.1:8001"\nhosts = ['},
        {"hosts = [": "timeout_seconds = 5\nconcurrency = 2\nhosts = ["},
        {'redis_url = ""': 'redis_url = "redis://cache:6379/0"'},
    ],
)
def test_the_fingerprint_stays_when_only_access_or_pace_changes(load: Load, edit: Mapping[str, str]) -> None:
    before = load(VALID).fingerprint("acme")
    ((old, new),) = edit.items()

    after = load(VALID.replace(old, new)).fingerprint("acme")

    assert after == before


def test_asking_for_an_unknown_workspace_suggests_the_closest(load: Load) -> None:
    with pytest.raises(ConfigurationError, match='did you mean "acme"'):
        load(VALID).workspace("acne")

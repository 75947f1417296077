"""How errors are shown, and the exit codes they end with."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
import typer
from rich.console import Console

from sync_engine.cli.errors import exit_code, reported, show_error
from sync_engine.configuration.problems import InvalidSettingsError, SettingProblem
from sync_engine.errors import (
    ConfigurationError,
    CredentialsError,
    NeedsReviewError,
    RateLimitedError,
    RefusedError,
    SyncError,
    UnavailableError,
)

PROBLEM = SettingProblem(
    "workspaces.acme.guard_count",
    "must be a whole number",
    "without the line it is 5",
    "sync-engine.toml",
    12,
)


def shown(error: SyncError, *, terminal: bool) -> str:
    output = io.StringIO()
    show_error(error, Console(file=output, force_terminal=terminal, width=100, color_system=None))
    return output.getvalue()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (InvalidSettingsError([PROBLEM]), 2),
        (UnavailableError("x"), 3),
        (RateLimitedError("x", retry_at=datetime(2026, 1, 1, tzinfo=UTC)), 3),
        (CredentialsError("x"), 3),
        (RefusedError("x"), 1),
        (NeedsReviewError("x"), 1),
    ],
)
def test_every_error_ends_with_the_code_of_the_design(error: SyncError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("terminal", [True, False])
def test_a_problem_is_shown_with_place_key_and_fix(terminal: bool) -> None:
    text = shown(InvalidSettingsError([PROBLEM]), terminal=terminal)

    assert "1 problem." in text
    for part in ("sync-engine.toml:12", "workspaces.acme.guard_count", "must be a whole number", PROBLEM.fix):
        assert part in text


def test_in_a_pipe_every_problem_is_one_line_however_long() -> None:
    long = SettingProblem("a.b", "is wrong " * 40, "mend [it]", "sync-engine.toml", 1)

    text = shown(InvalidSettingsError([long, long]), terminal=False)

    assert len(text.splitlines()) == 3
    assert text.count("mend [it]") == 2


def test_a_provider_error_names_the_provider_and_what_was_tried() -> None:
    error = CredentialsError("refused", provider="beta", operation="list_meetings", status_code=401)

    assert shown(error, terminal=False) == "Error: beta list_meetings: refused\n"


def test_a_command_that_fails_on_purpose_ends_with_its_code_and_without_traceback() -> None:
    output = io.StringIO()

    with pytest.raises(typer.Exit) as ended, reported(Console(file=output)):
        raise ConfigurationError("name it; add it")

    assert ended.value.exit_code == 2
    assert output.getvalue() == "Error: name it; add it\n"


def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), reported(Console(file=io.StringIO())):
        _ = 1 / 0

"""What ``check`` makes of findings."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from sync_engine.cli.check import Checked, Examine, Report, Verdict, as_json, check_connections, run_check
from sync_engine.core.ports import Finding
from sync_engine.errors import ConfigurationError, CredentialsError, RefusedError, SyncError, UnavailableError
from sync_engine.settings import Settings, load_settings
from tests.unit.configuration.stand_in import STAND_INS, VALID

WELL = Finding("scopes", True, "all there")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "sync-engine.toml"
    file.write_text(VALID)
    file.chmod(0o600)
    return load_settings(file, {}, providers=STAND_INS)


def answering(answers: Mapping[str, Sequence[Finding] | SyncError]) -> Examine:
    async def examine(workspace: str, connection: str) -> Sequence[Finding]:
        answer = answers.get(connection, [WELL])
        if isinstance(answer, SyncError):
            raise answer
        return answer

    return examine


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([WELL], 0),
        ([], 0),
        ([WELL, Finding("scopes", False, "meeting:write is missing", "tick it")], 1),
        ([Finding("quota", False, "spent")], 1),
        ([Finding("clock", False, "90 s apart")], 1),
        ([Finding("credentials", False, "refused")], 3),
        ([Finding("reachability", False, "no answer")], 3),
        (RefusedError("no"), 1),
        (UnavailableError("no answer"), 3),
        (CredentialsError("refused"), 3),
        (ConfigurationError("default_owner_id is missing"), 2),
    ],
)
async def test_the_exit_code_says_what_kind_of_trouble_there_is(
    settings: Settings, answer: Sequence[Finding] | SyncError, code: int
) -> None:
    report = await check_connections(settings, answering({"a": answer}))

    assert report.exit_code == code


async def test_a_connection_that_fails_hides_no_other(settings: Settings) -> None:
    report = await check_connections(settings, answering({"a": UnavailableError("no answer")}))

    assert [(row.connection, row.finding.ok) for row in report.rows] == [("a", False), ("b-one", True)]


async def test_an_unknown_workspace_is_a_configuration_error(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="acme"):
        await check_connections(settings, answering({}), "acne")


def test_a_setting_to_mend_comes_before_a_provider_to_wait_for() -> None:
    rows = [Checked("w", "c", WELL, verdict) for verdict in (Verdict.UNUSABLE, Verdict.WRONG_SETTING)]

    assert Report(tuple(rows)).exit_code == 2


def test_the_table_shows_connection_subject_detail_and_fix(settings: Settings) -> None:
    output = io.StringIO()
    finding = Finding("scopes", False, "meeting:write is [missing]", "tick it")

    code = run_check(settings, answering({"a": [finding]}), console=Console(file=output, width=200))

    assert code == 1
    row = next(line for line in output.getvalue().splitlines() if "acme/a" in line)
    assert all(part in row for part in ("scopes", "not ok", "meeting:write is [missing]", "tick it"))
    assert "1 of 2 findings need attention." in output.getvalue()


def test_json_is_one_object_with_every_finding(settings: Settings) -> None:
    output = io.StringIO()
    finding = Finding("scopes", False, "a very [long] detail " * 20, "tick it")

    run_check(settings, answering({"a": [finding]}), in_json=True, console=Console(file=output, width=40))

    told = json.loads(output.getvalue())
    assert (told["ok"], told["exit_code"], len(told["findings"])) == (False, 1, 2)
    assert told["findings"][0]["detail"] == finding.detail


def test_what_the_configuration_had_better_say_is_shown_and_fails_nothing(tmp_path: Path) -> None:
    file = tmp_path / "sync-engine.toml"
    file.write_text(VALID)
    file.chmod(0o644)
    settings = load_settings(file, {}, providers=STAND_INS)
    output = io.StringIO()

    code = run_check(settings, answering({}), console=Console(file=output, width=200))

    assert code == 0
    assert f"chmod 600 {file}" in output.getvalue()
    assert json.loads(as_json(Report((), settings.notes)))["notes"][0]["fix"] == f"chmod 600 {file}"

"""The configuration that ``init`` writes."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sync_engine.adapters.registry import PROVIDERS, ProviderEntry
from sync_engine.cli.init import choose_providers, compose, init, write_private
from sync_engine.configuration.problems import InvalidSettingsError
from sync_engine.errors import ConfigurationError
from sync_engine.settings import load_settings
from tests.unit.configuration.stand_in import STAND_INS, AlphaSettings

app = typer.Typer()
app.command()(init)
# A second command keeps typer from taking the first for the whole program.
app.command("other")(lambda: None)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["init", *arguments], env={"SYNC_ENGINE_CONFIG": ""})
    return result.exit_code, result.stdout, result.stderr


def template(known: dict[str, ProviderEntry]) -> str:
    return compose("acme", list(known), known, None)


def unfilled(text: str, folder: Path, known: dict[str, ProviderEntry]) -> dict[str, str]:
    """Load a text and give what its loader complains about: key and message."""
    file = folder / "sync-engine.toml"
    file.write_text(text)
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(file, {}, providers=known)
    return {problem.key: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("known", [STAND_INS, PROVIDERS], ids=["stand-ins", "real providers"])
def test_the_template_complains_of_its_placeholders_by_name_and_of_nothing_else(
    tmp_path: Path, known: dict[str, ProviderEntry]
) -> None:
    text = template(known)

    problems = unfilled(text, tmp_path, known)

    tables = tomllib.loads(text)["workspaces"]["acme"]["connections"]
    placeholders = {
        f"workspaces.acme.connections.{name}.{key}"
        for name, table in tables.items()
        for key, value in table.items()
        if isinstance(value, str) and value.startswith("<")
    }
    assert problems == dict.fromkeys(placeholders, "is not filled in")
    assert len(placeholders) >= len(tables)


@pytest.mark.parametrize("known", [STAND_INS, PROVIDERS], ids=["stand-ins", "real providers"])
def test_every_default_line_of_the_template_is_a_valid_setting(
    tmp_path: Path, known: dict[str, ProviderEntry]
) -> None:
    shown = template(known).splitlines()
    uncommented = "\n".join(line.removeprefix("# ") if is_default(line) else line for line in shown)

    problems = unfilled(uncommented, tmp_path, known)

    assert set(problems.values()) == {"is not filled in"}


def is_default(line: str) -> bool:
    """Tell a setting that is commented out from a sentence."""
    key, separator, value = line.removeprefix("# ").partition(" = ")
    return line.startswith("# ") and bool(separator) and key.isidentifier() and not value.startswith('""')


def test_answers_stand_in_the_file_and_make_it_valid(tmp_path: Path) -> None:
    answers = {"account_id": "12", "client_secret": 'with "quotes" and \\', "api_key": "k"}
    asked: list[tuple[str, bool]] = []

    def ask(question: str, secret: bool) -> str:
        asked.append((question, secret))
        return answers.get(question.split()[1].strip("; "), "")

    file = tmp_path / "sync-engine.toml"
    file.write_text(compose("acme", list(STAND_INS), STAND_INS, ask))
    settings = load_settings(file, {}, providers=STAND_INS)

    alpha = settings.workspace("acme").connections["alpha"]
    assert isinstance(alpha, AlphaSettings)
    assert alpha.client_secret.get_secret_value() == 'with "quotes" and \\'
    assert {question.split()[1].strip(";"): secret for question, secret in asked} == {
        "account_id": False,
        "client_secret": True,
        "webhook_secret": True,
        "api_key": True,
    }


def test_the_template_says_what_to_click_and_which_scopes_to_tick() -> None:
    text = template(STAND_INS)

    assert "Open alpha.example and make an app; webhooks go to /webhooks/acme/alpha." in text
    assert "#     meetings:read\n#     meetings:write\n" in text
    assert "# the client secret on the page Credentials\n" in text


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_real_provider_is_introduced_with_its_steps(name: str) -> None:
    guide = PROVIDERS[name].guide

    text = compose("acme", [name], PROVIDERS, None)

    assert guide is not None
    assert f"# {guide.title}: what to do there" in text
    assert all(f"#     {scope}" in text for scope in (*guide.scopes, *guide.optional_scopes))
    assert "{workspace}" not in text


def test_the_file_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"

    code, _, _ = run("--config", str(file), "--workspace", "acme")

    assert code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_the_end_says_what_to_do_next(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"

    _, output, _ = run("--config", str(file))

    assert "sync-engine check" in output
    assert "SYNC_ENGINE_CONFIG" in output


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("precious")
    file.chmod(0o644)

    refused, _, errors = run("--config", str(file))
    kept = file.read_text()
    forced, _, _ = run("--config", str(file), "--force")

    assert (refused, kept) == (2, "precious")
    assert "--force" in errors
    assert forced == 0
    assert "[workspaces.main]" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_print_writes_no_file_and_nothing_but_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"

    code, output, _ = run("--config", str(file), "--print", "--workspace", "acme")

    assert code == 0
    assert not file.exists()
    assert list(tomllib.loads(output)["workspaces"]) == ["acme"]


def test_only_the_named_providers_are_written() -> None:
    first, second, *_ = PROVIDERS

    _, output, _ = run("--print", "--providers", f"{second}, {first},{second}")

    connections = tomllib.loads(output)["workspaces"]["main"]["connections"]
    assert [table["provider"] for table in connections.values()] == [second, first]


def test_an_unknown_provider_is_wrong_usage_with_the_closest_name() -> None:
    code, output, errors = run("--print", "--providers", "zom")

    assert (code, output) == (2, "")
    assert 'did you mean "zoom"?' in errors


def test_a_workspace_that_cannot_stand_in_an_address_is_wrong_usage() -> None:
    code, _, errors = run("--print", "--workspace", "Acme Europe")

    assert code == 2
    assert "acme-europe" in errors


def test_a_folder_that_does_not_exist_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        write_private(tmp_path / "no" / "file.toml", "x", force=False)


def test_without_a_list_every_known_provider_is_chosen() -> None:
    assert choose_providers("", STAND_INS) == ["alpha", "beta"]

"""``sync-engine init``: write a commented configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sync_engine.cli.context import ending, examples, shared, stdout
from sync_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.text import Text

    from sync_engine.adapters.registry import ProviderEntry

EXAMPLES = examples(
    "sync-engine init",
    "sync-engine init --workspace acme --providers zoom,attio",
    "sync-engine init --print                 look at it first",
)
Ask = Callable[[str, bool], str]
"""Puts a question to a person; the flag says that the answer is secret. Empty: no answer."""


def init(
    ctx: typer.Context,
    config: Annotated[
        Path,
        typer.Option(
            "--config", "-c", metavar="FILE", envvar="SYNC_ENGINE_CONFIG", help="The file to write."
        ),
    ] = Path("sync-engine.toml"),
    workspace: Annotated[str, typer.Option(help="The name of the workspace.")] = "main",
    providers: Annotated[
        str, typer.Option(help="Which providers, with commas between them. [default: all of them]")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    to_stdout: Annotated[bool, typer.Option("--print", help="Print the file instead of writing it.")] = False,
) -> None:
    """Write a commented configuration to fill in, with what to click and tick at every provider."""
    with ending():
        from sync_engine.adapters.registry import known_providers

        source = ctx.get_parameter_source("config")
        if source is not None and source.name != "COMMANDLINE":
            config = shared(ctx).config or config
        known = known_providers()
        chosen = choose_providers(providers, known)
        usable_workspace(workspace)
        if not to_stdout:
            refuse_to_overwrite(config, force=force)
        interactive = not to_stdout and sys.stdin.isatty() and sys.stdout.isatty()
        text = compose(workspace, chosen, known, _prompt if interactive else None)
        if to_stdout:
            typer.echo(text, nl=False)
            return
        write_private(config, text, force=force)
        stdout().print(next_steps(config))


def choose_providers(names: str, known: Mapping[str, ProviderEntry]) -> list[str]:
    """Read the list of providers; empty means every known one."""
    from sync_engine.configuration.problems import suggestion

    chosen = list(dict.fromkeys(name for name in (part.strip() for part in names.split(",")) if name))
    for name in chosen:
        if name not in known:
            raise ConfigurationError(f'--providers names "{name}"; {suggestion(name, known)}')
    return chosen or list(known)


def usable_workspace(name: str) -> None:
    """Refuse a workspace's name that could not stand in an address."""
    from sync_engine.settings import check_name

    try:
        check_name(name)
    except ValueError as error:
        raise ConfigurationError(f'--workspace "{name}" {error}') from error


def compose(
    workspace: str, chosen: Sequence[str], known: Mapping[str, ProviderEntry], ask: Ask | None
) -> str:
    """Write the configuration's text; ``ask`` is None where nobody can answer."""
    from sync_engine.cli.template import NewConnection, render
    from sync_engine.core.meeting import Field

    connections = []
    for name in chosen:
        entry = known[name]
        guide = entry.guide
        answers = _ask_for(entry, ask) if ask else {}
        connections.append(NewConnection(guide.connection if guide else name, entry, answers))
    return render(workspace, connections, list(Field))


def _ask_for(entry: ProviderEntry, ask: Ask) -> dict[str, str]:
    from sync_engine.cli.template import questions
    from sync_engine.configuration.secrets import is_secret

    guide = entry.guide
    title = guide.title if guide else entry.name
    secrets = {key for key, info in entry.settings.model_fields.items() if is_secret(info)}
    answers = {}
    for key, place, optional in questions(entry):
        hint = f" ({place})" if place else ""
        later = "leave it empty to skip" if optional else "leave it empty to fill it in later"
        if answer := ask(f"{title} {key}{hint}; {later}", key in secrets).strip():
            answers[key] = answer
    return answers


def _prompt(question: str, secret: bool) -> str:
    answer: str = typer.prompt(question, default="", show_default=False, hide_input=secret)
    return answer


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Keep an existing file unless told otherwise."""
    if path.exists() and not force:
        raise ConfigurationError(f"{path} exists already; add --force to overwrite it, or --print to look")


def write_private(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read; it appears whole or not at all."""
    refuse_to_overwrite(path, force=force)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # The mode is given at creation: a file made readable first could be opened by others meanwhile.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; choose another --config"
        ) from error


def next_steps(path: Path) -> Text:
    """Say what to do with the file just written."""
    from rich.text import Text

    from sync_engine.settings import DEFAULT_FILE, FILE_VARIABLE

    named = "" if path == Path(DEFAULT_FILE) else f"export {FILE_VARIABLE}={path}\n"
    return Text(
        f"Wrote {path}; only you can read it.\n\n"
        "Next:\n"
        "1. Do at each provider what the file says; fill in all <angle brackets>.\n"
        "2. sync-engine check      verifies credentials, scopes, quotas and clocks\n"
        "3. sync-engine plan       shows what would change; writes nothing\n"
        "4. sync-engine sync       does it once; sync-engine up keeps doing it\n"
        f"{f'{chr(10)}Before them: {named}' if named else ''}"
    )

"""Maintenance forgets what is over and nothing else, keeps secrets under the newest key, and tells."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from sync_engine.bootstrap import StoreVault
from sync_engine.errors import CredentialsError
from sync_engine.services import steps
from sync_engine.services.maintain import Retention, maintain
from sync_engine.store.connections import ConnectionState
from sync_engine.store.keyring import Keyring
from sync_engine.store.unit_of_work import Store
from tests.lab import Lab

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
TOKEN = "refresh-token-of-anna"


@pytest.fixture
async def lab(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Lab]:
    """Give a whole engine against sandboxes."""
    shutil.copy(sqlite_template, tmp_path / "lab.db")
    async with Lab(tmp_path) as each:
        steps.begin(each.engine)
        yield each


def with_keys(lab: Lab, *keys: str) -> Store:
    return Store(lab.engine.store.engine, lab.engine.now, Keyring(keys))


def kept_text(lab: Lab) -> str:
    with lab.engine.store.engine.connect() as connection:
        return str(connection.execute(sa.text("SELECT value FROM secrets")).scalar_one())


async def test_what_is_over_is_forgotten_and_what_is_wanted_stays(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    lab.pass_time(days=500)

    upkeep = maintain(lab.engine, Retention())

    assert upkeep.forgotten["journal"] > 0
    assert upkeep.forgotten["outbox"] > 0
    assert upkeep.forgotten["runs"] > 0
    with lab.engine.store.reading() as uow:
        (meeting,) = uow.meetings.search("acme")
        assert uow.journal.latest("acme") == []
        assert uow.refs.of_meetings([meeting.id])


async def test_what_is_recent_is_kept(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    before = len(lab.journal())

    upkeep = maintain(lab.engine, Retention())

    assert set(upkeep.forgotten.values()) == {0}
    assert len(lab.journal()) == before


async def test_a_write_that_waits_for_a_person_is_never_forgotten(lab: Lab) -> None:
    lab.book()
    await lab.settle()
    with lab.engine.store.transaction() as uow:
        (meeting,) = uow.meetings.search("acme")
        rows = [row.id for row in uow.outbox.of_meeting(meeting.id)]
        uow.outbox.unpark(rows, lab.engine.now())
        uow.outbox.park(rows, "ask a person")
        uow.connection.execute(sa.text("UPDATE outbox SET finished_at = NULL"))
    lab.pass_time(days=500)

    maintain(lab.engine, Retention())

    with lab.engine.store.reading() as uow:
        assert len(uow.outbox.parked("acme")) == len(rows)


async def test_secrets_move_to_the_newest_key(lab: Lab) -> None:
    StoreVault(with_keys(lab, OLD), "acme/zoom", lab.engine.now).store(TOKEN)
    before = kept_text(lab)

    with with_keys(lab, NEW, OLD).transaction() as uow:
        moved = uow.connections.reseal_secrets()
        again = uow.connections.reseal_secrets()

    assert (moved, again) == ((1, 0), (0, 0))
    assert kept_text(lab) != before
    assert StoreVault(with_keys(lab, NEW), "acme/zoom", lab.engine.now).load() == TOKEN


async def test_secrets_from_before_there_was_a_key_are_encrypted(lab: Lab) -> None:
    with capture_logs() as logs:
        StoreVault(lab.engine.store, "acme/zoom", lab.engine.now).store(TOKEN)
    plain = kept_text(lab)

    with with_keys(lab, NEW).transaction() as uow:
        uow.connections.reseal_secrets()

    assert plain == TOKEN
    assert [line["event"] for line in logs] == ["secret_kept_in_plain"]
    assert TOKEN not in kept_text(lab)
    assert StoreVault(with_keys(lab, NEW), "acme/zoom", lab.engine.now).load() == TOKEN


async def test_a_lost_key_is_a_matter_of_that_connections_credentials(lab: Lab) -> None:
    StoreVault(with_keys(lab, OLD), "acme/zoom", lab.engine.now).store(TOKEN)

    with pytest.raises(CredentialsError, match="secret_key"):
        StoreVault(with_keys(lab, NEW), "acme/zoom", lab.engine.now).load()
    with with_keys(lab, NEW).transaction() as uow:
        assert uow.connections.reseal_secrets() == (0, 1)


async def test_connections_that_do_not_go_well_are_named(lab: Lab) -> None:
    await lab.sync()
    with lab.engine.store.transaction() as uow:
        uow.connections.pause("acme/attio", reason="refused", until=None, state=ConnectionState.UNAUTHORISED)
    fresh = maintain(lab.engine, Retention()).unwell
    lab.pass_time(hours=2)

    late = maintain(lab.engine, Retention()).unwell

    assert fresh == {"acme/attio": "unauthorised: refused"}
    assert late.keys() == {"acme/attio", "acme/zoom", "acme/lightfield", "acme/prospects"}


def test_retention_is_what_the_documentation_says() -> None:
    assert Retention().journal == timedelta(days=400)

"""The migrations make exactly the tables the code works with, on both databases, up and down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Engine

from sync_engine.errors import ConfigurationError
from sync_engine.store import schema
from sync_engine.store.engine import open_engine
from sync_engine.store.tables import metadata


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    opened = open_engine(empty_database_url)
    yield opened
    opened.dispose()


def _differences(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def _definitions(connection: Connection) -> set[tuple[str, ...]]:
    """Read every table, index and constraint as the database itself would spell it."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT type, name, sql FROM sqlite_master WHERE name != 'alembic_version' AND sql IS NOT NULL"
            " AND type = 'index'"
        )
        columns = connection.exec_driver_sql(
            'SELECT m.name, c.name, c.type, c."notnull", c.pk'
            " FROM sqlite_master m, pragma_table_info(m.name) c"
            " WHERE m.type = 'table' AND m.name != 'alembic_version'"
        )
        return {tuple(map(str, row)) for row in rows} | {tuple(map(str, row)) for row in columns}
    constraints = connection.exec_driver_sql(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text != 'alembic_version'"
    )
    indexes = connection.exec_driver_sql(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " AND tablename != 'alembic_version'"
    )
    columns = connection.exec_driver_sql(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name != 'alembic_version'"
    )
    return {tuple(map(str, row)) for rows in (constraints, indexes, columns) for row in rows}


def test_migrating_an_empty_database_makes_the_tables_of_the_metadata(engine: Engine) -> None:
    schema.upgrade(engine)

    assert _differences(engine) == []


def test_migrations_and_metadata_agree_on_every_index_and_constraint(engine: Engine) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        migrated = _definitions(connection)
        metadata.drop_all(connection)

        metadata.create_all(connection)

        assert _definitions(connection) == migrated
        assert len(migrated) > 100


def test_every_constraint_and_index_has_a_name_of_the_convention(engine: Engine) -> None:
    schema.upgrade(engine)

    inspector = sa.inspect(engine)
    names = [
        constraint["name"]
        for table in metadata.tables
        for constraint in [
            inspector.get_pk_constraint(table),
            *inspector.get_foreign_keys(table),
            *inspector.get_unique_constraints(table),
            *inspector.get_check_constraints(table),
            *inspector.get_indexes(table),
        ]
    ]
    prefixes = ("pk_", "fk_", "uq_", "ck_", "ix_")
    assert [name for name in names if not str(name).startswith(prefixes)] == []
    assert "ck_meetings_status" in names


def test_migrating_down_to_base_leaves_no_table_of_ours(engine: Engine) -> None:
    schema.upgrade(engine)

    schema.downgrade(engine)

    assert set(sa.inspect(engine).get_table_names()) <= {"alembic_version"}
    assert schema.current(engine) is None


def test_a_database_is_current_only_after_the_upgrade(engine: Engine) -> None:
    before = schema.is_current(engine)

    schema.upgrade(engine)

    assert before is False
    assert schema.is_current(engine) is True
    assert schema.current(engine) == schema.head()


def test_the_release_before_goes_on_when_a_later_one_has_migrated(engine: Engine) -> None:
    schema.upgrade(engine)

    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    assert schema.is_usable(engine)
    assert not schema.is_current(engine)


def test_a_database_that_was_not_migrated_yet_is_of_no_use(engine: Engine) -> None:
    empty = schema.is_usable(engine)
    schema.upgrade(engine, "0001")

    assert not empty
    assert not schema.is_usable(engine)


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    schema.upgrade(engine)
    schema.upgrade(engine)

    assert _differences(engine) == []


def test_several_processes_that_migrate_at_once_all_succeed(engine: Engine) -> None:
    failures: list[BaseException] = []

    def migrate() -> None:
        own = open_engine(engine.url.render_as_string(hide_password=False))
        try:
            schema.upgrade(own)
        except BaseException as error:
            failures.append(error)
        finally:
            own.dispose()

    threads = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert failures == []
    assert schema.is_current(engine)


def test_a_database_url_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_engine("my-secret-password")

    assert "my-secret-password" not in str(caught.value)


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        open_engine("mysql://localhost/meetings")

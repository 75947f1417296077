"""Whether this process can do its work now: the database answers and has the tables of this release."""

from __future__ import annotations

from sync_engine.services.engine import Engine
from sync_engine.store import schema

READY = "ok"


def database_standing(engine: Engine) -> str:
    """Say how the database is: ``ok``, or in a few words what is wrong; blocks until it answers."""
    try:
        usable = schema.is_usable(engine.store.engine)
    except Exception as error:
        # What it says may hold its address; its kind is enough to look in the right place.
        return f"does not answer ({type(error).__name__})"
    return READY if usable else "has the tables of another release"

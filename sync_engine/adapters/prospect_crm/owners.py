"""Who owns a meeting: the API knows users by id only, so a configured map translates both ways."""

from __future__ import annotations

from collections.abc import Mapping

from sync_engine.core.meeting import Value, normal_email

NO_OWNER = "the organizer is not in owner_map and default_owner_id is not set"


class Owners:
    """Translate between organizers' e-mail addresses and user ids."""

    def __init__(self, owner_map: Mapping[str, str], default_owner_id: str) -> None:
        self._ids = dict(owner_map)
        self._default = default_owner_id
        # Of several addresses of one user the first in the configuration is the one shown.
        self._emails: dict[str, str] = {}
        for email, user_id in owner_map.items():
            self._emails.setdefault(user_id, email)

    @property
    def default_id(self) -> str:
        """Give the user who owns what has no mapped organizer; empty for nobody."""
        return self._default

    def knows(self, email: str) -> bool:
        """Tell whether an address belongs to a user."""
        return email in self._ids

    def email_of(self, user_id: str | None) -> str | None:
        """Give the address a user is shown under, None where the map does not name the user."""
        return self._emails.get(user_id or "")

    def id_of(self, email: str) -> str:
        """Give the owner for an organizer: the mapped user, else the default, else empty."""
        return self._ids.get(normal_email(email), self._default)

    def normalise(self, value: Value) -> Value:
        """Give the organizer a record would show after a write."""
        return self.email_of(self.id_of(value)) or "" if isinstance(value, str) else value

    def refuse(self, value: Value) -> str | None:
        """Refuse an organizer nobody can stand for."""
        return NO_OWNER if isinstance(value, str) and not self.id_of(value) else None

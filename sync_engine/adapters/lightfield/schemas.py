"""The wire in Lightfield's own words; lenient, because the API is in beta and grows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sync_engine.core.ports import Json


class Wire(BaseModel):
    """Ignore what we do not know."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Wrapped(Wire):
    """A field as reads show it; writes take the bare value."""

    value: Json = None


class Relationship(Wire):
    """Ids of related records."""

    values: list[str] = Field(default_factory=list)


class Meeting(Wire):
    """A meeting as far as it is synced."""

    access_level: str = Field(alias="accessLevel")
    fields: dict[str, Wrapped]


class Attachments(Wire):
    """What hangs on a meeting and cannot be moved to another one."""

    id: str
    relationships: dict[str, Relationship] = Field(default_factory=dict)

    def ids(self, name: str) -> list[str]:
        """Give the related ids under a name; none where the relationship is not shown."""
        found = self.relationships.get(name)
        return found.values if found else []


class KeyFacts(Wire):
    """What the key in use may do; no scopes at all means everything."""

    active: bool = True
    subject_type: str = Field(alias="subjectType", default="")
    scopes: list[str]

    def allows(self, scope: str) -> bool:
        """Tell whether the key has a scope."""
        return not self.scopes or scope in self.scopes


class UploadSession(Wire):
    """Where and how to upload a file."""

    id: str
    upload_url: str = Field(alias="uploadUrl")
    upload_headers: dict[str, str] = Field(alias="uploadHeaders")


class StoredFile(Wire):
    """A file and the state of its upload."""

    id: str
    status: Literal["PENDING", "COMPLETED", "CANCELLED", "EXPIRED"]


class Download(Wire):
    """A short-lived link to a file."""

    url: str

"""The file API: upload sessions, the storage host behind them, and download links."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sync_engine.sandbox.lightfield.problems import ApiError, invalid_type, missing, not_found
from sync_engine.sandbox.lightfield.records import instant

SESSION_LIFETIME = timedelta(hours=1)
LARGEST_FILE = 536_870_912
PURPOSES = frozenset({"meeting_transcript", "knowledge_user", "knowledge_workspace", "email_attachment"})
TRANSCRIPT_TYPES = frozenset({"text/plain", "text/vtt", "text/markdown", "application/json"})

# What HTTP itself puts on an upload; everything else has to be one of the signed headers.
_TRANSPORT = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "transfer-encoding"}
)


@dataclass
class StoredFile:
    """One file and its upload session."""

    id: str
    filename: str
    mime_type: str
    size: int
    created_at: datetime
    path: str
    headers: dict[str, str]
    status: str = "PENDING"
    completed_at: datetime | None = None
    content: bytes | None = None

    @property
    def expires_at(self) -> datetime:
        """Give the end of the upload session."""
        return self.created_at + SESSION_LIFETIME

    def shown(self) -> dict[str, Any]:
        """Write the file as the API does."""
        return {
            "id": self.id,
            "status": self.status,
            "filename": self.filename,
            "mimeType": self.mime_type,
            "sizeBytes": self.size,
            "createdAt": instant(self.created_at),
            "completedAt": instant(self.completed_at) if self.completed_at else None,
            "expiresAt": instant(self.expires_at) if self.status == "PENDING" else None,
        }


class Files:
    """All files of the organization."""

    def __init__(self) -> None:
        self._by_id: dict[str, StoredFile] = {}
        self._by_path: dict[str, StoredFile] = {}

    def page(self, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Give one page of files, newest first."""
        newest = list(reversed(self._by_id.values()))
        return [file.shown() for file in newest[offset : offset + limit]], len(newest)

    def get(self, file_id: str, now: datetime) -> StoredFile:
        """Give a file; a session that ran out is expired by then."""
        file = self._by_id.get(file_id)
        if file is None:
            raise not_found("file")
        if file.status == "PENDING" and now >= file.expires_at:
            file.status = "EXPIRED"
        return file

    def attachable(self, file_id: str, now: datetime) -> str:
        """Check that a file can become a transcript and give its id."""
        file = self._by_id.get(file_id)
        if file is None:
            raise ApiError(
                400,
                "The file does not exist.",
                code="relationship_entity_missing",
                param="relationships.$transcript",
            )
        if self.get(file_id, now).status != "COMPLETED":
            raise ApiError(422, "The upload is not complete.", param="relationships.$transcript")
        return file.id

    def create(self, file_id: str, secret: str, body: Mapping[str, Any], now: datetime) -> StoredFile:
        """Open an upload session."""
        for key in ("filename", "mimeType", "sizeBytes"):
            if key not in body:
                raise missing(key)
        name, mime, size = body["filename"], body["mimeType"], body["sizeBytes"]
        if not isinstance(name, str) or not 1 <= len(name) <= 255:
            raise invalid_type("filename")
        if not isinstance(mime, str):
            raise invalid_type("mimeType")
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_FILE:
            raise invalid_type("sizeBytes")
        purpose = body.get("purpose")
        if purpose is not None and purpose not in PURPOSES:
            raise invalid_type("purpose")
        if purpose == "meeting_transcript" and mime not in TRANSCRIPT_TYPES:
            raise ApiError(422, "This type is not allowed for a transcript.", param="mimeType")
        path = f"/storage/{secret}"
        signed = {"content-type": mime, "x-storage-signature": hashlib.sha256(secret.encode()).hexdigest()}
        file = StoredFile(file_id, name, mime, size, now, path, signed)
        self._by_id[file_id] = self._by_path[path] = file
        return file

    def put_by_hand(self, file: StoredFile) -> None:
        """Keep a finished file that did not come through the API (a recording's transcript)."""
        self._by_id[file.id] = self._by_path[file.path] = file

    def complete(self, file_id: str, md5: str | None, now: datetime) -> StoredFile:
        """Close a session whose bytes have arrived."""
        file = self._pending(file_id, now)
        if file.content is None or len(file.content) != file.size:
            raise ApiError(422, "The uploaded bytes are missing or incomplete.")
        if md5 is not None and hashlib.md5(file.content, usedforsecurity=False).hexdigest() != md5:
            raise ApiError(422, "The checksum does not match.", param="md5")
        file.status, file.completed_at = "COMPLETED", now
        return file

    def cancel(self, file_id: str, now: datetime) -> StoredFile:
        """Give a session up."""
        file = self._pending(file_id, now)
        file.status = "CANCELLED"
        return file

    def _pending(self, file_id: str, now: datetime) -> StoredFile:
        file = self.get(file_id, now)
        if file.status != "PENDING":
            raise ApiError(409, "The upload is not pending any more.")
        return file

    async def storage(self, request: Request, now: datetime) -> Response:
        """Answer as the storage host: it knows signed headers and nothing of the API's credentials."""
        file = self._by_path.get(request.url.path)
        if file is None:
            return _xml(404, "NoSuchKey")
        if request.method == "GET":
            return Response(file.content or b"", media_type=file.mime_type)
        sent = {key: value for key, value in request.headers.items() if key not in _TRANSPORT}
        if sent != file.headers:
            return _xml(403, "SignatureDoesNotMatch")
        if now >= file.expires_at or file.status != "PENDING":
            return _xml(403, "AccessDenied")
        file.content = await request.body()
        return Response(status_code=200)


def _xml(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code></Error>", status, media_type="application/xml")

"""How a person prepares an Attio workspace for the engine; facts read in the set-up pages, 2026-11."""

from __future__ import annotations

from sync_engine.adapters.guide import Guide

GUIDE = Guide(
    title="Attio",
    connection="attio",
    steps=(
        "Open app.attio.com as an administrator: Workspace settings, Developers, create an access token. "
        "It has to belong to the workspace; a user's token may not list meetings.",
        "Tick the scopes below; a new token has none.",
        "For webhooks: add one there with the target URL https://YOUR-HOST/webhooks/{workspace}/{connection} "
        "and copy its secret.",
    ),
    scopes=(
        "meeting:read-write",
        "record_permission:read",
        "object_configuration:read",
        "call_recording:read",
    ),
    optional_scopes={
        "webhook:read-write": "to let the engine register its webhook",
        "call_recording:read-write": "with transcripts = true",
    },
    keys={
        "access_token": "an access token of the workspace; Attio: Workspace settings, Developers",
        "webhook_secret": "the signing secret of the webhook; Attio: Workspace settings, Developers",
    },
    explained={
        "skip_participants": 'addresses that must not become people there: ["room-*@example.com"]',
    },
)

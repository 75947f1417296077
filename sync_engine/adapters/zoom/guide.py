"""How a person prepares a Zoom account for the engine; facts read in the set-up pages, 2026-11."""

from __future__ import annotations

from sync_engine.adapters.guide import Guide

GUIDE = Guide(
    title="Zoom",
    connection="zoom",
    steps=(
        "Open marketplace.zoom.us as an administrator: Develop, Build App, Server-to-Server OAuth App.",
        "App Credentials: copy account id, client id and client secret.",
        "Feature: copy the secret token; then Event Subscriptions, endpoint URL "
        "https://YOUR-HOST/webhooks/{workspace}/{connection}, and subscribe to meeting created, updated, "
        "deleted, permanently deleted, recovered, started and ended.",
        "Scopes: tick those below; then activate the app.",
    ),
    scopes=(
        "user:read:list_users:admin",
        "meeting:read:list_meetings:admin",
        "meeting:read:meeting:admin",
        "meeting:write:meeting:admin",
        "meeting:update:meeting:admin",
        "meeting:delete:meeting:admin",
        "meeting:update:status:admin",
    ),
    optional_scopes={
        "tracking_field:read:list_tracking_fields:admin": "to mark our meetings, if there is the field",
        "cloud_recording:read:meeting_transcript:admin": "with transcripts = true",
    },
    keys={
        "account_id": "the account id on the page App Credentials of your Zoom app",
        "client_id": "the client id on the page App Credentials of your Zoom app",
        "client_secret": "the client secret on the page App Credentials of your Zoom app",
        "webhook_secret": "the secret token on the page Feature of your Zoom app; webhooks need it",
        "default_host": "the e-mail address of the Zoom user who hosts meetings born elsewhere",
    },
    needed=("account_id",),
    explained={
        "auth_url": "where access tokens come from",
        "refresh_token": "instead of account_id, for an app that one user authorised",
        "hosts": "e-mail addresses; empty means every host of the account",
        "daily_write_reserve": "of the 100 writes a host has a day, how many are kept back for deletions",
    },
)

"""How a person prepares a HiringCenter Pro account for the engine; facts read in its pages, 2026-11."""

from __future__ import annotations

from sync_engine.adapters.guide import Guide

GUIDE = Guide(
    title="HiringCenter Pro",
    connection="prospects",
    steps=(
        "Open Settings, API / Webhooks, Add API Key; copy the key, it cannot be shown again.",
        "Allow the key to read and write meetings and to read prospects.",
        "For webhooks: add the endpoint https://YOUR-HOST/webhooks/{workspace}/{connection} there "
        "and copy its secret.",
    ),
    keys={
        "api_key": "an API key made in HiringCenter Pro below Settings, API / Webhooks",
        "webhook_secret": "the secret of the endpoint in HiringCenter Pro below Settings, API / Webhooks",
        "default_owner_id": "the id of the user who owns there what owner_map does not give to another",
    },
    needed=("default_owner_id",),
    explained={
        "owner_map": 'organizer to user id: { "anna@example.com" = "b2e7..." }',
        "default_duration_minutes": "the CRM keeps no end; a meeting born there lasts so long",
        "notes": "internal: notes stay in the CRM | description: they are shared",
        "update_method": "auto | POST | PATCH | PUT",
        "create_prospects": "make a prospect of a guest whom the CRM does not know",
        "internal_domains": "guests of these are colleagues, never prospects",
        "per_minute": "our share of the account's requests a minute",
        "per_hour": "our share of its requests an hour; 0 counts no hours",
    },
)

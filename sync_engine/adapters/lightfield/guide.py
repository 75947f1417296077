"""How a person prepares a Lightfield organization for the engine; facts read in the set-up pages, 2026-11."""

from __future__ import annotations

from sync_engine.adapters.guide import Guide

GUIDE = Guide(
    title="Lightfield",
    connection="lightfield",
    steps=(
        "Open crm.lightfield.app/crm/settings/api-keys as an administrator and create a key; "
        "it is shown only once. It can never do more than you could on the day you made it.",
        "Tick the scopes below. Without the last two, deletions are not carried out and seen late.",
        "There are no webhooks. A workflow may call https://YOUR-HOST/webhooks/{workspace}/{connection} "
        "when a meeting changes; choose a long random text, send it along as a header and write it below "
        "as webhook_secret.",
    ),
    scopes=(
        "meetings:read",
        "meetings:create",
        "meetings:update",
        "meetings:delete",
        "meetings:restore",
    ),
    optional_scopes={
        "files:create": "with transcripts = true",
        "files:read": "with transcripts = true",
    },
    keys={
        "api_key": "an API key made at crm.lightfield.app/crm/settings/api-keys; it begins with sk_lf_",
        "webhook_secret": "the text your Lightfield workflow sends along; only if you made such a workflow",
    },
    explained={
        "create_margin_minutes": "how long after its end a meeting is created; only past ones can be",
        "auto_create_records": "let accounts and contacts be made of external attendees, which may be billed",
        "webhook_header": "the header your workflow sends webhook_secret in",
    },
)

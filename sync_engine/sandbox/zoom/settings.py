"""Meeting settings: what they default to and what Zoom refuses in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "host_video": False,
    "participant_video": False,
    "cn_meeting": False,
    "in_meeting": False,
    "join_before_host": False,
    "jbh_time": 0,
    "mute_upon_entry": False,
    "watermark": False,
    "use_pmi": False,
    "approval_type": 2,
    "audio": "both",
    "auto_recording": "none",
    "enforce_login": False,
    "enforce_login_domains": "",
    "alternative_hosts": "",
    "alternative_hosts_email_notification": True,
    "close_registration": False,
    "show_share_button": False,
    "allow_multiple_devices": False,
    "registrants_confirmation_email": True,
    "registrants_email_notification": True,
    "waiting_room": False,
    "request_permission_to_unmute_participants": False,
    "meeting_authentication": False,
    "encryption_type": "enhanced_encryption",
    "email_notification": True,
    "private_meeting": False,
    "internal_meeting": False,
    "participant_focused_meeting": False,
    "push_change_to_calendar": False,
    "focus_mode": False,
    "device_testing": False,
    "disable_participant_video": False,
    "host_save_video_order": False,
    "auto_start_meeting_summary": False,
    "auto_start_ai_companion_questions": False,
}
OF_ONE_OCCURRENCE = frozenset(
    {
        "host_video",
        "participant_video",
        "join_before_host",
        "mute_upon_entry",
        "waiting_room",
        "watermark",
        "auto_recording",
    }
)
# A ``meeting.updated`` names only these settings, whatever else changed.
IN_WEBHOOKS = frozenset(
    {
        "host_video",
        "participant_video",
        "join_before_host",
        "jbh_time",
        "mute_upon_entry",
        "audio",
        "auto_recording",
        "use_pmi",
        "waiting_room",
        "watermark",
        "enforce_login",
        "enforce_login_domains",
        "approval_type",
        "registration_type",
        "alternative_hosts",
        "meeting_authentication",
        "authentication_option",
        "authentication_name",
        "authentication_domains",
        "meeting_invitees",
        "language_interpretation",
        "sign_language_interpretation",
        "continuous_meeting_chat",
        "auto_start_meeting_summary",
        "who_will_receive_summary",
        "auto_start_ai_companion_questions",
        "who_can_ask_questions",
        "summary_template_id",
        "allow_host_control_participant_mute_state",
        "email_in_attendee_report",
    }
)
NOT_ON_CREATE = frozenset(
    {"authentication_name", "global_dial_in_numbers", "enforce_login", "enforce_login_domains"}
)
NOT_ON_UPDATE = frozenset({"additional_data_center_regions", "show_join_info"})
_BOOLEANS = frozenset(
    {
        *(name for name, value in DEFAULTS.items() if isinstance(value, bool)),
        "allow_host_control_participant_mute_state",
        "alternative_host_manage_cloud_recording",
        "alternative_host_manage_meeting_summary",
        "alternative_host_update_polls",
        "email_in_attendee_report",
        "show_join_info",
    }
)
_CHOICES: dict[str, tuple[object, ...]] = {
    "jbh_time": (0, 5, 10, 15),
    "audio": ("both", "telephony", "voip", "thirdParty"),
    "auto_recording": ("local", "cloud", "none"),
    "approval_type": (0, 1, 2),
    "registration_type": (1, 2, 3),
    "calendar_type": (1, 2),
    "encryption_type": ("enhanced_encryption", "e2ee"),
    "who_will_receive_summary": (1, 2, 3, 4),
    "who_can_ask_questions": (1, 2, 3, 4, 5),
}
_TEXTS = frozenset(
    {
        "alternative_hosts",
        "authentication_domains",
        "authentication_name",
        "authentication_option",
        "contact_email",
        "contact_name",
        "enforce_login_domains",
        "summary_template_id",
    }
)
_OBJECTS = frozenset(
    {
        "breakout_room",
        "continuous_meeting_chat",
        "language_interpretation",
        "question_and_answer",
        "sign_language_interpretation",
        "waiting_room_options",
    }
)
_LISTS = frozenset(
    {
        "additional_data_center_regions",
        "authentication_exception",
        "custom_keys",
        "global_dial_in_countries",
        "global_dial_in_numbers",
        "meeting_invitees",
        "resources",
    }
)
KNOWN = _BOOLEANS | _CHOICES.keys() | _TEXTS | _OBJECTS | _LISTS


def mistakes(settings: object) -> Iterator[tuple[str, str]]:
    """List what Zoom would refuse, as (field, message). Names it does not know are no mistake."""
    if not isinstance(settings, dict):
        yield "settings", "Invalid field."
        return
    for name, value in settings.items():
        if value is not None and not _fits(name, value):
            yield f"settings.{name}", "Invalid field."


def _fits(name: str, value: object) -> bool:
    if name in _BOOLEANS:
        return isinstance(value, bool)
    if name in _CHOICES:
        return not isinstance(value, bool) and value in _CHOICES[name]
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _OBJECTS:
        return isinstance(value, dict)
    if name == "meeting_invitees":
        return isinstance(value, list) and all(_is_invitee(each) for each in value)
    if name == "custom_keys":
        return isinstance(value, list) and len(value) <= 10 and all(_is_custom_key(each) for each in value)
    return name not in _LISTS or isinstance(value, list)


def _is_invitee(entry: object) -> bool:
    email = entry.get("email") if isinstance(entry, dict) else None
    return isinstance(email, str) and "@" in email


def _is_custom_key(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    key, value = entry.get("key"), entry.get("value")
    return isinstance(key, str) and len(key) <= 64 and isinstance(value, str) and len(value) <= 256


def taken(
    settings: Mapping[str, Any], *, creating: bool, custom_keys_on_create: bool = False
) -> dict[str, Any]:
    """Give the part of valid settings that Zoom keeps; the rest it drops without a word."""
    dropped = NOT_ON_CREATE if creating else NOT_ON_UPDATE
    if creating and not custom_keys_on_create:
        dropped = dropped | {"custom_keys"}
    kept = {
        name: value
        for name, value in settings.items()
        if name in KNOWN and name not in dropped and value is not None
    }
    if "meeting_invitees" in kept:
        kept["meeting_invitees"] = [{"email": each["email"]} for each in kept["meeting_invitees"]]
    if "custom_keys" in kept:
        kept["custom_keys"] = [{"key": each["key"], "value": each["value"]} for each in kept["custom_keys"]]
    return kept

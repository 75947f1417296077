"""A recurrence rule turned into the moments it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sync_engine.sandbox.zoom.times import read_moment, zone_info

MAX_OCCURRENCES = 50
_MOST_APART = {1: 99, 2: 50, 3: 10}


def mistakes(rule: object, *, complete: bool) -> list[tuple[str, str]]:
    """List what Zoom would refuse in a rule, as (field, message).

    ``complete`` asks for every part to be there, as an update does; a create fills gaps with defaults.
    """
    if not isinstance(rule, dict):
        return [("recurrence", "Invalid field.")]
    kind = rule.get("type")
    if type(kind) is not int or kind not in _MOST_APART:
        return [("recurrence.type", "Invalid field.")]
    found = list(_out_of_range(rule, kind))
    if "end_times" in rule and "end_date_time" in rule:
        found.append(("recurrence.end_date_time", "Only one of end_times and end_date_time is allowed."))
    if complete and _gaps(rule, kind):
        found.append(("recurrence", "The recurrence object is not complete."))
    return found


def _gaps(rule: Mapping[str, Any], kind: int) -> bool:
    ends = "end_times" in rule or "end_date_time" in rule
    weekly = kind != 2 or "weekly_days" in rule
    monthly = kind != 3 or "monthly_day" in rule or {"monthly_week", "monthly_week_day"} <= rule.keys()
    return not ("repeat_interval" in rule and ends and weekly and monthly)


def _out_of_range(rule: Mapping[str, Any], kind: int) -> Iterator[tuple[str, str]]:
    ranges = {
        "repeat_interval": range(1, _MOST_APART[kind] + 1),
        "monthly_day": range(1, 32),
        "monthly_week": (-1, 1, 2, 3, 4),
        "monthly_week_day": range(1, 8),
        "end_times": range(61),
    }
    for name, allowed in ranges.items():
        if name in rule and (type(rule[name]) is not int or rule[name] not in allowed):
            yield f"recurrence.{name}", "Invalid field."
    days = rule.get("weekly_days", "1")
    if not isinstance(days, str) or not {d.strip() for d in days.split(",")} <= set("1234567"):
        yield "recurrence.weekly_days", "Invalid field."
    until = rule.get("end_date_time", "2000-01-01T00:00:00Z")
    if not isinstance(until, str) or read_moment(until) is None:
        yield "recurrence.end_date_time", "Invalid field."


def stored(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Give a rule as Zoom keeps it: known parts only, defaults filled in."""
    kept: dict[str, Any] = {"type": rule["type"], "repeat_interval": rule.get("repeat_interval", 1)}
    if rule["type"] == 2:
        kept["weekly_days"] = rule.get("weekly_days", "1")
    if rule["type"] == 3:
        if "monthly_week_day" in rule and "monthly_week" in rule:
            kept["monthly_week"], kept["monthly_week_day"] = rule["monthly_week"], rule["monthly_week_day"]
        else:
            kept["monthly_day"] = rule.get("monthly_day", 1)
    if "end_date_time" in rule:
        kept["end_date_time"] = rule["end_date_time"]
    else:
        kept["end_times"] = rule.get("end_times", 1)
    return kept


def expand(rule: Mapping[str, Any], start: datetime, zone: str) -> list[datetime]:
    """Give the starts of a stored rule, aware UTC, at most 50, none before ``start``.

    The clock reading in ``zone`` stays the same over a change of clocks; the instants move.
    """
    rules = zone_info(zone)
    first = start.astimezone(rules)
    count = min(rule.get("end_times") or MAX_OCCURRENCES, MAX_OCCURRENCES)
    until = read_moment(rule["end_date_time"]) if "end_date_time" in rule else None
    starts: list[datetime] = []
    for day in _days(rule, first.date()):
        moment = datetime.combine(day, first.time(), tzinfo=rules).astimezone(UTC)
        if len(starts) == count or (until is not None and moment > until):
            break
        if moment >= start:
            starts.append(moment)
    return starts


def _days(rule: Mapping[str, Any], first: date) -> Iterator[date]:
    apart = rule["repeat_interval"]
    # A bound for rules that hit no day; 50 steps of the widest rule stay well inside it.
    last = first + timedelta(days=366 * 50)
    if rule["type"] == 1:
        yield from (first + timedelta(days=apart * step) for step in range(MAX_OCCURRENCES + 1))
        return
    if rule["type"] == 2:
        wanted = sorted({int(day) - 1 for day in rule["weekly_days"].split(",")})
        sunday = first - timedelta(days=first.isoweekday() % 7)
        while sunday < last:
            yield from (day for offset in wanted if (day := sunday + timedelta(days=offset)) >= first)
            sunday += timedelta(weeks=apart)
        return
    year, month = first.year, first.month
    while date(year, month, 1) < last:
        found = _day_of_month(rule, year, month)
        if found is not None and found >= first:
            yield found
        year, month = year + (month - 1 + apart) // 12, (month - 1 + apart) % 12 + 1


def _day_of_month(rule: Mapping[str, Any], year: int, month: int) -> date | None:
    begin = date(year, month, 1)
    end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    if "monthly_day" in rule:
        # A month without that day has no occurrence.
        return begin.replace(day=rule["monthly_day"]) if rule["monthly_day"] <= end.day else None
    wanted = rule["monthly_week_day"] - 1
    if rule["monthly_week"] == -1:
        return end - timedelta(days=(end.isoweekday() % 7 - wanted) % 7)
    offset = (wanted - begin.isoweekday() % 7) % 7
    return begin + timedelta(days=offset + 7 * (rule["monthly_week"] - 1))

"""Values as odd as a normaliser may ever meet."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from sync_engine.core.meeting import Field, Participant, Response, Schedule, Value, participants
from tests.contract.bench import START

# Long enough for every limit to cut them, with blanks and line ends wherever the cut may fall.
long_texts = st.sampled_from(["a ", "ab ", "abc\n", "a\r\n", "a\r\r\n", "x", "  \n", "\u00a0a"]).map(
    lambda part: part * (12_000 // len(part))
)
texts = st.text(max_size=500) | long_texts
moments = st.integers(-600_000_000, 2_000_000_000).map(lambda seconds: START + timedelta(seconds=seconds))
schedules = st.builds(
    lambda start, seconds, zone, assumed: Schedule.timed(
        start, timedelta(seconds=seconds), zone, assumed_end=assumed
    ),
    moments,
    st.integers(0, 200_000),
    st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York"]),
    st.booleans(),
)
all_days = st.builds(
    lambda start, days: Schedule.dates(start.date(), start.date() + timedelta(days=days)),
    moments,
    st.integers(1, 9),
)
people = st.lists(
    st.builds(
        Participant,
        st.from_regex(r"[a-zA-Z0-9._+-]{1,12}@[a-z]{1,8}\.example", fullmatch=True),
        st.none() | st.text(max_size=20),
        st.none() | st.sampled_from(list(Response)),
    ),
    max_size=12,
).map(participants)


def values_of(name: Field) -> st.SearchStrategy[Value]:
    """Give values of one field, the odd ones too."""
    if name is Field.SCHEDULE:
        return st.one_of(schedules, all_days)
    return people if name is Field.PARTICIPANTS else texts

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_engine.core.links import conference_keys, first_url, is_url

NUMBER = "97763643886"


@pytest.mark.parametrize(
    "text",
    [
        f"https://zoom.us/j/{NUMBER}",
        f"https://us02web.zoom.us/j/{NUMBER}?pwd=abcDEF.1",
        f"http://acme.zoom.us/s/{NUMBER}#success",
        f"https://acme-eu.zoom.us/w/{NUMBER}?tk=x",
        f"https://zoomgov.com/j/{NUMBER}",
        f"https://agency.zoomgov.com/j/{NUMBER}?pwd=x",
        f"https://zoom.com/j/{NUMBER}",
        f"https://app.zoom.us/wc/{NUMBER}/join?fromPWA=1",
        f"https://zoom.us/wc/join/{NUMBER}",
        f"https://us06web.zoom.us/wc/{NUMBER}/start",
        f"https://us06web.zoom.us/start/{NUMBER}",
        f"https://zoom.us/meeting/{NUMBER}",
        f"zoommtg://zoom.us/join?action=join&confno={NUMBER}&pwd=x",
        f"zoomus://zoom.us/join?confno={NUMBER}",
        f"zoom.us/j/{NUMBER}",
        f"HTTPS://ZOOM.US/J/{NUMBER}",
        f"Join here: https://zoom.us/j/{NUMBER}. See you!",
        f'<a href="https://zoom.us/j/{NUMBER}?pwd=x&amp;from=addon">Join</a>',
        f"<https://zoom.us/j/{NUMBER}>",
        f"https://www.google.com/url?q=https://zoom.us/j/{NUMBER}%3Fpwd%3Dx&sa=D",
        f"https://eu.safelinks.example/?url=https%3A%2F%2Fus02web.zoom.us%2Fj%2F{NUMBER}%3Fpwd%3Dx&data=05",
        "Ann invites you to Zoom.\nMeeting ID: 977 6364 3886\nPasscode: 123456",
        "zoom meeting-id: 977-6364-3886",
        "Zoom\r\nMeeting ID: 97763643886\r\n",
    ],
)
def test_a_zoom_meeting_is_known_by_its_number_in_every_form(text: str) -> None:
    assert conference_keys(text) == {f"zoom:{NUMBER}"}


@pytest.mark.parametrize(
    ("text", "room"),
    [
        ("https://acme.zoom.us/my/Ann.Lee?pwd=x", "ann.lee"),
        ("Always at zoom.us/my/ann-lee.", "ann-lee"),
        ("(https://zoom.us/my/annlee)", "annlee"),
    ],
)
def test_a_vanity_link_names_a_room(text: str, room: str) -> None:
    assert conference_keys(text) == {f"zoom-room:{room}"}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no link",
        f"https://notzoom.us/j/{NUMBER}",
        f"https://zoom.us.evil.example/j/{NUMBER}",
        f"https://zoom.usa/j/{NUMBER}",
        "https://zoom.us/j/12345",
        "https://zoom.us/j/1234567890123",
        "https://zoom.us/rec/share/97763643886",
        "https://zoom.us/meeting/register/tJcud-yqrzksG9",
        "https://teams.example/l/meetup-join/19%3ameeting_zoom",
        "Meeting ID: 977 6364 3886",
        "Instead of Zoom: Meeting ID: 234 567 890 123",
        "Instead of Zoom: Meeting ID: 234 567 890 123 4",
        "zoom or phone: +49 977 6364 3886",
    ],
)
def test_what_only_resembles_a_zoom_meeting_gives_no_key(text: str | None) -> None:
    assert conference_keys(text) == frozenset()


def test_keys_of_several_texts_are_put_together() -> None:
    texts = (f"https://zoom.us/j/{NUMBER}", None, "https://zoom.us/j/123456789 and zoom.us/my/ann")

    assert conference_keys(*texts) == {f"zoom:{NUMBER}", "zoom:123456789", "zoom-room:ann"}


@given(st.text(max_size=300))
def test_no_text_makes_the_search_fail(text: str) -> None:
    conference_keys(text, f"zoom {text} %2F")
    found = first_url(f"https://a.example/{text}")

    assert found is not None
    assert is_url(found)


@pytest.mark.parametrize("part", ["a", "a.", "zoom.", "zoom.us/join?", "&confno=", "%2f", "meeting id: 1 "])
def test_long_hostile_texts_take_time_in_proportion(part: str) -> None:
    started = time.process_time()

    conference_keys(f"zoom %2f {part * (60_000 // len(part))}")

    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("Join https://video.example/room/5.", "https://video.example/room/5"),
        ("(see http://a.example/b?c=d&e=f), or call", "http://a.example/b?c=d&e=f"),
        ('<a href="https://a.example/b">x</a>', "https://a.example/b"),
        ("[room](https://a.example/b)", "https://a.example/b"),
        ("Room 51", None),
        ("ftp://a.example", None),
        (None, None),
    ],
)
def test_the_first_url_of_a_text_is_found_without_its_surroundings(text: str | None, url: str | None) -> None:
    assert first_url(text) == url


def test_a_url_with_words_around_it_is_no_url() -> None:
    assert is_url(" https://a.example/b ")
    assert not is_url("Room 5, https://a.example/b")
    assert not is_url("")

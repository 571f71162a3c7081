from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_accounts.domain.faults import Faults
from eros_accounts.domain.profile import Place, Preferences, ProfileChange
from eros_accounts.domain.profile_rules import ProfileDraft, check, photo_fault
from eros_common.errors import InvalidArgument

YEAR = 2026
PHOTO = "https://photos.example/1.jpg"


def accepted(draft: ProfileDraft) -> ProfileChange:
    faults = Faults()
    change = check(draft, year=YEAR, faults=faults)
    faults.refuse_if_any()
    return change


def refused(draft: ProfileDraft, at: str = "") -> list[str]:
    faults = Faults()
    check(draft, year=YEAR, faults=faults, at=at)
    with pytest.raises(InvalidArgument) as refusal:
        faults.refuse_if_any()
    assert refusal.value.message.startswith(refusal.value.fields[0].field)
    return [fault.field for fault in refusal.value.fields]


def test_nothing_changes_nothing() -> None:
    assert accepted(ProfileDraft()) == ProfileChange()


def test_a_whole_change() -> None:
    place, sought = Place(" Zürich ", 47.4, 8.5, "Europe/Zurich"), Preferences((), 30, 40, 25.0)
    change = accepted(
        ProfileDraft(
            name="  Ann ",
            bio="one\r\ntwo",
            photos=[PHOTO],
            interests=[" chess ", "🎻"],
            age=33,
            place=place,
            preferences=sought,
        )
    )
    assert change == ProfileChange(
        name="Ann",
        bio="one\ntwo",
        photos=(PHOTO,),
        interests=("chess", "🎻"),
        birth_year=1993,
        place=Place("Zürich", 47.4, 8.5, "Europe/Zurich"),
        preferences=sought,
    )


def test_empty_lists_are_a_change_and_absent_ones_are_none() -> None:
    assert accepted(ProfileDraft(photos=[], interests=[])) == ProfileChange(photos=(), interests=())


@pytest.mark.parametrize(
    ("draft", "fields"),
    [
        (ProfileDraft(name="🔥🔥"), ["name"]),
        (ProfileDraft(name="   "), ["name"]),
        (ProfileDraft(name="a\x00b"), ["name"]),
        (ProfileDraft(name="a" * 81), ["name"]),
        (ProfileDraft(bio="a\x00"), ["bio"]),
        (ProfileDraft(bio="a" * 2001), ["bio"]),
        (ProfileDraft(photos=[PHOTO] * 13), ["photos"]),
        (
            ProfileDraft(photos=[PHOTO, 7.0, "no url", None]),
            ["photos[1]", "photos[2]", "photos[3]"],
        ),
        (ProfileDraft(interests=["chess"] * 51), ["interests"]),
        (ProfileDraft(interests=["chess"] * 10_000), ["interests"]),
        (
            ProfileDraft(interests=["ok", "", "a" * 61, True]),
            [f"interests[{i}]" for i in (1, 2, 3)],
        ),
        (ProfileDraft(place=Place(lat=1.0)), ["location.lon"]),
        (ProfileDraft(place=Place(lon=1.0)), ["location.lat"]),
        (ProfileDraft(place=Place(time_zone="Mars/Olympus")), ["location.timeZone"]),
        # Files that lie beside the zones on some systems.
        (ProfileDraft(place=Place(time_zone="localtime")), ["location.timeZone"]),
        (ProfileDraft(place=Place(time_zone="posixrules")), ["location.timeZone"]),
        (ProfileDraft(place=Place(time_zone="right/Europe/Madrid")), ["location.timeZone"]),
        (ProfileDraft(place=Place(time_zone="Factory")), ["location.timeZone"]),
        (ProfileDraft(place=Place(time_zone="europe/madrid")), ["location.timeZone"]),
        (ProfileDraft(place=Place(time_zone="../../etc/passwd")), ["location.timeZone"]),
        (ProfileDraft(place=Place(time_zone="Europe/Zu\x00rich")), ["location.timeZone"]),
        (ProfileDraft(place=Place(city="a\nb")), ["location.city"]),
        (ProfileDraft(name="🔥", bio="\x01", photos=[1]), ["name", "bio", "photos[0]"]),
    ],
)
def test_faults_name_every_field(draft: ProfileDraft, fields: list[str]) -> None:
    assert refused(draft) == fields


def test_faults_are_below_their_path() -> None:
    draft = ProfileDraft(photos=["x"], place=Place(lat=1.0))
    assert refused(draft, "accounts[3].profile.") == [
        "accounts[3].profile.photos[0]",
        "accounts[3].profile.location.lon",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x.jpg?size=1#top",
        "http://example.com",
        "HTTPS://EXAMPLE.COM/A",
        "https://bücher.example/ü.png",
        "https://1.2.3.4:8080/p",
        "https://example.com/" + "a" * (2048 - 20),
    ],
)
def test_photos(url: str) -> None:
    assert photo_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "//example.com/x",
        "http://",
        "https:///x.jpg",
        "http://?x",
        "ftp://example.com/x",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "https://exa mple.com",
        "https://example.com/\n",
        "https://example.com/\x00",
        "https://example.com:port/",
        "https://example.com:99999/",
        "https://[::1",
        "https://[v1.x]/",
        "https://[2001:db8::1]/p",
        "https://user:secret@example.com/",
        "https://evil.example\\@example.com/",
        "https://..",
        "https://example.com/" + "a" * (2049 - 20),
    ],
)
def test_no_photos(url: str) -> None:
    assert photo_fault(url) is not None


anything = st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.text())


@given(
    st.builds(
        ProfileDraft,
        name=st.none() | st.text(),
        bio=st.none() | st.text(),
        photos=st.none() | st.lists(anything, max_size=15),
        interests=st.none() | st.lists(anything, max_size=60),
        age=st.none() | st.integers(18, 120),
        place=st.none() | st.builds(Place, city=st.text(), time_zone=st.text()),
    )
)
def test_whatever_is_sent_is_stored_within_its_limits_or_refused(draft: ProfileDraft) -> None:
    faults = Faults()
    change = check(draft, year=YEAR, faults=faults)
    if len(faults):
        return
    assert change.name is None or 1 <= len(change.name) <= 80
    assert change.bio is None or "\x00" not in change.bio
    assert len(change.photos or ()) <= 12
    assert all(url.lower().startswith(("http://", "https://")) for url in change.photos or ())
    assert len(change.interests or ()) <= 50
    assert all(1 <= len(text) <= 60 for text in change.interests or ())
    assert draft.age is None or change.birth_year == YEAR - draft.age
    again = ProfileDraft(
        name=change.name, bio=change.bio, photos=change.photos, interests=change.interests
    )
    assert check(again, year=YEAR, faults=faults).name == change.name
    assert len(faults) == 0, "what is stored is accepted again"

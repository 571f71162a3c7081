"""Protos to domain and back."""

from __future__ import annotations

from typing import Final

from google.protobuf import json_format

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros_accounts.domain.profile import Gender, Place, Preferences, Profile
from eros_accounts.domain.profile_rules import ProfileDraft
from eros_common.shortcut.printing import printer

_PRINT_OWN: Final = printer(accounts_pb2.GetProfileResponse.DESCRIPTOR)


def draft(request: profile_pb2.UpdateProfileRequest) -> ProfileDraft:
    """A change as it was sent; the message was validated by its own rules."""
    return ProfileDraft(
        name=request.name if request.HasField("name") else None,
        bio=request.bio if request.HasField("bio") else None,
        photos=list(request.photos) if request.HasField("photos") else None,
        interests=list(request.interests) if request.HasField("interests") else None,
        age=request.age if request.HasField("age") else None,
        gender=Gender(request.gender) if request.HasField("gender") else None,
        place=_place(request.location) if request.HasField("location") else None,
        preferences=_preferences(request.preferences) if request.HasField("preferences") else None,
    )


def own_profile(profile: Profile, year: int) -> profile_pb2.Profile:
    """A person's own view."""
    return profile_pb2.Profile(
        user_id=str(profile.user_id),
        email=profile.email or "",
        name=profile.name,
        bio=profile.bio,
        photos=profile.photos,
        age=profile.age(year),
        location=_location_message(profile.place),
        interests=profile.interests,
        preferences=_preferences_message(profile.preferences),
        gender=profile.gender,
    )


def printed_own(profile: Profile, year: int) -> bytes:
    """The answer with a person's own view, as it goes to the phone."""
    answer = accounts_pb2.GetProfileResponse(success=True, profile=own_profile(profile, year))
    return _PRINT_OWN(answer)


def own_of(printed: bytes) -> accounts_pb2.GetProfileResponse:
    """What `printed_own` printed, here or in a newer release."""
    answer = accounts_pb2.GetProfileResponse()
    return json_format.Parse(printed, answer, ignore_unknown_fields=True)


def serialized_public(profile: Profile, year: int) -> bytes:
    """What others see, as a message."""
    return public_profile(profile, year).SerializeToString()


def public_profile(profile: Profile, year: int) -> profile_pb2.PublicProfile:
    """What others see."""
    return profile_pb2.PublicProfile(
        user_id=str(profile.user_id),
        name=profile.name,
        bio=profile.bio,
        photos=profile.photos,
        age=profile.age(year),
        city=profile.place.city,
        interests=profile.interests,
        gender=profile.gender,
    )


def matching_profile(profile: Profile) -> profile_pb2.MatchingProfile:
    """What the matcher sees."""
    return profile_pb2.MatchingProfile(
        user_id=profile.user_id.bytes,
        birth_year=profile.birth_year,
        gender=profile.gender,
        preferences=_preferences_message(profile.preferences),
        location=_location_message(profile.place),
        interests=profile.interests,
        bio=profile.bio,
        name=profile.name,
        photos=profile.photos,
    )


def _place(location: profile_pb2.Location) -> Place:
    return Place(
        city=location.city,
        lat=location.lat if location.HasField("lat") else None,
        lon=location.lon if location.HasField("lon") else None,
        time_zone=location.time_zone,
    )


def _location_message(place: Place) -> profile_pb2.Location:
    return profile_pb2.Location(
        city=place.city, lat=place.lat, lon=place.lon, time_zone=place.time_zone
    )


def _preferences(preferences: profile_pb2.Preferences) -> Preferences:
    """On the wire 0 is no limit."""
    return Preferences(
        genders=tuple(map(Gender, preferences.genders)),
        age_min=preferences.age_min or None,
        age_max=preferences.age_max or None,
        max_distance_km=preferences.max_distance_km or None,
    )


def _preferences_message(preferences: Preferences) -> profile_pb2.Preferences:
    return profile_pb2.Preferences(
        genders=preferences.genders,
        age_min=preferences.age_min or 0,
        age_max=preferences.age_max or 0,
        max_distance_km=preferences.max_distance_km or 0.0,
    )

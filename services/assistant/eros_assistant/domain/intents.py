"""What people come with. Pure."""

from __future__ import annotations

from enum import StrEnum


class Intent(StrEnum):
    """The values are the names in REST, in the phrase files and in benchmarks."""

    OPENING_LINE = "opening_line"
    UNDERSTAND_MESSAGE = "understand_message"
    TRANSLATE = "translate"
    FIRST_DATE = "first_date"
    DATE_IDEAS = "date_ideas"
    PROFILE_HELP = "profile_help"
    SAFETY = "safety"
    REJECTION = "rejection"
    CONVERSATION_COLD = "conversation_cold"
    ABOUT_MATCH = "about_match"
    MATCHES_TODAY = "matches_today"
    HOW_EROS_WORKS = "how_eros_works"
    SMALL_TALK = "small_talk"
    NONE = "none"
    """Nothing the assistant is for; an answer of its own, not a failure."""

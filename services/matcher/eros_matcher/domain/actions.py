"""What people do with matches. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never


class Action(IntEnum):
    """The numbers are those of the stored rows."""

    LIKE = 1
    SKIP = 2
    VIEW = 3
    REPORT = 4

    @classmethod
    def named(cls, name: str) -> Action:
        """By the name that REST uses; raises KeyError."""
        return cls[name.upper()]

    @property
    def decides(self) -> bool:
        """Whether it says what one thinks of the other; a view does not."""
        return self is not Action.VIEW


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action came to."""

    action: Action
    mutual: bool
    """Both like each other."""

    def message(self) -> str:
        match self.action:
            case Action.LIKE if self.mutual:
                return "It is mutual: you like each other."
            case Action.LIKE:
                return "Noted. If they like you too, you will hear of it."
            case Action.SKIP:
                return "Noted. You will not be shown this person again."
            case Action.VIEW:
                return "Seen."
            case Action.REPORT:
                return "Thank you for telling us. You will not see each other again."
            case _:
                assert_never(self.action)

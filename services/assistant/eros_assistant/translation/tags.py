"""BCP 47 tags by `langcodes`."""

from __future__ import annotations

from eros_common.errors import FieldFault, InvalidArgument


def language_of(tag: str) -> str:
    """The language of a tag such as `es-MX`, by ISO 639-1 where there is one.

    Raises InvalidArgument for what is no BCP 47 tag or no language.
    """
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    try:
        found = langcodes.get(tag.strip(), normalize=True)
        valid = found.is_valid()
    except (LanguageTagError, ValueError):
        valid = False
    if not valid or not found.language:
        raise InvalidArgument(
            "the target is no language",
            FieldFault("targetLanguage", "must be a BCP 47 tag such as es, en or pt-BR"),
        )
    return str(found.language)

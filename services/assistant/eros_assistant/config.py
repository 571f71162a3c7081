"""Settings of the assistant; every fault is refused at start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, SecretStr

from eros_common.config import Address, DatabaseSettings, NightSettings, ServiceSettings


def _http(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must be a URL that starts with http:// or https://")
    return value


class AssistantSettings(ServiceSettings, DatabaseSettings, NightSettings):
    """Read from the environment; see libs/common for the common ones."""

    listen: Address | None = "127.0.0.1:50055"
    assistant_llm_url: Annotated[str, AfterValidator(_http)] = ""
    """Base URL of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; empty: none."""
    assistant_llm_key: SecretStr = SecretStr("")
    assistant_llm_model: str = "default"
    assistant_llm_timeout_seconds: PositiveFloat = 8.0
    """For a whole answer; half of it for the first piece."""
    assistant_llm_daily_tokens: int = Field(20_000, ge=0)
    """Of one person and day (UTC)."""
    assistant_llm_rest_seconds: PositiveFloat = 30.0
    """The model is left alone for so long after three failures in a row."""
    assistant_apertium_dir: Path | None = None
    """Where `./eros setup` unpacked Apertium; without it the system's is used if there is one."""
    assistant_head_dir: Path | None = None
    """Where the trained head is kept; default: the user's cache."""
    cache_drop_seconds: PositiveFloat = 5.0
    """How often (wall) conversations that a dead cache could not forget are tried again."""

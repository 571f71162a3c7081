"""Thirty conversations, word for word: `transcript.md` is what Eva and the assistant say.

With EROS_WRITE_TRANSCRIPT=1 the test writes it anew; read it then, as its diff is the change of the
product.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tests.integration.assistant.service import Service

FILE = Path(__file__).with_name("transcript.md")
CONVERSATIONS: Final = (
    ("Hi!", "What could I write to Ana?", "thanks"),
    ("¡Hola!", "¿Qué le podría escribir a Ana?", "gracias"),
    ("Who are my matches today?", "Tell me about Marco"),
    ("¿Quiénes son mis matches de hoy?", "Háblame de Ana"),
    ("What could I write to Beatriz?",),
    ("Where should I go with Ana this weekend?",),
    ("¿Qué plan hago con Marco?",),
    ("How can I improve my profile?",),
    ("¿Cómo puedo mejorar mi perfil?",),
    ('He wrote "we\'ll see". What does it mean?',),
    ('Me escribió "ya veremos", ¿qué significa?',),
    ('What should I reply to "wyd"?',),
    ("I have a first date tomorrow and I'm nervous", "And who pays?"),
    ("¿Qué me pongo para la primera cita?",),
    ("She only gives one word answers",),
    ("Nuestro chat se está apagando",),
    ("He ghosted me",),
    ("¿Cómo rechazo a alguien con tacto?",),
    ("He asked me for 500 euros, is it a scam?",),
    ("Me pidió dinero para el billete de avión",),
    ("She wants to move to WhatsApp right away, should I worry?",),
    ("How do I report someone?",),
    ("¿Qué es exactamente el consentimiento?",),
    ("I don't want to live anymore",),
    ("me pegó en la cita y estoy en peligro",),
    ("How does EROS work?", "Do you sell my data?"),
    ("¿Cómo borro mi cuenta?",),
    ("What's the weather tomorrow?",),
    ("¿Cuál es la capital de Australia?",),
    ("Tell me a joke", "bye"),
)


async def test_thirty_conversations_word_for_word(assistant: Service) -> None:
    assert len(CONVERSATIONS) == 30
    lines = ["# Thirty conversations", ""]
    for number, messages in enumerate(CONVERSATIONS, 1):
        lines += [f"## {number}", ""]
        conversation = None
        for message in messages:
            answer = await assistant.chat(message, conversation)
            conversation = answer.conversation_id
            said = answer.response.replace("\n", "\n> ").replace("> \n", ">\n")
            lines += [f"**Eva:** {message}", "", f"> {said}", ""]
            labels = " · ".join(action.label for action in answer.suggested_actions)
            facts = [f"`{answer.intent}`"]
            facts += [", ".join(source.title for source in answer.sources)] * bool(answer.sources)
            facts += [f"[{labels}]"] * bool(labels)
            lines += ["— ".join(facts), ""]
    transcript = "\n".join(lines)
    if os.environ.get("EROS_WRITE_TRANSCRIPT"):
        FILE.write_text(transcript, encoding="utf-8")
    assert transcript == FILE.read_text(encoding="utf-8")

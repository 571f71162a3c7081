"""Sentences of the replies that no library entry has."""

from __future__ import annotations

from typing import Final

from eros_advice.texts import Language

EN, ES = Language.EN, Language.ES
Texts = dict[Language, str]

OPENING_FOR: Final[Texts] = {
    EN: "Here is how you could begin with {name}:\n{lines}\nChange a word or two so that it sounds "
    "like you.",
    ES: "Así podrías empezar con {name}:\n{lines}\nCambia alguna palabra para que suene a ti.",
}
OPENING_WHOM: Final[Texts] = {
    EN: "Whom do you mean? Today's list has {names}.",
    ES: "¿A quién te refieres? En la lista de hoy están {names}.",
}
OPENING_GENERAL: Final[Texts] = {
    EN: "What could I write to {name}?",
    ES: "¿Qué le podría escribir a {name}?",
}
NOBODY_NAMED: Final[Texts] = {
    EN: "I see nobody called {name} among today's matches, so I can't say anything about them.",
    ES: "No veo a nadie que se llame {name} entre los matches de hoy, así que no puedo decirte "
    "nada de esa persona.",
}
MATCHES: Final[Texts] = {
    EN: "You have {count} on today's list:\n{lines}",
    ES: "Hoy hay {count} en tu lista:\n{lines}",
}
MATCHES_AWAY: Final[Texts] = {
    EN: "I can't see your matches just now. Please try again in a minute.",
    ES: "Ahora mismo no puedo ver tus matches. Inténtalo otra vez en un minuto.",
}
NO_MATCHES: Final[Texts] = {
    EN: "There is nobody on your list today.",
    ES: "Hoy no hay nadie en tu lista.",
}
PROFILE_AWAY: Final[Texts] = {
    EN: "I can't see your profile just now; this holds for every profile:",
    ES: "Ahora mismo no puedo ver tu perfil; esto vale para cualquiera:",
}
ABOUT: Final[dict[Language, dict[str, str]]] = {
    EN: {
        "from": "{head}, from {city}.",
        "distance": "About {km} km from you.",
        "shared": "You both name {x}.",
        "none_shared": "You name no interests in common.",
        "interests": "Also interested in {x}.",
        "bio": "In their own words: “{x}”",
        "no_bio": "There is no bio yet.",
        "reasons": "Why EROS brought you together:",
        "limits": "That is all their public profile says; the rest is theirs to tell.",
    },
    ES: {
        "from": "{head}, de {city}.",
        "distance": "A unos {km} km de ti.",
        "shared": "Los dos mencionáis {x}.",
        "none_shared": "No mencionáis intereses en común.",
        "interests": "También le interesa {x}.",
        "bio": "En sus palabras: «{x}»",
        "no_bio": "Todavía no tiene biografía.",
        "reasons": "Por qué EROS os ha juntado:",
        "limits": "Es todo lo que dice su perfil público; lo demás le toca contarlo.",
    },
}
DATE_TOGETHER: Final[Texts] = {
    EN: "With {name}, going by the interests in the profile:\n{lines}\nPublic, easy to end after "
    "an hour, and easy to extend.",
    ES: "Con {name}, según los intereses de su perfil:\n{lines}\nEn un sitio público, fácil de "
    "terminar en una hora y fácil de alargar.",
}
REVIEW: Final[Texts] = {
    EN: "I looked at your profile. What would help most:\n{lines}",
    ES: "He mirado tu perfil. Lo que más ayudaría:\n{lines}",
}
REVIEW_GOOD: Final[Texts] = {
    EN: "Your profile has all it needs: photos, a bio that one can answer, and interests. Change "
    "it when your life changes.",
    ES: "Tu perfil tiene todo lo necesario: fotos, una biografía a la que se puede responder e "
    "intereses. Cámbialo cuando cambie tu vida.",
}
UNDERSTAND_QUOTED: Final[Texts] = {
    EN: "“{quote}”: {reading}\n\n{general}",
    ES: "«{quote}»: {reading}\n\n{general}",
}
UNDERSTAND_PASTE: Final[Texts] = {
    EN: "Paste the message in quotation marks and I'll look at it with you. In general: {general}",
    ES: "Pega el mensaje entre comillas y lo miramos juntos. En general: {general}",
}
TRANSLATED: Final[Texts] = {
    EN: "In {language}: {text}\n(by {engine}, quality: {quality})",
    ES: "En {language}: {text}\n(con {engine}, calidad: {quality})",
}
TRANSLATE_WHAT: Final[Texts] = {
    EN: "What shall I translate, and into which language? For example: translate “see you "
    "tomorrow” into Spanish.",
    ES: "¿Qué traduzco y a qué idioma? Por ejemplo: traduce «hasta mañana» al inglés.",
}
TRANSLATE_AWAY: Final[Texts] = {
    EN: "I can't translate that just now: {reason}",
    ES: "Ahora no puedo traducirlo: {reason}",
}
SMALL_TALK: Final[dict[str, Texts]] = {
    "thanks": {
        EN: "You're welcome. Good luck, and tell me how it went if you like.",
        ES: "De nada. Mucha suerte, y cuéntame cómo fue si te apetece.",
    },
    "bye": {
        EN: "See you. While you rest, the night does its work.",
        ES: "Hasta luego. Mientras descansas, la noche hace su trabajo.",
    },
    "joke": {
        EN: "Two profiles meet. “I like long walks.” “To the fridge?” They have been together for "
        "three years.",
        ES: "Dos perfiles se encuentran. «Me gustan los paseos largos». «¿Hasta la nevera?». "
        "Llevan tres años juntos.",
    },
    "feelings": {
        EN: "I'm a program, so there is no evening of mine to tell of. But I like good questions: "
        "what is on your mind?",
        ES: "Soy un programa, así que no tengo noches que contar. Pero me gustan las buenas "
        "preguntas: ¿qué te ronda?",
    },
    "hello": {
        EN: "Hello! I can help with a first message, a text you don't understand, a date, your "
        "profile, or a translation. What is it today?",
        ES: "¡Hola! Te ayudo con un primer mensaje, un texto que no entiendes, una cita, tu perfil "
        "o una traducción. ¿Qué toca hoy?",
    },
}
NONE: Final[Texts] = {
    EN: "That is outside what I'm here for, so I won't guess. I can help with first messages, "
    "understanding what somebody wrote, dates, your profile, staying safe, and translations.",
    ES: "Eso queda fuera de lo mío y no quiero adivinar. Puedo ayudarte con primeros mensajes, a "
    "entender lo que te escriben, con citas, con tu perfil, con tu seguridad y con traducciones.",
}
UNKNOWN: Final[Texts] = {
    EN: "The advice library has nothing on that, so I'd rather not make something up. The nearest "
    "topics: {titles}.",
    ES: "La biblioteca de consejos no tiene nada sobre eso y prefiero no inventarlo. Los temas más "
    "cercanos: {titles}.",
}
ALSO: Final[Texts] = {EN: "See also: {titles}.", ES: "Mira también: {titles}."}
FOLLOW: Final[dict[Language, tuple[str, str, str]]] = {
    EN: ("Who are my matches today?", "How can I improve my profile?", "How does EROS work?"),
    ES: (
        "¿Quiénes son mis matches de hoy?",
        "¿Cómo puedo mejorar mi perfil?",
        "¿Cómo funciona EROS?",
    ),
}

"""First names for people who come without one."""

from __future__ import annotations

from random import Random

FEMALE = (
    "Ana", "Beatriz", "Camille", "Chloe", "Clara", "Daphne", "Elena", "Elif", "Emma", "Eleni",
    "Fatima", "Grace", "Hanna", "Ines", "Irene", "Jade", "Julia", "Kaisa", "Katerina", "Laura",
    "Leila", "Lucia", "Maeve", "Maria", "Marta", "Mei", "Mina", "Nadia", "Niamh", "Nora",
    "Olivia", "Paula", "Priya", "Rosa", "Saoirse", "Sara", "Sofia", "Sunniva", "Teresa", "Zoe",
)  # fmt: skip
MALE = (
    "Adam", "Aleksi", "Andre", "Antoine", "Ben", "Carlos", "Cian", "Daniel", "Diego", "Dimitri",
    "Eero", "Elias", "Farid", "Felix", "Giorgos", "Hugo", "Ivan", "Jaime", "Joao", "Jonas",
    "Juho", "Kai", "Leo", "Liam", "Luis", "Marco", "Mateo", "Mikko", "Nikos", "Noah",
    "Omar", "Oscar", "Pablo", "Pedro", "Ravi", "Ronan", "Samuel", "Theo", "Tomas", "Yusuf",
)  # fmt: skip
ANY = ("Alex", "Andrea", "Charlie", "Kim", "Noa", "Robin", "Sam", "Sasha")


def draw_name(random: Random, gender: str) -> str:
    """A first name that is common for `gender` (female, male or nonbinary)."""
    match gender:
        case "female":
            return random.choice(FEMALE)
        case "male":
            return random.choice(MALE)
        case _:
            return random.choice(ANY)

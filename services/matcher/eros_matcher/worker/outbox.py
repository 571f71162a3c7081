"""What one event leads to: instructions in order, acks gathered by halt. Pure."""

from __future__ import annotations

from eros_matcher.worker.instructions import Acked, Instruction, SendAck


class Outbox:
    """Filled while one event is handled; `now` is wall time, seconds since 1970.

    What stops work comes first, then acks, then what is said once they are.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self._instructions: list[Instruction] = []
        self._last: list[Instruction] = []
        self._acks: dict[str, tuple[list[Acked], list[Acked]]] = {}

    def add(self, instruction: Instruction) -> None:
        self._instructions.append(instruction)

    def add_last(self, instruction: Instruction) -> None:
        self._last.append(instruction)

    def ack_durable(self, nonce: str, acked: Acked) -> None:
        self._ack(nonce)[0].append(acked)

    def ack_left(self, nonce: str, acked: Acked) -> None:
        self._ack(nonce)[1].append(acked)

    def ack_nothing(self, nonce: str) -> None:
        """A halt that found nothing is acknowledged too."""
        self._ack(nonce)

    def take(self) -> list[Instruction]:
        acks = [
            SendAck(nonce, tuple(durable), tuple(left))
            for nonce, (durable, left) in self._acks.items()
        ]
        return [*self._instructions, *acks, *self._last]

    def _ack(self, nonce: str) -> tuple[list[Acked], list[Acked]]:
        return self._acks.setdefault(nonce, ([], []))

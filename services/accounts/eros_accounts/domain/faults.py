"""Faults of one request, collected so that all are told at once."""

from __future__ import annotations

from eros_common.errors import FieldFault, InvalidArgument


class Faults:
    """Collects what is wrong, by the REST name of the field."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[FieldFault] = []

    def __len__(self) -> int:
        return len(self._items)

    def add(self, field: str, message: str) -> None:
        self._items.append(FieldFault(field, message))

    def refuse_if_any(self) -> None:
        """Raises ``InvalidArgument`` with every fault that was added."""
        if self._items:
            first = self._items[0]
            raise InvalidArgument(f"{first.field} {first.message}", *self._items)

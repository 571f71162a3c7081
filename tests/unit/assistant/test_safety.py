"""What calls for care is recognised, and what does not is left alone."""

from __future__ import annotations

import pytest

from eros_assistant.domain.answers import WarningKind
from eros_assistant.safety import Rule, Safety

SAFETY = Safety.load()
_EXAMPLES = [(rule, text) for rule in SAFETY.rules for text in rule.examples]
_FINE = [(rule, text) for rule in SAFETY.rules for text in rule.fine]


def test_there_is_a_rule_for_every_kind_in_order_of_gravity() -> None:
    assert [rule.found.kind for rule in SAFETY.rules] == list(WarningKind)


@pytest.mark.parametrize(("rule", "text"), _EXAMPLES, ids=[text for _, text in _EXAMPLES])
def test_examples_are_recognised(rule: Rule, text: str) -> None:
    assert rule.found.kind in [found.kind for found in SAFETY.look(text)]


@pytest.mark.parametrize(("rule", "text"), _FINE, ids=[text for _, text in _FINE])
def test_harmless_lines_are_left_alone(rule: Rule, text: str) -> None:
    assert rule.found.kind not in [found.kind for found in SAFETY.look(text)]

"""The edge's bench asks every route that phones have."""

from __future__ import annotations

import re

from bench._crowd import ROUTES
from eros_gateway.config import DESCRIPTOR_SET
from eros_gateway.domain.contract import read_contract

#: Asked by the operators' own page, with a cookie or for minutes.
CONSOLE = "/console/"


def test_no_route_of_the_contract_is_left_out() -> None:
    contract = {
        (path.verb, re.sub(r"{.*?}", "{}", path.template.removeprefix("/api/v1")))
        for method in read_contract(DESCRIPTOR_SET.read_bytes()).reachable
        for path in method.rest
        if not path.template.startswith(CONSOLE)
    }
    asked = {(route.method, re.sub(r"{.*?}", "{}", route.path)) for route in ROUTES}
    assert asked == contract
    assert len(contract) > 25

"""The contract as Envoy's route table.

A request reaches a service only through a route made here: an exact REST path with its HTTP method,
or the exact gRPC path of a method that is not for services only. Everything else is refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from eros_common.policy import Access
from eros_gateway.domain.contract import Contract, ContractFault, Method, RestPath
from eros_gateway.domain.headers import GRPC_ONLY, IS_GRPC
from eros_gateway.domain.json import Json, Object, extension, seconds
from eros_gateway.domain.limits import UNCOUNTED, Rates, counted
from eros_gateway.domain.shedding import ENTERED, WAITED_FOR, WHOLE, gate

MARGIN_SECONDS: Final = 0.25
"""A service's own answer to a missed deadline comes before the gateway's."""
STREAM_IDLE_SECONDS: Final = 60.0
"""A stream may last; one that is silent for so long may not."""

# A path segment that a client fills in: RFC 3986's unreserved characters, no leading dot. Nothing
# in disguise passes (%2e, "..", ";"); what the rest means is the service's to judge.
_SEGMENT: Final = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_VARIABLE: Final = re.compile(r"\{[a-z][a-z0-9_]*\}")

# What may be tried again: always faults before the service saw the request; reads whenever the
# service says that it is not there.
_RETRY_ANY: Final = "connect-failure,refused-stream,reset-before-request"
_RETRY_READ: Final = f"{_RETRY_ANY},unavailable"

HEARTBEAT: Final = "/eros.activity.v1.ActivityService/Heartbeat"
"""What Envoy may answer itself, see lua/heartbeat.lua."""
_TELLS_IDLE: Final = (HEARTBEAT, "/eros.activity.v1.ActivityService/GetStatus")
"""How long one has been idle: what the gateway still holds of it is sent first."""

_OFF: Final = extension("config.route.v3.FilterConfig", disabled=True)
_JWT: Final = "envoy.filters.http.jwt_authn"
_BODY_SIZE: Final = "envoy.filters.http.body_size_limit"
_LUA: Final = "envoy.filters.http.lua"
_TRANSCODER: Final = "envoy.filters.http.grpc_json_transcoder"


@dataclass(frozen=True, slots=True)
class Limits:
    """``call_timeout`` (seconds) is for methods whose policy names none."""

    call_timeout: float
    rates: Rates


def routes(contract: Contract, limits: Limits) -> list[Json]:
    """Envoy's ``Route`` list, of which the first that matches wins."""
    rest = sorted(
        ((path, method) for method in contract.reachable for path in method.rest),
        # Literal paths before those that could take them for a variable.
        key=lambda found: (found[0].variables, found[0]),
    )
    return [
        _preflight(),
        *(route for path, method in rest for route in _rest_routes(path, method, limits)),
        *(_without_slash(path) for path, _ in rest if _is_page(path)),
        *_wrong_verbs(path for path, _ in rest),
        *(_grpc_route(method, limits) for method in contract.reachable),
        _refusal("not-found", {"prefix": "/"}, 404),
    ]


def path_match(template: str) -> Object:
    """How Envoy recognises a REST path; ``ContractFault`` for a template we do not write."""
    if "{" not in template:
        return {"path": template}
    pattern = []
    for part in template.split("/"):
        if "{" not in part:
            pattern.append(re.escape(part))
        elif _VARIABLE.fullmatch(part):
            pattern.append(_SEGMENT)
        else:
            raise ContractFault(f"{template}: a variable must be one whole segment, {{like_this}}")
    return {"safe_regex": {"regex": "/".join(pattern)}}


def _rest_routes(path: RestPath, method: Method, limits: Limits) -> Iterator[Object]:
    verb = {"name": ":method", "string_match": {"exact": path.verb}}
    served = path_match(path.template)
    served["headers"] = [verb, _NOT_GRPC]
    # For the transcoder a query parameter may fill any field: instead of the body, and over what
    # the path says. Where neither is at stake it is left to the transcoder, which names the fault.
    strict = path.variables or path.verb != "GET"
    if strict:
        served["headers"].append(_query_match(path.query))
    yield {
        "name": method.grpc_path[1:],
        "match": served,
        "route": _action(method, limits, reads=path.verb == "GET"),
        "metadata": counted(method, limits.rates),
        "typed_per_filter_config": _filters(method, rest=path),
        "request_headers_to_remove": list(GRPC_ONLY),
        "response_headers_to_remove": ["grpc-accept-encoding"],
    }
    if strict:
        refused = path_match(path.template)
        refused["headers"] = [verb, _NOT_GRPC]
        takes = f"no query parameters but {', '.join(path.query)}" if path.query else "no query"
        yield _refusal("wrong-query", refused, 400, f"This path takes {takes}.")


def _is_page(path: RestPath) -> bool:
    """Whether people write it by hand: nothing below /api is."""
    return path.verb == "GET" and not path.variables and not path.template.startswith("/api/")


def _without_slash(path: RestPath) -> Object:
    return {
        "name": "with-slash",
        "match": {"path": f"{path.template}/"},
        "redirect": {
            "path_redirect": path.template,
            "response_code": "PERMANENT_REDIRECT",
        },
        "metadata": UNCOUNTED,
        "typed_per_filter_config": {_JWT: _OFF, _TRANSCODER: _OFF},
    }


def _query_match(names: tuple[str, ...]) -> Object:
    """A whole ``:path`` whose query has no parameters but these, as they are written here."""
    parameters = rf"(({'|'.join(names)})=[^&]*(&|$))*" if names else ""
    return {
        "name": ":path",
        "string_match": {"safe_regex": {"regex": rf"[^?]*(\?{parameters})?"}},
    }


def _grpc_route(method: Method, limits: Limits) -> Object:
    return {
        "name": method.grpc_path[1:],
        "match": {"path": method.grpc_path, "grpc": {}},
        "route": _action(method, limits, reads=False),
        "metadata": counted(method, limits.rates),
        "typed_per_filter_config": _filters(method),
    }


# A gRPC call to a REST path would pass the transcoder untouched.
_NOT_GRPC: Final = {
    "name": "content-type",
    "string_match": IS_GRPC,
    "invert_match": True,
    "treat_missing_header_as_empty": True,
}


def _action(method: Method, limits: Limits, *, reads: bool) -> Object:
    timeout = (method.policy.timeout or limits.call_timeout) + MARGIN_SECONDS
    action: Object = {
        "cluster": method.cluster,
        # Under overload reads are shed first: they have a limit of their own, and a lower one.
        "priority": "DEFAULT" if reads else "HIGH",
        "retry_policy": {
            "retry_on": _RETRY_READ if reads else _RETRY_ANY,
            "num_retries": 1,
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.1s"},
        },
    }
    if method.streaming:
        action["timeout"] = "0s"
        action["idle_timeout"] = seconds(STREAM_IDLE_SECONDS)
    else:
        action["timeout"] = seconds(timeout)
    return action


def has_etag(method: Method, path: RestPath) -> bool:
    """Whether answers carry an ETag: reads of what is one's own, or shown to oneself."""
    policy = method.policy
    own = policy.access is Access.USER and not policy.background
    return path.verb == "GET" and own and not method.streaming


def _filters(method: Method, *, rest: RestPath | None = None) -> Object:
    filters: Object = {}
    if method.policy.access is Access.PUBLIC:
        filters[_JWT] = _OFF
    context: Object = {}
    if method.policy.background:
        context["background"] = True
    elif rest is not None and has_etag(method, rest):
        context["etag"] = True
        if method.policy.cached:
            context["cached"] = {"cluster": method.reads_cluster, "path": method.grpc_path}
    if method.grpc_path in _TELLS_IDLE:
        context["idle"] = True
    if method.grpc_path == HEARTBEAT:
        context["heartbeat"] = True
        if rest is not None:
            # What is answered here says that it is short; else the transcoder has the same limit.
            filters[_BODY_SIZE] = _OFF
    if rest is not None and rest.verb in ("POST", "PUT") and (method.single or method.lists):
        context["single"] = " ".join(method.single)
        if method.lists:
            context["lists"] = " ".join(method.lists)
    if "single" not in context:
        # Else the script waits for the body.
        filters[WHOLE] = WAITED_FOR
    if rest is not None and rest.verb == "GET" and not method.streaming:
        filters[gate(method.cluster)] = ENTERED
    if context:
        filters[_LUA] = extension(
            "extensions.filters.http.lua.v3.LuaPerRoute", filter_context=context
        )
    return filters


def _wrong_verbs(paths: Iterable[RestPath]) -> Iterator[Object]:
    """One refusal per REST path, behind all routes that serve it, which says what is allowed."""
    verbs: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        # Paths that differ only in the names of their variables are the same to a client.
        verbs[_VARIABLE.sub("{any}", path.template)].add(path.verb)
    for template, allowed in verbs.items():
        allow = ", ".join(sorted(allowed))
        match = path_match(template)
        match["headers"] = [_NOT_GRPC]
        route = _refusal("wrong-method", match, 405, f"This path takes {allow}.")
        route["response_headers_to_add"] = [{"header": {"key": "allow", "value": allow}}]
        yield route


def _preflight() -> Object:
    """What a browser asks before it calls. The CORS filter answers where the origin may call, and
    it looks only at routes that lead somewhere; this one leads to a cluster named by a header that
    nobody can send, so whatever the filter leaves unanswered is not found."""
    asks = [
        {"name": ":method", "string_match": {"exact": "OPTIONS"}},
        {"name": "origin", "present_match": True},
        {"name": "access-control-request-method", "present_match": True},
    ]
    return {
        "name": "preflight",
        "match": {"prefix": "/", "headers": asks},
        "route": {
            "cluster_header": "x-eros-nowhere",
            "cluster_not_found_response_code": "NOT_FOUND",
        },
        "metadata": UNCOUNTED,
        "typed_per_filter_config": {_JWT: _OFF, _TRANSCODER: _OFF},
    }


def _refusal(name: str, match: Object, status: int, words: str = "") -> Object:
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": words}},
        "metadata": UNCOUNTED,
        "typed_per_filter_config": {_JWT: _OFF, _TRANSCODER: _OFF},
    }

"""The contract as one OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eros_common.errors import TABLE, ErrorCode
from eros_common.policy import Access, Limit
from eros_gateway.domain.contract import Method, RestPath, parse, rpcs
from eros_gateway.domain.headers import BACKGROUND, REQUEST_ID
from eros_gateway.domain.json import Json, Object
from eros_gateway.domain.limits import limit_of
from eros_gateway.domain.openapi_schemas import Comments, Schemas
from eros_gateway.domain.routes import has_etag

VERSION: Final = "1.0.0"
"""Of the contract under /api/v1, by SemVer."""

_HTTP_BODY: Final = "google.api.HttpBody"
_ERROR: Final = {"$ref": "#/components/responses/Error"}
_VARIABLE: Final = re.compile(r"\{([a-z0-9_]+)\}")
_ABOUT: Final = (
    "The REST contract of EROS. Every error, whoever made it, has one shape. Durations are "
    "seconds, instants RFC 3339 strings. Unknown fields of a body are ignored; answers may gain "
    "fields."
)

# Field numbers of DescriptorProto, in the paths of SourceCodeInfo.
_FIELDS: Final = 2
_NESTED: Final = 3


def document(descriptors: bytes) -> Object:
    """The document. ``ContractFault`` where the descriptors cannot be served."""
    files = parse(descriptors)
    comments = dict(pair for file in files.file for pair in _comments(file))
    schemas = Schemas(comments)
    paths: dict[str, Object] = {}
    tags: dict[str, str] = {}
    for found, method in rpcs(files):
        for number, path in enumerate(method.rest if method.reachable else ()):
            operation = _operation(method, path, number, found, schemas, comments)
            where = _VARIABLE.sub(lambda name: f"{{{_camel(name[1])}}}", path.template)
            paths.setdefault(where, {})[path.verb.lower()] = operation
            tags[method.cluster] = comments.get(method.service, "")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "EROS",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in sorted(tags.items())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas.components, "Error": _error_schema()},
            "responses": {"Error": _error_response()},
            "headers": _HEADERS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of a sign-in; it holds for 15 minutes.",
                }
            },
        },
    }


def _operation(
    method: Method, path: RestPath, number: int, found: Any, schemas: Schemas, comments: Comments
) -> Object:
    words = comments.get(f"{method.service}.{method.name}", "")
    in_path = frozenset(_VARIABLE.findall(path.template))
    operation: Object = {
        "operationId": _lower_first(method.name) + (str(number + 1) if number else ""),
        "summary": re.split(r"[.;:](\s|$)", words, maxsplit=1)[0],
        "description": words + _notes(method),
        "tags": [method.cluster],
        "parameters": _parameters(method, path, found.input_type, in_path, schemas),
        "responses": _responses(method, path, found.output_type, schemas),
        "security": [] if method.policy.access is Access.PUBLIC else [{"token": []}],
    }
    if path.verb in ("POST", "PUT") and found.input_type.fields:
        content: Object = {"schema": schemas.body(found.input_type, in_path)}
        if (example := schemas.example(found.input_type, in_path)) is not None:
            content["example"] = example
        if content["schema"]["properties"]:
            operation["requestBody"] = {
                "required": bool(content["schema"].get("required")),
                "content": {"application/json": content},
            }
    return operation


def _notes(method: Method) -> str:
    notes = []
    if method.policy.access is Access.ADMIN:
        notes.append("For administrators.")
    if method.policy.background:
        notes.append("No interaction: it does not reset the idle time.")
    limit = limit_of(method).name.lower().replace("_", " ")
    notes.append(f"Limit of this route per address: {limit}.")
    return "".join(f"\n\n{note}" for note in notes)


def _parameters(
    method: Method, path: RestPath, message: Descriptor, in_path: frozenset[str], schemas: Schemas
) -> list[Json]:
    found: list[Json] = []
    for field in message.fields:
        place = "path" if field.name in in_path else "query"
        if place == "path" or field.json_name in path.query:
            schema = schemas.field(field, answer=False)
            parameter: Object = {"name": field.json_name, "in": place, "schema": schema}
            if words := schema.pop("description", ""):
                parameter["description"] = words
            if place == "path":
                parameter["required"] = True
            found.append(parameter)
    if method.policy.access is not Access.PUBLIC and not method.policy.background:
        found.append(_header(BACKGROUND, {"type": "string"}, _BACKGROUND_WORDS))
    if has_etag(method, path):
        found.append(_header("if-none-match", {"type": "string"}, _KNOWN_WORDS))
    if method.policy.idempotency_key:
        key = {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"}
        found.append(_header("idempotency-key", key, _KEY_WORDS))
    return found


_BACKGROUND_WORDS: Final = (
    "1: the app refreshes by itself; no interaction. Anything else says nothing."
)
_KNOWN_WORDS: Final = "The etag of an answer that was kept: 304 while that still holds."
_KEY_WORDS: Final = (
    "Chosen by the client, once for each thing it wants done; sent again on a retry."
)


def _header(name: str, schema: Object, words: str) -> Object:
    return {"name": name, "in": "header", "schema": schema, "description": words}


def _event(answer: Json) -> Object:
    """A server-sent event, whose data is one answer as JSON."""
    data: Object = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": answer,
    }
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def _responses(method: Method, path: RestPath, message: Descriptor, schemas: Schemas) -> Object:
    success: Object = {
        "description": "Done.",
        "headers": {REQUEST_ID: {"$ref": "#/components/headers/RequestId"}, **_RATE_LIMIT},
    }
    if message.full_name == _HTTP_BODY:
        success["content"] = {"*/*": {}}
    elif method.streaming:
        success["content"] = {"text/event-stream": {"schema": _event(schemas.answer(message))}}
    else:
        success["content"] = {"application/json": {"schema": schemas.answer(message)}}
    responses: Object = {"200": success}
    if has_etag(method, path):
        success["headers"]["etag"] = {"$ref": "#/components/headers/ETag"}
        responses["304"] = {
            "description": "What is known by if-none-match is still so.",
            "headers": success["headers"],
        }
    for status in _refusals(method, path):
        responses[str(status)] = _ERROR
    if method.name in ("GetHealth", "GetDetailedHealth"):
        responses["503"] = {**success, "description": "EROS is down, or cannot be asked."}
        responses["503"]["content"] = {
            "application/json": {
                "schema": {
                    "anyOf": [schemas.answer(message), {"$ref": "#/components/schemas/Error"}]
                }
            }
        }
    responses["default"] = _ERROR
    return responses


def _refusals(method: Method, path: RestPath) -> Iterator[int]:
    yield 400
    if method.policy.access is not Access.PUBLIC:
        yield 401
        yield 403
    if path.variables:
        yield 404
    if method.policy.limit is Limit.REGISTER:
        yield 409
    if path.verb in ("POST", "PUT"):
        yield from (408, 413)
    yield from (429, 500, 503, 504)


def _error_schema() -> Object:
    detail = {
        "type": "object",
        "properties": {
            "field": {
                "type": "string",
                "description": "The field, such as location.lat or photos[0].",
            },
            "message": {"type": "string"},
        },
        "required": ["field", "message"],
    }
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "enum": [code.value for code in ErrorCode]},
            "message": {"type": "string", "description": "For developers, in English."},
            "details": {"type": "array", "items": detail},
            "requestId": {"type": "string"},
        },
        "required": ["code", "message", "requestId"],
    }
    return {
        "type": "object",
        "properties": {"success": {"const": False}, "error": error},
        "required": ["success", "error"],
        "examples": [
            {
                "success": False,
                "error": {
                    "code": "INVALID_ARGUMENT",
                    "message": "age must be greater than or equal to 18",
                    "details": [{"field": "age", "message": "must be greater than or equal to 18"}],
                    "requestId": "b1a7c0de",
                },
            }
        ],
    }


def _error_response() -> Object:
    statuses = ", ".join(f"{code.value} {status}" for code, (_, status) in TABLE.items())
    return {
        "description": f"Refused. The codes and their statuses: {statuses}.",
        "headers": {
            REQUEST_ID: {"$ref": "#/components/headers/RequestId"},
            "retry-after": {"$ref": "#/components/headers/RetryAfter"},
            **_RATE_LIMIT,
        },
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


_RATE_LIMIT: Final[Mapping[str, Json]] = {
    f"x-ratelimit-{name}": {"$ref": f"#/components/headers/RateLimit{name.capitalize()}"}
    for name in ("limit", "remaining", "reset")
}
_HEADERS: Final[Mapping[str, Json]] = {
    "RequestId": {
        "description": "Names the request in every log; a sane one of the client's is kept.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "ETag": {"description": "Names what was read.", "schema": {"type": "string"}},
    "RateLimitLimit": {
        "description": "How many requests of its address the nearest limit, this route's or the "
        "sum's, allows at once; absent where there is none.",
        "schema": {"type": "string"},
    },
    "RateLimitRemaining": {
        "description": "How many of them are left.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "RateLimitReset": {
        "description": "Seconds until the next request may come; 0 while some are left.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for place in file.source_code_info.location:
        name = _name_at(file, list(place.path))
        # Lines for tools are not for readers.
        lines = [line.strip() for line in place.leading_comments.splitlines()]
        words = " ".join(line for line in lines if not line.startswith("buf:"))
        if name and words.strip():
            yield name, words.strip()


def _name_at(file: FileDescriptorProto, path: list[int]) -> str:
    """The full name of what is at a path of SourceCodeInfo; empty for what has none."""
    match path:
        case [6, service]:
            return f"{file.package}.{file.service[service].name}"
        case [6, service, 2, method]:
            found = file.service[service]
            return f"{file.package}.{found.name}.{found.method[method].name}"
        case [4, message, *rest]:
            here = file.message_type[message]
            name = f"{file.package}.{here.name}"
            while len(rest) >= 2:
                if rest[0] == _NESTED:
                    here = here.nested_type[rest[1]]
                    name = f"{name}.{here.name}"
                elif rest[0] == _FIELDS and len(rest) == 2:
                    return f"{name}.{here.field[rest[1]].name}"
                else:
                    return ""
                rest = rest[2:]
            return name if not rest else ""
        case _:
            return ""


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _lower_first(name: str) -> str:
    return name[0].lower() + name[1:]

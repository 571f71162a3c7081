"""What a client may send: malformed, mistyped, too much."""

from __future__ import annotations

import asyncio
import json

import pytest

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros.activity.v1 import activity_pb2
from tests.integration.gateway.edge import API, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROFILE = f"{API}/users/profile"
MEBIBYTE = 1024 * 1024

# (body, field, what the field must be)
MISTYPED = [
    ('{"name": 1}', "name", "a string"),
    ('{"age": "x"}', "age", "a whole number"),
    ('{"age": 1.5}', "age", "a whole number"),
    ('{"age": true}', "age", "a whole number"),
    ('{"age": 99999999999}', "age", "a whole number"),
    ('{"location": 5}', "location", "an object"),
    ('{"location": {"lat": "north"}}', "location.lat", "a number"),
    ('{"location": {"timeZone": []}}', "location.timeZone", "not be a list"),
    ('{"location": {"lat": [1]}, "photos": ["a"]}', "location.lat", "not be a list"),
    ('{"preferences": []}', "preferences", "not be a list"),
    ('{"time_zone": [], "location": {"time_zone": []}}', "location.timeZone", "not be a list"),
    ('{"name": {"a": 1}}', "name", "not be an object"),
    ('{"preferences": {"genders": {}}}', "preferences.genders", "not be an object"),
    ('{"name": "\\ud83d"}', "name", "half a surrogate pair"),
    ('{"name": "\\udc00\\ud83d"}', "name", "half a surrogate pair"),
    ('{"photos": ["a", "\\ud83dx"]}', "photos[1]", "half a surrogate pair"),
    ('{"location": {"city": "\\ud83d\\u0041"}}', "location.city", "half a surrogate pair"),
    ('{"location": {"lat": 1e400}}', "location.lat", "a smaller number"),
    ('{"photos": "x"}', "photos", "a list"),
    ('{"photos": {}}', "photos", "a list"),
    ('{"bio": "hi", "interests" : {"a": 1}}', "interests", "a list"),
    ('{"preferences": {"ageMin": "x"}}', "preferences.ageMin", "a whole number"),
    ('{"preferences": {"genders": [1]}}', "preferences.genders[0]", "a string"),
    ('{"name": "a", "name": "b"}', "name", "not be given twice"),
    ('{"age": "x\\" for type y"}', "age", "a whole number"),
]


@pytest.mark.parametrize(("body", "field", "must"), MISTYPED, ids=[row[0] for row in MISTYPED])
async def test_a_wrong_type_names_its_field(edge: Edge, body: str, field: str, must: str) -> None:
    answer = await edge.call("PUT", PROFILE, body)
    assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")
    (detail,) = answer.error["details"]
    assert detail["field"] == field
    assert must in detail["message"]
    assert field in answer.error["message"]
    assert edge.backends.calls == []


@pytest.mark.parametrize(
    "body",
    [
        "{",
        '{"name":',
        '{"name": "a"} x',
        '{"name": "a" "b"}',
        "nul",
        "[]",
        "5",
        "null",
        '"x"',
        "\x00",
        b'{"name": "\xff"}',
        "name=a&age=5",
        "{" * 5000,
    ],
)
async def test_what_is_no_json_object_is_said_to_be_none(edge: Edge, body: str | bytes) -> None:
    answer = await edge.call("PUT", PROFILE, body)
    assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")
    assert "JSON" in answer.error["message"]
    (detail,) = answer.error["details"]
    assert detail["field"] == "body"
    assert "JSON" in detail["message"]
    assert edge.backends.calls == []


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "\\ud83d\\ude00", "bio": "\\\\ud83d [ {", "photos": ["[", "{"]}',
        '{"colour": ["\\u00e9", {"name": [1]}], "interests": [], "unknown": {"name": []}}',
        '{"location": {"city": "x", "lat": 1.5e10, "unknown": [[[1]]]}}',
    ],
)
async def test_what_only_looks_like_a_fault_is_none(edge: Edge, body: str) -> None:
    answer = await edge.call("PUT", PROFILE, body)
    # Judged by the service, if at all: it was read.
    assert answer.status == 200 or answer.error["details"][0]["field"] == "location.lat"


@pytest.mark.parametrize(
    "body",
    [
        '{"bio": "' + "b" * 70_000 + '", "photos": {}}',
        '{"unknown": ' + "[" * 400_000,
        '{"unknown": [' + "1e5," * 10_000 + "1]}",
    ],
    ids=["long", "deep", "wide"],
)
async def test_a_body_that_is_hard_to_walk_is_answered_soon(edge: Edge, body: str) -> None:
    async with asyncio.timeout(5):
        answer = await edge.call("PUT", PROFILE, body)
    assert answer.status in (200, 400)
    if "photos" in body:
        assert answer.error["details"][0]["field"] == "photos"


async def test_what_was_sent_is_not_repeated(edge: Edge) -> None:
    for body in ('{"password": 12345678901}', '{"password": "hunter2-hunter2" x'):
        answer = await edge.call("POST", f"{API}/auth/login", body, signed_in=False)
        assert answer.status == 400
        assert b"hunter2" not in answer.body
        assert b"12345678901" not in answer.body


async def test_a_body_may_be_a_mebibyte_and_no_more(edge: Edge) -> None:
    # Read by the service, which finds the words too many.
    fits = await edge.call("PUT", PROFILE, b'{"bio":"' + b"x" * (MEBIBYTE - 10) + b'"}')
    assert (fits.status, fits.error["details"][0]["field"]) == (400, "bio")


@pytest.mark.parametrize("size", [MEBIBYTE + 1, 5_000_000])
@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_larger_body_is_refused(edge: Edge, size: int, signed_in: bool) -> None:
    token = f"authorization: Bearer {edge.token()}\r\n" if signed_in else ""
    head = f"PUT {PROFILE} HTTP/1.1\r\nhost: x\r\n{token}"
    plain = f"{head}content-length: {size}\r\n\r\n".encode() + b" " * size
    chunked = f"{head}transfer-encoding: chunked\r\n\r\n{size:x}\r\n".encode() + b" " * size
    # Refused by its length at once, or after the first mebibyte; by then the token was looked at.
    answer = await edge.raw(plain)
    assert (answer.status, answer.error["code"]) == (413, "PAYLOAD_TOO_LARGE")
    answer = await edge.raw(chunked)
    assert (answer.status, answer.error["code"]) == (
        (413, "PAYLOAD_TOO_LARGE") if signed_in else (401, "UNAUTHENTICATED")
    )
    assert edge.backends.calls == []


async def test_an_unknown_transfer_coding_is_no_fault_of_ours(edge: Edge) -> None:
    head = f"PUT {PROFILE} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n"
    answer = await edge.raw(head.encode())
    assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")


async def test_unknown_fields_are_ignored_and_absent_ones_stay_absent(edge: Edge) -> None:
    answer = await edge.call("PUT", PROFILE, '{"nope": 1, "bio": "", "photos": []}')
    assert answer.status == 200
    (call,) = edge.backends.calls
    assert not call.request.HasField("name")
    assert not call.request.HasField("age")
    assert call.request.HasField("bio")
    assert call.request.HasField("photos")


async def test_an_empty_body_is_an_empty_message(edge: Edge) -> None:
    assert (await edge.call("POST", f"{API}/heartbeat")).status == 200
    assert (await edge.call("POST", f"{API}/heartbeat", "")).status == 200
    assert all(call.request == activity_pb2.HeartbeatRequest() for call in edge.backends.calls)


QUERIES = [
    ("limit=abc", "limit"),
    ("limit=1.5", "limit"),
    ("limit=", "limit"),
    ("limit=99999999999", "limit"),
    ("limit=1&limit=2", "limit"),
    ("limit=5&nope=1", "nope"),
    ("page=2", "page"),
    ("limit[]=5", "limit[]"),
    ("limit.x=1", "limit"),
    ("%ff=1", "%ff"),
    ("limit=%ff", "limit"),
    # These pass the gateway; the contract's rules refuse them in the service.
    ("limit=0", "limit"),
    ("limit=100000", "limit"),
]


@pytest.mark.parametrize(("query", "field"), QUERIES, ids=[row[0] for row in QUERIES])
async def test_a_query_is_strict(edge: Edge, query: str, field: str) -> None:
    answer = await edge.call("GET", f"{API}/matches/recommendations?{query}")
    assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")
    assert [detail["field"] for detail in answer.error["details"]] == [field]
    assert edge.backends.calls == []


@pytest.mark.parametrize("query", ["pageToken=%ff", "limit=3&pageToken=a%e2%28", "page_token=%ff"])
async def test_a_text_that_is_not_utf_8_is_named(edge: Edge, query: str) -> None:
    answer = await edge.call("GET", f"{API}/matches/mutual?{query}")
    assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")
    (detail,) = answer.error["details"]
    assert detail == {"field": "pageToken", "message": "must be text in UTF-8"}
    assert edge.backends.calls == []


async def test_a_good_query_arrives(edge: Edge) -> None:
    assert (await edge.call("GET", f"{API}/matches/recommendations?limit=7")).status == 200
    assert (await edge.call("GET", f"{API}/matches/recommendations")).status == 200
    with_limit, without = (call.request for call in edge.backends.calls)
    assert with_limit.limit == 7
    assert not without.HasField("limit")


@pytest.mark.parametrize("name", ["matchId", "match_id"])
async def test_a_path_value_cannot_be_replaced(edge: Edge, name: str) -> None:
    mine, other = str(edge.user), "22222222-2222-4222-8222-222222222222"
    path = f"{API}/matches/{mine}/action"
    answers = [
        await edge.call("POST", path, {"action": "like", name: other}),
        await edge.call("POST", f"{path}?{name}={other}", {"action": "like"}),
        await edge.call("POST", path, {"matchId": other, "match_id": other, "action": "like"}),
    ]
    assert {answer.status for answer in answers} <= {200, 400}
    assert {call.request.match_id for call in edge.backends.calls} <= {mine}


async def test_answers_show_what_is_zero_and_hide_what_is_absent(edge: Edge) -> None:
    edge.backends.answers["GetProfile"] = accounts_pb2.GetProfileResponse(
        success=True,
        profile=profile_pb2.Profile(name="Ana", preferences=profile_pb2.Preferences(age_min=30)),
    )
    answer = await edge.call("GET", PROFILE)
    assert json.loads(answer.body) == {
        "success": True,
        "profile": {
            "userId": "",
            "email": "",
            "name": "Ana",
            "bio": "",
            "photos": [],
            "interests": [],
            # Without optional: an unset number is 0. With it (age, gender): absent.
            "preferences": {"genders": [], "ageMin": 30, "ageMax": 0, "maxDistanceKm": 0},
        },
    }
    assert answer.headers["content-type"] == "application/json"
    assert not [name for name in answer.headers if name.startswith(("grpc-", "x-envoy-"))]

"""What a request goes through, over real gRPC on a free port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from eros_common.errors import (
    ErosError,
    ErrorCode,
    FieldFault,
    InvalidArgument,
    NotFound,
    from_rpc_error,
)
from eros_common.ids import UserId
from eros_common.policy import Policy
from eros_common.server import Registration
from eros_common.testing import TestServer, TestTokens, start_server
from tests.unit.common.echo import Echo, EchoServicer, EchoStub, add_echo_to_server

ME = UserId(uuid4())


class Side:
    """A server with the echo service, and its caller."""

    def __init__(self, server: TestServer, servicer: EchoServicer, tokens: TestTokens) -> None:
        self.server = server
        self.servicer = servicer
        self.tokens = tokens
        self.stub = EchoStub(server.channel)


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    tokens, servicer = TestTokens(), EchoServicer()
    async with start_server((add_echo_to_server, servicer), tokens=tokens) as server:
        yield Side(server, servicer, tokens)


async def refused(call: Any) -> ErosError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def test_a_signed_in_person_is_known_to_the_method(side: Side) -> None:
    answer = await side.stub.Say(Echo(short_text="hello"), metadata=side.tokens.user(ME))
    assert answer.short_text == "hello"
    assert side.servicer.user == ME


async def test_nobody_is_refused_and_told_so(side: Side) -> None:
    error = await refused(side.stub.Say(Echo()))
    assert error.code is ErrorCode.UNAUTHENTICATED
    assert side.servicer.user is None


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a.b.c", "x"])
async def test_a_broken_header_is_refused(side: Side, header: str) -> None:
    error = await refused(side.stub.Say(Echo(), metadata=(("authorization", header),)))
    assert error.code is ErrorCode.UNAUTHENTICATED


async def test_a_role_is_asked_for(side: Side) -> None:
    error = await refused(side.stub.Admin(Echo(), metadata=side.tokens.user(ME)))
    assert error.code is ErrorCode.PERMISSION_DENIED
    answer = await side.stub.Admin(Echo(), metadata=side.tokens.user(ME, roles=["admin"]))
    assert answer.short_text == "admin"


async def test_services_are_known_by_their_own_keys(side: Side) -> None:
    answer = await side.stub.Internal(Echo(), metadata=side.tokens.service("scheduler", "test"))
    assert answer.short_text == "scheduler"
    error = await refused(
        side.stub.Internal(Echo(), metadata=side.tokens.service("accounts", "test"))
    )
    assert error.code is ErrorCode.PERMISSION_DENIED  # not in the list
    error = await refused(
        side.stub.Internal(Echo(), metadata=side.tokens.service("scheduler", "elsewhere"))
    )
    assert error.code is ErrorCode.UNAUTHENTICATED  # made for another service
    error = await refused(side.stub.Internal(Echo(), metadata=side.tokens.user(ME)))
    assert error.code is ErrorCode.UNAUTHENTICATED  # a person is no service


async def test_a_service_token_is_no_user_token(side: Side) -> None:
    error = await refused(side.stub.Say(Echo(), metadata=side.tokens.service("scheduler", "test")))
    assert error.code is ErrorCode.UNAUTHENTICATED


async def test_an_ended_session_is_refused_at_once() -> None:
    tokens, revoked = TestTokens(), set[str]()
    metadata = tokens.user(ME, session_id="s1")
    auth = tokens.auth(revoked=revoked)
    async with start_server((add_echo_to_server, EchoServicer()), auth=auth) as server:
        stub = EchoStub(server.channel)
        await stub.Say(Echo(), metadata=metadata)  # verified, and cached
        revoked.add("s1")
        error = await refused(stub.Say(Echo(), metadata=metadata))
    assert error.code is ErrorCode.UNAUTHENTICATED


async def test_violations_name_the_rest_fields(side: Side) -> None:
    bad = Echo(short_text="x" * 21, inner_parts=[Echo(), Echo(short_text="y" * 30)])
    error = await refused(side.stub.Public(bad))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert {fault.field for fault in error.fields} == {"shortText", "innerParts[1].shortText"}
    assert "shortText" in error.message


async def test_identity_comes_before_validation(side: Side) -> None:
    error = await refused(side.stub.Say(Echo(short_text="x" * 21)))
    assert error.code is ErrorCode.UNAUTHENTICATED


async def test_ten_thousand_faults_fit_into_a_status(side: Side) -> None:
    inner = [Echo(short_text="x" * 100) for _ in range(100)]
    error = await refused(side.stub.Public(Echo(inner_parts=inner * 100)))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert 0 < len(error.fields) <= 16


async def test_each_message_of_a_request_stream_is_checked(side: Side) -> None:
    async def messages() -> AsyncIterator[Any]:
        yield Echo(short_text="fine")
        yield Echo(short_text="x" * 21)

    error = await refused(side.stub.Gather(messages()))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert error.fields[0].field == "shortText"
    talk = side.stub.Talk(messages())
    assert (await talk.read()).short_text == "FINE"
    error = await refused(talk.read())
    assert error.code is ErrorCode.INVALID_ARGUMENT


async def test_all_four_shapes_answer(side: Side) -> None:
    async def messages() -> AsyncIterator[Any]:
        yield Echo(short_text="a")
        yield Echo(short_text="b")

    parts = [Echo(short_text="1"), Echo(short_text="2")]
    watched = [e.short_text async for e in side.stub.Watch(Echo(inner_parts=parts))]
    assert watched == ["1", "2"]
    assert (await side.stub.Gather(messages())).short_text == "a+b"
    assert [e.short_text async for e in side.stub.Talk(messages())] == ["A", "B"]


@pytest.mark.parametrize("shape", ["Public", "Watch", "Gather", "Talk"])
async def test_domain_errors_become_statuses_in_every_shape(side: Side, shape: str) -> None:
    side.servicer.fail = NotFound("no such thing", FieldFault("matchId", "is unknown"))
    call = getattr(side.stub, shape)
    call = call(iter([Echo()])) if shape in ("Gather", "Talk") else call(Echo())
    error = await refused(call.read() if shape in ("Watch", "Talk") else call)
    assert type(error) is NotFound
    assert error.message == "no such thing"
    assert error.fields == (FieldFault("matchId", "is unknown"),)


async def test_the_status_has_standard_details(side: Side) -> None:
    side.servicer.fail = InvalidArgument("too young", FieldFault("age", "must be at least 18"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await side.stub.Public(Echo(), metadata=(("x-request-id", "r-1"),))
    trailers = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INVALID_ARGUMENT", "eros")
    assert status.details[2].Unpack(request)
    assert request.request_id == "r-1"
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_unexpected_errors_leak_nothing_and_are_logged(
    side: Side, caplog: pytest.LogCaptureFixture
) -> None:
    side.servicer.fail = RuntimeError("password=hunter2")
    with caplog.at_level(logging.ERROR):
        error = await refused(side.stub.Public(Echo()))
    assert error.code is ErrorCode.INTERNAL
    assert "hunter2" not in error.message
    assert error.request_id
    record = next(r for r in caplog.records if r.msg == "unexpected")
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])


async def test_a_timeout_error_of_the_method_is_not_the_deadline(side: Side) -> None:
    side.servicer.fail = TimeoutError()
    assert (await refused(side.stub.Public(Echo()))).code is ErrorCode.INTERNAL


async def test_the_request_id_goes_through_and_comes_back(side: Side) -> None:
    call = side.stub.Public(Echo(), metadata=(("x-request-id", "abc-123"),))
    assert (await call).short_text == "abc-123"
    assert dict(await call.trailing_metadata())["x-request-id"] == "abc-123"


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b"])
async def test_a_bad_request_id_is_replaced(side: Side, given: str) -> None:
    call = side.stub.Public(Echo(), metadata=(("x-request-id", given),))
    await call
    returned = dict(await call.trailing_metadata())["x-request-id"]
    assert returned not in (given, "")


async def test_the_policys_timeout_caps_a_call(side: Side) -> None:
    error = await refused(side.stub.Slow(Echo(), timeout=30))
    assert error.code is ErrorCode.DEADLINE_EXCEEDED
    assert side.servicer.cancelled.is_set()


async def test_the_callers_deadline_cancels_the_method(side: Side) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await side.stub.Slow(Echo(), timeout=0.02)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(20):
        await side.servicer.cancelled.wait()


async def test_a_client_that_goes_away_closes_the_stream(side: Side) -> None:
    call = side.stub.Watch(Echo(short_text="for ever", inner_parts=[Echo(short_text="1")]))
    assert (await call.read()).short_text == "1"
    await side.servicer.started.wait()
    call.cancel()
    async with asyncio.timeout(20):
        await side.servicer.closed.wait()


async def test_bytes_that_are_no_message_are_the_callers_fault(side: Side) -> None:
    path = "/eros.commontest.v1.EchoService"
    once: Any = side.server.channel.unary_unary(f"{path}/Public")
    many: Any = side.server.channel.stream_unary(f"{path}/Gather")
    for call in (once(b"\xff" * 9), many(iter([b"\xff" * 9]))):
        error = await refused(call)
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert "DecodeError" not in error.message
    nobody: Any = side.server.channel.unary_unary(f"{path}/Say")
    assert (await refused(nobody(b"\xff" * 9))).code is ErrorCode.UNAUTHENTICATED


async def test_an_unknown_method_is_unimplemented(side: Side) -> None:
    call: Any = side.server.channel.unary_unary("/eros.commontest.v1.EchoService/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_method_that_declares_no_policy_is_refused() -> None:
    registration = Registration(add_echo_to_server, EchoServicer(), policy=Policy.public())
    del registration.policies["/eros.commontest.v1.EchoService/Public"]
    async with start_server(registration) as server:
        error = await refused(EchoStub(server.channel).Public(Echo()))
    assert error.code is ErrorCode.PERMISSION_DENIED


async def test_a_given_policy_replaces_the_declared_ones() -> None:
    registration = Registration(add_echo_to_server, EchoServicer(), policy=Policy.public())
    async with start_server(registration) as server:
        error = await refused(EchoStub(server.channel).Say(Echo()))
    # It came in; the method itself asked who it was.
    assert error.message == "sign in first"
    assert "/eros.commontest.v1.EchoService/Say" in registration.policies


def test_streams_that_are_no_generators_are_refused_at_once() -> None:
    class Wrong(EchoServicer):
        async def Watch(self, request: Any, context: Any) -> Any:  # type: ignore[override]
            await context.write(request)

    with pytest.raises(TypeError, match=r"EchoService/Watch"):
        Registration(add_echo_to_server, Wrong())


async def test_what_nobody_wrote_is_unimplemented(side: Side) -> None:
    side.servicer.fail = NotImplementedError("Method not implemented!")
    assert (await refused(side.stub.Public(Echo()))).code is ErrorCode.UNIMPLEMENTED


async def test_what_the_method_aborts_itself_keeps_its_code() -> None:
    class Aborting(EchoServicer):
        async def Public(self, _: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    async with start_server((add_echo_to_server, Aborting())) as server:
        error = await refused(EchoStub(server.channel).Public(Echo()))
    assert (error.code, error.message) == (ErrorCode.DATA_LOSS, "gone")

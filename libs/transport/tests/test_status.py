"""The error catalogue survives the wire."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from ensemble.core.errors import (
    CATALOGUE,
    CancelledError,
    DeadlineExceededError,
    EnsembleError,
    InvalidArgumentError,
    RateLimitedError,
    ServiceUnavailableError,
    ToolFailedError,
    UnauthenticatedError,
)
from ensemble.transport.status import DETAILS_KEY, from_rpc_error, from_status, to_status

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.reason)
def test_every_error_comes_back_as_itself(kind: type[EnsembleError]) -> None:
    back = from_status(to_status(kind("said so", metadata={"toolName": "lamp"})))
    assert type(back) is kind
    assert (back.message, back.metadata) == ("said so", {"toolName": "lamp"})
    assert (back.reason, back.code, back.retryable) == (kind.reason, kind.code, kind.retryable)


def test_there_is_exactly_one_error_info() -> None:
    status = to_status(RateLimitedError(retry_after=0.25))
    kinds = [detail.TypeName() for detail in status.details]
    assert kinds == ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("RATE_LIMITED", "ensemble")
    assert from_status(status).retry_after == 0.25


def test_violations_survive() -> None:
    back = from_status(to_status(InvalidArgumentError(violations={"a.b": "too long"})))
    assert isinstance(back, InvalidArgumentError)
    assert back.violations == {"a.b": "too long"}


def test_an_error_from_outside_the_catalogue_keeps_its_text_to_itself() -> None:
    status = to_status(ValueError("the user's secret"))
    assert "secret" not in str(status)
    assert (status.code, from_status(status).reason) == (13, "INTERNAL")


def test_a_cancellation_is_cancelled() -> None:
    assert type(from_status(to_status(asyncio.CancelledError()))) is CancelledError


def test_the_error_of_a_nested_call_keeps_its_reason() -> None:
    status = to_status(ToolFailedError("no lamp"))
    nested = grpc.aio.AioRpcError(
        grpc.StatusCode.ABORTED,
        trailing_metadata=grpc.aio.Metadata((DETAILS_KEY, status.SerializeToString())),
    )
    assert from_status(to_status(nested)).reason == "TOOL_FAILED"


@pytest.mark.parametrize("retryable", [True, False])
def test_an_unknown_reason_keeps_what_matters(retryable: bool) -> None:
    status = to_status(ToolFailedError("from tomorrow"))
    info = error_details_pb2.ErrorInfo(
        reason="MADE_UP_TOMORROW",
        domain="ensemble",
        metadata={"retryable": "true" if retryable else "false", "k": "v"},
    )
    status.details[0].Pack(info)
    status.code = grpc.StatusCode.UNAVAILABLE.value[0]
    back = from_status(status)
    assert isinstance(back, ServiceUnavailableError)
    assert (back.reason, back.code, back.message) == (
        "MADE_UP_TOMORROW",
        "UNAVAILABLE",
        "from tomorrow",
    )
    assert back.retryable is retryable
    assert back.metadata == {"k": "v"}
    assert "MADE_UP_TOMORROW" not in CATALOGUE
    assert ServiceUnavailableError.reason == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError),
        (grpc.StatusCode.CANCELLED, CancelledError),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidArgumentError),
        (grpc.StatusCode.UNAUTHENTICATED, UnauthenticatedError),
        (grpc.StatusCode.UNIMPLEMENTED, EnsembleError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, EnsembleError),
    ],
)
def test_a_status_without_details_is_mapped_by_its_code(
    code: grpc.StatusCode, kind: type[EnsembleError]
) -> None:
    back = from_rpc_error(grpc.aio.AioRpcError(code, details="as gRPC said"))
    assert type(back) is kind
    assert (back.code, back.message) == (code.name, "as gRPC said")
    assert to_status(back).code == code.value[0]


def test_a_write_that_was_under_way_as_the_peer_died_may_be_retried() -> None:
    lost = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, details="Internal error from Core")
    back = from_rpc_error(lost)
    assert isinstance(back, ServiceUnavailableError)
    assert back.retryable


def test_details_that_cannot_be_read_are_ignored() -> None:
    garbled = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        trailing_metadata=grpc.aio.Metadata((DETAILS_KEY, b"\xff\xff")),
        details="plain",
    )
    assert from_rpc_error(garbled).message == "plain"
    status = status_pb2.Status(code=14, message="half")
    status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    assert isinstance(from_status(status), ServiceUnavailableError)


def test_another_domains_reason_is_not_ours() -> None:
    status = status_pb2.Status(code=8, message="quota")
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason="RATE_LIMITED", domain="example.com")
    )
    assert type(from_status(status)) is EnsembleError


def test_other_rpc_errors_are_internal() -> None:
    assert from_rpc_error(grpc.RpcError()).reason == "INTERNAL"


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.INTERNAL, "Internal error from Core"),
        (grpc.StatusCode.UNAVAILABLE, "Stream removed (Socket closed)"),
        (grpc.StatusCode.UNKNOWN, "Stream removed (sendmsg: Broken pipe (32))"),
    ],
)
def test_a_connection_that_breaks_is_a_peer_to_try_again(
    code: grpc.StatusCode, details: str
) -> None:
    metadata = grpc.aio.Metadata()
    error = from_rpc_error(grpc.aio.AioRpcError(code, metadata, metadata, details=details))
    assert isinstance(error, ServiceUnavailableError)
    assert error.retryable
    assert error.message == ServiceUnavailableError.public_message

"""Statuses become typed errors."""

from __future__ import annotations

import pickle

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

import difyrpc_client
from difyrpc_client import _errors
from difyrpc_client._errors import BY_CODE, DifyrpcError, FieldViolation, NotFound, Unknown, from_status


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_has_its_class(code: grpc.StatusCode) -> None:
    name = code.name.title().replace("_", "")
    error = from_status(code.value[0], "message")
    assert type(error).__name__ == name
    assert error.code == code.value[0]
    assert getattr(difyrpc_client, name) is type(error)


def test_the_tree_in_the_docstring_names_every_class() -> None:
    drawn = _errors.__doc__ or ""
    assert all(f"── {kind.__name__} " in drawn for kind in DifyrpcError.__subclasses__())


def test_a_status_that_is_not_known_is_unknown() -> None:
    assert type(from_status(99, "")) is Unknown


def test_reason_metadata_retry_and_fields_are_read(details) -> None:
    status = status_pb2.Status.FromString(
        details(grpc.StatusCode.NOT_FOUND, "no", reason="FILE_NOT_FOUND", retry_after=1.5, name="files/x")
    )
    packed = any_pb2.Any()
    violation = error_details_pb2.BadRequest.FieldViolation(field="spec.tags[0]", description="is too long")
    packed.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    status.details.append(packed)
    error = from_status(5, "there is no file files/x", status.SerializeToString(), "id-1")
    assert isinstance(error, NotFound)
    assert (error.reason, error.metadata, error.retry_after) == ("FILE_NOT_FOUND", {"name": "files/x"}, 1.5)
    assert error.field_violations == (FieldViolation(field="spec.tags[0]", description="is too long"),)
    assert str(error) == "there is no file files/x (reason=FILE_NOT_FOUND, request_id=id-1)"


@pytest.mark.parametrize("junk", [b"\xff\xff\xff", b"", "text"])
def test_details_that_are_no_status_are_left_out(junk: bytes) -> None:
    error = from_status(14, "away", junk)
    assert (error.message, error.reason, error.retry_after) == ("away", "", None)


@pytest.mark.parametrize("kind", [*BY_CODE.values(), difyrpc_client.ConfigurationError, DifyrpcError])
def test_errors_survive_pickling_whole(kind: type[DifyrpcError]) -> None:
    violations = [FieldViolation(field="a", description="b")]
    error = kind(
        "m", reason="R", metadata={"k": "v"}, retry_after=2, field_violations=violations, request_id="i", attempts=3
    )
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert copy.__dict__ == error.__dict__
    assert str(copy) == str(error)

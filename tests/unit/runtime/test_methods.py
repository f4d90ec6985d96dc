"""What the contracts state about each rpc."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from difyrpc_services.assembly import methods
from difyrpc_services.catalogue import CATALOGUE, SERVICES
from difyrpc_services.runtime.methods import ContractError, methods_of


def test_every_rpc_of_every_contract_states_access_and_repetition():
    found = methods(CATALOGUE)
    assert len(found) == sum(len(entry.descriptor().methods) for entry in CATALOGUE)


def test_the_facts_of_one_rpc_are_those_of_its_option():
    found = methods([SERVICES["files"]])
    start = found["/difyrpc.files.v1.FileStorage/StartUpload"]
    assert (start.service, start.level, start.replayed) == ("files", "write", True)
    get = found["/difyrpc.files.v1.FileStorage/GetFile"]
    assert (get.level, get.replayed) == ("read", False)


def test_an_rpc_without_the_option_is_refused():
    file = FileDescriptorProto(name="bare.proto", package="bare", syntax="proto3")
    file.message_type.add(name="Empty")
    file.service.add(name="Bare").method.add(name="Do", input_type=".bare.Empty", output_type=".bare.Empty")
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    with pytest.raises(ContractError, match=r"bare\.Bare\.Do"):
        methods_of("bare", pool.FindServiceByName("bare.Bare"))


def test_the_name_of_a_contract_is_that_of_its_descriptor():
    for entry in CATALOGUE:
        assert entry.descriptor().full_name == entry.full_name

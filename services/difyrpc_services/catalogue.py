"""The services there are: one line each, the only place to add one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor

    from difyrpc_services.runtime.service import Build


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One contract, and the server for it where there is one."""

    name: str
    """The name on the command line, of the scopes and of the extra: `files`."""
    contract: str
    """Python module of the messages: `difyrpc.files.v1.files_pb2`."""
    service: str
    """The service's name in that module: `FileStorage`."""
    server: str = ""
    """Module with `build`; empty for a contract that no server of this release offers."""

    @property
    def full_name(self) -> str:
        """The contract's name on the wire: `difyrpc.files.v1.FileStorage`."""
        return f"{self.contract.rpartition('.')[0]}.{self.service}"

    def descriptor(self) -> ServiceDescriptor:
        """Imports the contract and answers the service's descriptor."""
        module = importlib.import_module(self.contract)
        return cast("ServiceDescriptor", module.DESCRIPTOR.services_by_name[self.service])

    def build(self) -> Build:
        """Imports the server and answers its `build`; ImportError when its extra is not installed."""
        return cast("Build", importlib.import_module(self.server).build)


CATALOGUE = (
    Entry(
        name="documents",
        contract="difyrpc.documents.v1.documents_pb2",
        service="DocumentParser",
        server="difyrpc_services.documents.service",
    ),
    Entry(
        name="vectors",
        contract="difyrpc.vectors.v1.vectors_pb2",
        service="VectorSearch",
        server="difyrpc_services.vectors.service",
    ),
    Entry(
        name="files",
        contract="difyrpc.files.v1.files_pb2",
        service="FileStorage",
        server="difyrpc_services.files.service",
    ),
    Entry(
        name="metrics",
        contract="difyrpc.metrics.v1.metrics_pb2",
        service="MetricsCollector",
        server="difyrpc_services.metrics.service",
    ),
    Entry(name="tasks", contract="difyrpc.tasks.v1beta1.tasks_pb2", service="TaskQueue"),
    Entry(name="inference", contract="difyrpc.inference.v1beta1.inference_pb2", service="Inference"),
    Entry(name="apps", contract="difyrpc.apps.v1beta1.apps_pb2", service="DifyApps"),
)

SERVICES = {entry.name: entry for entry in CATALOGUE if entry.server}
"""What `difyrpc serve` can run, by name."""

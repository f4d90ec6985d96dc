"""MetricsCollector over gRPC: translates, decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from difyrpc.metrics.v1 import metrics_pb2, metrics_pb2_grpc, usage_pb2
from difyrpc_services.metrics import messages, questions
from difyrpc_services.metrics.core.collector import Collector
from difyrpc_services.metrics.core.export import export_observations, export_usage
from difyrpc_services.runtime.caller import current_caller
from difyrpc_services.runtime.errors import InvalidArgument, Unimplemented


class MetricsServicer(metrics_pb2_grpc.MetricsCollectorServicer):
    """The contract's five methods."""

    def __init__(self, collector: Collector) -> None:
        """Takes the core."""
        self._collector = collector

    async def Record(
        self, request: metrics_pb2.RecordRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> metrics_pb2.RecordResponse:
        """Records one batch."""
        del context
        caller = current_caller()
        receipt = await self._collector.record(caller.tenant, messages.read_batch(request.batch, caller))
        return messages.record_response(receipt)

    async def RecordStream(
        self,
        request_iterator: AsyncIterator[metrics_pb2.RecordStreamRequest],
        context: grpc.aio.ServicerContext[object, object],
    ) -> AsyncIterator[metrics_pb2.RecordStreamResponse]:
        """Records batch after batch."""
        del context
        caller = current_caller()
        writer_id = ""
        async for request in request_iterator:
            batch = messages.read_batch(request.batch, caller, writer_id=writer_id)
            if writer_id and batch.writer_id != writer_id:
                raise InvalidArgument(
                    "WRITER_CHANGED", "the stream belongs to the writer of its first batch", field="batch.writer_id"
                )
            receipt = await self._collector.record(caller.tenant, batch)
            writer_id = batch.writer_id
            yield messages.stream_response(receipt)

    async def QueryUsage(
        self, request: metrics_pb2.QueryUsageRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> metrics_pb2.QueryUsageResponse:
        """Sums usage."""
        del context
        query = questions.read_query(request.query)
        return questions.write_answer(await self._collector.query(current_caller().tenant, query))

    async def TailObservations(
        self, request: metrics_pb2.TailObservationsRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[metrics_pb2.TailObservationsResponse]:
        """Sends observations as they come."""
        tests = questions.read_filters(request.filters, "filters")
        async with self._collector.listen(current_caller().tenant, tests) as listener:
            await context.send_initial_metadata(())
            async for found, lost in listener:
                yield messages.tail_response(found, lost)

    async def ExportUsage(
        self, request: metrics_pb2.ExportUsageRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[metrics_pb2.ExportUsageResponse]:
        """Sends a file."""
        del context
        _check_format(request.format)
        async for part in self._export(request):
            if isinstance(part, bytes):
                yield metrics_pb2.ExportUsageResponse(chunk=part)
            else:
                yield metrics_pb2.ExportUsageResponse(row_count=part)

    async def _export(self, request: metrics_pb2.ExportUsageRequest) -> AsyncIterator[bytes | int]:
        tenant = current_caller().tenant
        match request.WhichOneof("content"):
            case "usage":
                query = questions.read_query(request.usage)
                async for part in export_usage(await self._collector.query(tenant, query), query.group_by):
                    yield part
            case "observations":
                wanted = questions.read_selection(request.observations)
                found = await self._collector.observations(tenant, wanted)
                async for part in export_observations(found):
                    yield part
            case _:
                raise InvalidArgument("EXPORT_INVALID", "neither usage nor observations are asked for", field="content")


def _check_format(number: int) -> None:
    if number == usage_pb2.EXPORT_FORMAT_PARQUET:
        raise Unimplemented("FEATURE_NOT_SUPPORTED", "this server does not write {feature}", feature="parquet")
    if number not in (usage_pb2.EXPORT_FORMAT_UNSPECIFIED, usage_pb2.EXPORT_FORMAT_CSV):
        raise InvalidArgument("EXPORT_INVALID", "there is no format {number}", field="format", number=number)

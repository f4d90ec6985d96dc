"""What watchers of the health service are told."""

from __future__ import annotations

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from difyrpc_services.runtime.health import Health


async def test_who_watches_is_told_of_a_stop_that_came_while_the_last_answer_was_sent() -> None:
    health = Health([])
    health.serve()
    told = []
    async for answer in health.Watch(HealthCheckRequest(), None):
        told.append(answer.status)
        if health.is_serving():
            health.drain()
            health.end()
    assert told == [HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING]


async def test_who_begins_to_watch_after_the_end_is_told_the_status() -> None:
    health = Health([])
    health.end()
    told = [answer.status async for answer in health.Watch(HealthCheckRequest(), None)]
    assert told == [HealthCheckResponse.NOT_SERVING]

"""What a tenant wrote no other can see: every rpc is called with another tenant's names.

The list of rpcs comes from the contracts: one that names things and is not called here fails the test.
"""

from __future__ import annotations

import grpc
from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from serving import Running
from statuses import reason

from difyrpc.files.v1 import files_pb2, files_pb2_grpc
from difyrpc.metrics.v1 import metrics_pb2, metrics_pb2_grpc
from difyrpc.vectors.v1 import vectors_pb2, vectors_pb2_grpc
from difyrpc_services.catalogue import SERVICES

METHODS = {method.name: method for entry in SERVICES.values() for method in entry.descriptor().methods}
RESOURCE_FIELDS = {"upload", "file", "collection", "replace"}  # and `name` of a request that names what exists

# Requests that succeed for the owner, in an order in which the owner can make them all.
NAMING = {
    "Parse": 'file: "{file}"',
    "ParseStream": 'spec {{ file: "{file}" }}',
    "RenderPage": 'file: "{file}"',
    "GetFile": 'name: "{file}"',
    "DownloadFile": 'name: "{file}"',
    "UpdateFile": 'file {{ name: "{file}" media_type: "text/x" }} update_mask {{ paths: "media_type" }}',
    "CopyFile": 'name: "{file}" spec {{ display_name: "copy" }}',
    "StartUpload": 'spec {{ replace: "{file}" }}',
    "UploadFile": 'spec {{ replace: "{spare}" }}',
    "SignUrl": 'read {{ name: "{file}" }}',
    "ConvertFile": 'name: "{file}" target: CONVERT_TARGET_TEXT',
    "QueryUpload": 'upload: "{upload}"',
    "WriteUpload": 'start {{ upload: "{upload}" }}',
    "FinishUpload": 'upload: "{upload}"',
    "AbortUpload": 'upload: "{other_upload}"',
    "DeleteFile": 'name: "{file}"',
    "GetCollection": 'name: "{collection}"',
    "UpdateCollection": 'collection {{ name: "{collection}" description: "d" }} update_mask {{ paths: "description" }}',
    "UpsertPoints": 'collection: "private" points {{ id: "p2" text: "more" }}',
    "UpsertPointsStream": 'spec {{ collection: "private" }}',
    "GetPoints": 'collection: "private" ids: "p1"',
    "ScrollPoints": 'collection: "private"',
    "CountPoints": 'collection: "private"',
    "UpdateMetadata": 'collection: "private" points {{ ids {{ ids: "p1" }} }} '
    'set {{ key: "a" value {{ bool_value: true }} }}',
    "Search": 'collection: "private" query: "secret"',
    "BatchSearch": 'searches {{ collection: "private" query: "secret" }}',
    "DeletePoints": 'collection: "private" points {{ ids {{ ids: "p1" }} }}',
    "DeleteCollection": 'name: "{collection}"',
}
# These name nothing that exists.
NAMELESS = {
    "CreateCollection",
    "EmbedTexts",
    "ExportUsage",
    "GetQuota",
    "ListCollections",
    "ListEngines",
    "ListFiles",
    "ListFormats",
    "QueryUsage",
    "Record",
    "RecordStream",
    "SplitText",
    "TailObservations",
}


def test_every_rpc_is_either_called_here_or_names_nothing():
    assert set(METHODS) == NAMING.keys() | NAMELESS
    for name in NAMELESS - {"CreateCollection"}:
        assert not resource_fields(METHODS[name].input_type), name


async def test_another_tenants_names_are_not_found(tenants_server: Running):
    async with tenants_server.channel("a") as ours, tenants_server.channel("b") as theirs:
        names = await write_as_owner(ours)
        for name, template in NAMING.items():
            request = template.format(**names)
            owner_code, _ = await outcome(ours, METHODS[name], request) if name in READS else (None, "")
            code, why = await outcome(theirs, METHODS[name], request)
            if code is grpc.StatusCode.UNIMPLEMENTED:
                assert why == "FEATURE_NOT_SUPPORTED", name
                continue
            assert code is grpc.StatusCode.NOT_FOUND, f"{name}: {code} {why}"
            assert owner_code in (None, grpc.StatusCode.OK), f"the owner's {name}: {owner_code}"
        await everything_is_still_there(ours, names)
        await nothing_is_listed(theirs)


async def test_the_owner_can_make_all_of_these_calls(tenants_server: Running):
    async with tenants_server.channel("a") as ours:
        names = await write_as_owner(ours)
        for name, template in NAMING.items():
            code, why = await outcome(ours, METHODS[name], template.format(**names))
            assert code is grpc.StatusCode.OK or why == "FEATURE_NOT_SUPPORTED", f"{name}: {code} {why}"


READS = {"GetFile", "DownloadFile", "QueryUpload", "GetCollection", "GetPoints", "Search"}


async def write_as_owner(channel: grpc.aio.Channel) -> dict[str, str]:
    files, vectors = files_pb2_grpc.FileStorageStub(channel), vectors_pb2_grpc.VectorSearchStub(channel)
    file, spare = [await stored(files, f"private-{number}.pdf") for number in range(2)]
    uploads = []
    for _ in range(2):
        spec = files_pb2.FileSpec(display_name="half.txt")
        uploads.append((await files.StartUpload(files_pb2.StartUploadRequest(spec=spec))).upload.name)
    collection = vectors_pb2.CreateCollectionRequest()
    text_format.Parse('collection { name: "collections/private" }', collection)
    name = (await vectors.CreateCollection(collection)).collection.name
    upsert = vectors_pb2.UpsertPointsRequest()
    await vectors.UpsertPoints(text_format.Parse('collection: "private" points { id: "p1" text: "a secret" }', upsert))
    batch = 'batch { writer_id: "w" sequence: 1 observations { tokens { input: 7 } } }'
    await metrics_pb2_grpc.MetricsCollectorStub(channel).Record(text_format.Parse(batch, metrics_pb2.RecordRequest()))
    return {"file": file, "spare": spare, "upload": uploads[0], "other_upload": uploads[1], "collection": name}


async def stored(files: files_pb2_grpc.FileStorageStub, name: str) -> str:
    parts = [
        files_pb2.UploadFileRequest(spec=files_pb2.FileSpec(display_name=name)),
        files_pb2.UploadFileRequest(chunk=files_pb2.Chunk(data=one_page_pdf())),
    ]
    return (await files.UploadFile(iter(parts))).file.name


async def everything_is_still_there(channel: grpc.aio.Channel, names: dict[str, str]) -> None:
    files, vectors = files_pb2_grpc.FileStorageStub(channel), vectors_pb2_grpc.VectorSearchStub(channel)
    assert (await files.GetFile(files_pb2.GetFileRequest(name=names["file"]))).file.generation == 1
    for upload in (names["upload"], names["other_upload"]):
        assert (await files.QueryUpload(files_pb2.QueryUploadRequest(upload=upload))).upload.name == upload
    points = await vectors.GetPoints(vectors_pb2.GetPointsRequest(collection="private", ids=["p1"]))
    assert not points.points[0].metadata
    counted = await vectors.CountPoints(vectors_pb2.CountPointsRequest(collection="private"))
    assert counted.count == 1


async def nothing_is_listed(channel: grpc.aio.Channel) -> None:
    files, vectors = files_pb2_grpc.FileStorageStub(channel), vectors_pb2_grpc.VectorSearchStub(channel)
    metrics = metrics_pb2_grpc.MetricsCollectorStub(channel)
    assert not (await files.ListFiles(files_pb2.ListFilesRequest())).files
    assert (await files.GetQuota(files_pb2.GetQuotaRequest())).used_bytes == 0
    listed = await vectors.ListCollections(vectors_pb2.ListCollectionsRequest())
    assert "collections/private" not in [collection.name for collection in listed.collections]
    usage = await metrics.QueryUsage(metrics_pb2.QueryUsageRequest())
    assert usage.total.calls == 0
    batch = 'batch { writer_id: "w" sequence: 1 observations { tokens { input: 1 } } }'
    recorded = await metrics.Record(text_format.Parse(batch, metrics_pb2.RecordRequest()))
    assert not recorded.repeated


async def outcome(channel: grpc.aio.Channel, method: MethodDescriptor, text: str) -> tuple[grpc.StatusCode, str]:
    """Calls with one message and answers the status and the reason."""
    request = text_format.Parse(text, GetMessageClass(method.input_type)())
    shape = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, shape)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )(iter([request]) if method.client_streaming else request, timeout=30)
    try:
        answers = [answer async for answer in call] if method.server_streaming else [await call]
    except grpc.aio.AioRpcError as error:
        return error.code(), reason(error)
    return outcome_inside(answers)


def outcome_inside(answers: list[Message]) -> tuple[grpc.StatusCode, str]:
    """An answer of BatchSearch holds a status for each search."""
    for answer in answers:
        for result in getattr(answer, "results", ()):
            if result.WhichOneof("outcome") == "error":
                return next(code for code in grpc.StatusCode if code.value[0] == result.error.code), ""
    return grpc.StatusCode.OK, ""


def resource_fields(descriptor: Descriptor, depth: int = 3) -> list[str]:
    found = [field.full_name for field in descriptor.fields if field.name in RESOURCE_FIELDS]
    if depth:
        for field in descriptor.fields:
            if field.message_type is not None:
                found += resource_fields(field.message_type, depth - 1)
    return found


def one_page_pdf() -> bytes:
    import io

    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 720, "1. A private clause that nobody else may read.")
    canvas.save()
    return buffer.getvalue()

"""Calls, forks, and calls again in both processes with the client from before the fork."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

SERVES, CALLS = os.pipe(), os.pipe()


def serve() -> None:
    import grpc

    from difyrpc.files.v1 import files_pb2, files_pb2_grpc

    class Files(files_pb2_grpc.FileStorageServicer):
        def GetFile(self, request, context):
            return files_pb2.GetFileResponse(file=files_pb2.File(name=request.name))

    server = grpc.server(ThreadPoolExecutor(2))
    files_pb2_grpc.add_FileStorageServicer_to_server(Files(), server)
    os.write(SERVES[1], str(server.add_insecure_port("127.0.0.1:0")).encode())
    server.start()
    os.read(CALLS[0], 1)
    server.stop(None).wait()


def main() -> int:
    server = os.fork()
    if server == 0:
        serve()
        os._exit(0)
    from difyrpc_client import connect

    dify = connect(f"localhost:{os.read(SERVES[0], 16).decode()}", timeout=20)
    dify.files.get("files/before")
    child = os.fork()
    if child == 0:
        print("child", dify.files.get("files/child").name, flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print("parent", dify.files.get("files/parent").name, flush=True)
    os.write(CALLS[1], b"x")
    os.waitpid(server, 0)
    return status


if __name__ == "__main__":
    sys.exit(main())

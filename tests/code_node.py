"""What a Code node runs: enters the sandbox as asked, then does one of the jobs below and prints what came of it.

Started as a program: the job, the order as JSON. The order says what to call, when the client is imported and how
much of the sandbox there is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import code_node_sandbox as sandbox


def call_everything(order: dict[str, Any]) -> dict[str, Any]:
    from difyrpc_client import TLS, DeadlineExceeded, NotFound, Retry, Unavailable, connect

    tls = TLS(ca=order["ca"]) if order.get("ca") else None
    with connect(order["url"], tls=tls, timeout=20, retry=Retry(wait_min=0.01, wait_max=0.01)) as dify:
        file = dify.files.upload(b"late delivery" * 100_000, name="x.txt")  # unary, repeated, and a stream both ways
        content = dify.files.read(file)  # a stream from the server
        dify.files.upload(iter([b"what can be read once"]), name="y.txt")
        parsed = dify.documents.parse(b"Article 1. Delivery\nThe seller delivers.", name="x.txt")
        reason = reason_of(NotFound, lambda: dify.files.get("files/none"))
    if order.get("silent"):
        with connect(order["silent"], timeout=0.3) as silent:
            reason_of(DeadlineExceeded, silent.files.quota)
        with connect(order["nobody"], timeout=5, retry=Retry(attempts=1)) as nobody:
            reason_of(Unavailable, nobody.files.quota)
    return {"bytes": len(content), "clauses": len(parsed.clauses), "reason": reason}


def start_a_thread(order: dict[str, Any]) -> dict[str, Any]:
    import threading

    threading.Thread(target=print).start()
    return {}


def call_by_grpc(order: dict[str, Any]) -> dict[str, Any]:
    from difyrpc_client import connect

    with connect(order["target"], timeout=20) as dify:
        dify.files.quota()
    return {}


def reason_of(kind: type[Any], call: Callable[[], object]) -> str:
    try:
        call()
    except kind as error:
        return error.reason
    raise AssertionError(f"{call} did not fail")


def main(job: str, order: dict[str, Any]) -> None:
    os.environ.update(order.get("env", {}))
    if order.get("import_first"):
        import difyrpc_client  # noqa: F401
    if order.get("root"):
        sandbox.change_root(order["root"], [path for path in sys.path if os.path.isabs(path)])
    sandbox.install_filter()
    if order.get("root"):
        sandbox.give_up_root()
    seen = globals()[job](order)
    heavy = sorted({"grpc", "asyncio", "concurrent.futures.thread"} & set(sys.modules))
    print(json.dumps({**seen, "heavy": heavy, "user": os.getuid()}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))

"""A proxy before an S3 server that goes wrong on demand.

    python -m tests.interop.ceph.proxy UPSTREAM PORT

`POST /__fault__` takes a rule `{"method", "key", "action", "times"}`: the next
`times` requests with that method, and with `key` in their path, go wrong.

    before      the connection is cut, and the request never arrives
    lost        the request is carried out, and its answer is lost
    busy        503 SlowDown
    cut         half of the answer arrives
"""

import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import yarl
from aiohttp import web

RULES = web.AppKey("rules", list[dict[str, Any]])
UPSTREAM = web.AppKey("upstream", str)
CLIENT = web.AppKey("client", aiohttp.ClientSession)
HOP_BY_HOP = {"transfer-encoding", "connection", "content-length", "content-encoding"}
MADE_BY_CLIENT = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
BUSY = b"<Error><Code>SlowDown</Code></Error>"


async def control(request: web.Request) -> web.Response:
    rules = request.app[RULES]
    if request.method == "POST":
        rules.append(await request.json())
    elif request.method == "DELETE":
        rules.clear()
    return web.json_response(rules)


def action_for(request: web.Request) -> str:
    for rule in request.app[RULES]:
        if (
            rule["times"] > 0
            and rule["method"] == request.method
            and rule["key"] in request.raw_path
        ):
            rule["times"] -= 1
            return str(rule["action"])
    return "pass"


async def forward(request: web.Request) -> web.StreamResponse:
    body, action = await request.read(), action_for(request)
    if action == "busy":
        return web.Response(status=503, body=BUSY, content_type="application/xml")
    if action == "before":
        return cut(request)
    # The host stays, so the signature stays right.
    headers = {
        name: value
        for name, value in request.headers.items()
        if name.lower() not in {"transfer-encoding", "connection"}
    }
    url = yarl.URL(request.app[UPSTREAM] + request.raw_path, encoded=True)
    async with request.app[CLIENT].request(
        request.method, url, data=body, headers=headers, allow_redirects=False
    ) as answer:
        data = await answer.read()
        answer_headers = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in HOP_BY_HOP
        }
        if action == "lost":
            return cut(request)
        if action == "cut":
            answer_headers["Content-Length"] = str(len(data))
            half = web.StreamResponse(status=answer.status, headers=answer_headers)
            await half.prepare(request)
            await half.write(data[: len(data) // 2])
            cut(request)
            return half
        if request.method == "HEAD":
            answer_headers["Content-Length"] = answer.headers.get("Content-Length", "0")
        return web.Response(status=answer.status, body=data, headers=answer_headers)


def cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def client(app: web.Application) -> AsyncIterator[None]:
    app[CLIENT] = aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=MADE_BY_CLIENT,
        connector=aiohttp.TCPConnector(limit=0),
    )
    yield
    await app[CLIENT].close()


def main() -> None:
    app = web.Application(client_max_size=1 << 30)
    app[UPSTREAM], app[RULES] = sys.argv[1], []
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/__fault__", control)
    app.router.add_route("*", "/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)


if __name__ == "__main__":
    main()

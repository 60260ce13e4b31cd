"""A server of model files on this machine, which makes the faults that a test asks for."""

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Answer:
    """How to answer one request; the plain one is right in everything.

    ``cut`` closes the connection after so many bytes of the body. ``hold`` sends so many and continues once the gate of
    the server is open; ``silent`` sends nothing before. ``change`` makes of a body what is sent in its place.
    ``sized`` sends a Content-Length; without it the body is chunked.
    """

    status: int = 200
    cut: int | None = None
    hold: int | None = None
    silent: bool = False
    change: Callable[[bytes], bytes] = bytes
    range_honoured: bool = True
    sized: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A request, and how many bytes of a body the answer held."""

    path: str
    range: str | None
    encodings: str | None
    n_bytes: int


class ModelServer:
    """Serves ``files`` by path; each request for one of them takes the next of ``answers``, then ``always``."""

    def __init__(self, files):
        self.files, self.answers, self.always = files, [], Answer()
        self.requests, self.gate = [], threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_):
        self.gate.set()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def paths(self):
        return [request.path for request in self.requests]

    def seen(self, path):
        """Return the requests for one path."""
        return [request for request in self.requests if request.path == path]

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application()
        application.router.add_get("/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request):
        path = request.raw_path
        body = self.files.get(path)
        if body is None:
            self._note(request, 0)
            return web.Response(status=404)
        answer = self.answers.pop(0) if self.answers else self.always
        if answer.status != 200:
            self._note(request, 0)
            return web.Response(status=answer.status, headers=answer.headers)
        return await self._send(request, body, answer)

    async def _send(self, request, body, answer):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "") if answer.range_honoured else "")
        start, status, headers = int(asked[1]) if asked else 0, 200, {}
        end = min(int(asked[2]) + 1, len(body)) if asked and asked[2] else len(body)
        if start >= len(body) > 0:
            self._note(request, 0)
            return web.Response(status=416)
        if start or end < len(body):
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{len(body)}"
        rest = answer.change(body[start:end])
        stop = next((limit for limit in (answer.cut, answer.hold) if limit is not None), len(rest))
        self._note(request, len(rest[:stop] if answer.cut is not None else rest))
        while answer.silent and not self.gate.is_set():
            await asyncio.sleep(0.01)
        response = web.StreamResponse(status=status, headers=headers | answer.headers)
        if answer.sized:
            response.content_length = len(rest)
        await response.prepare(request)
        await response.write(rest[:stop])
        if answer.cut is not None:
            request.transport.close()
            return response
        while stop < len(rest) and not self.gate.is_set():
            await asyncio.sleep(0.01)
        if stop < len(rest) and request.transport is not None:
            await response.write(rest[stop:])
        return response

    def _note(self, request, n_bytes):
        asked = [request.headers.get(name) for name in ("Range", "Accept-Encoding")]
        self.requests.append(Seen(request.raw_path, *asked, n_bytes))

"""A file server on this machine that misbehaves as it is told, one request at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class _Quiet(ThreadingHTTPServer):
    """Does not complain when a client goes away, which is what the tests make it do."""

    def handle_error(self, request: object, client_address: object) -> None: ...


class FileServer:
    """Serves ``content`` at ``url``, with ranges. Each item of ``script`` answers one request in its place.

    ``ranges`` records the Range header of every request, "" where there was none.
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.etag = content, '"v1"'
        self.script: list[Behaviour] = []
        self.ranges: list[str] = []
        self.bytes_sent = 0
        self.head_status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.ranges.append(self.headers.get("Range", ""))
                self.close_connection = True
                (server.script.pop(0) if server.script else server.serve)(self)

            def do_HEAD(self) -> None:
                self.close_connection = True
                self.send_response(server.head_status)
                self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self.http = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/model.bin"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def serve(self, handler: BaseHTTPRequestHandler, *, only: int | None = None, pause_s: float = 0.0) -> None:
        """The proper answer; ``only`` bytes of its body where the connection is to break."""
        start = 0
        wanted = handler.headers.get("Range", "")
        if wanted and handler.headers.get("If-Range") == self.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(self.content) and start:
            return reply(416)(handler)
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        body = body[:only]
        for i in range(0, len(body), 65536):
            handler.wfile.write(body[i : i + 65536])
            self.bytes_sent += len(body[i : i + 65536])
            time.sleep(pause_s)

    def cut(self, after: int) -> Behaviour:
        """Break the connection after so many bytes of the body."""
        return lambda handler: self.serve(handler, only=after)


def reply(status: int, **headers: str) -> Behaviour:
    """Answer with a status and no body."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


@pytest.fixture
def content() -> bytes:
    """Some 300 kB without a pattern that a mistake in an offset could hide behind."""
    return b"".join((i * 2654435761 % 2**32).to_bytes(4, "little") for i in range(75_001))


@pytest.fixture
def server(content: bytes) -> Iterator[FileServer]:
    server = FileServer(content)
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty REPROZOO_HOME."""
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def answer() -> Callable[..., Behaviour]:
    """``answer(status, Header="value")``: a behaviour for ``FileServer.script``."""
    return reply

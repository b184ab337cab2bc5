"""A Hugging Face Hub on this machine: enough of its protocol for the real client, and it misbehaves as it is told.

Repositories are dictionaries of files at commits; large files (``.safetensors``, ``.bin``, …) are kept as the Hub keeps
them, under their sha256 behind a redirect. ``behave`` changes the answers to some requests; ``requests`` records all.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pt", ".pth", ".pkl", ".ckpt", ".msgpack", ".h5")
TOKEN = "hf_letmein"


@dataclass(frozen=True)
class Response:
    """What is sent, and how badly.

    Attributes:
        cut_after: bytes of the body after which the connection breaks.
        delay_s: before anything is sent.
        pause_s: after every 16 kB of the body.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    delay_s: float = 0.0
    pause_s: float = 0.0


Behaviour = Callable[[Response], Response]


@dataclass
class Repo:
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False


@dataclass
class _Rule:
    method: str
    path: re.Pattern[str]
    behaviour: Behaviour
    left: int


class _Server(ThreadingHTTPServer):
    """Does not complain when a client goes away, which is what the tests make it do."""

    def handle_error(self, request: object, client_address: object) -> None: ...


class HubServer:
    """The Hub at ``url``; ``hub_server`` starts and stops one.

    Attributes:
        requests: (method, path, Range header) of each request so far.
        bytes_sent: of all bodies together.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.bytes_sent = 0
        self._rules: list[_Rule] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            do_HEAD = do_POST = do_GET

            def log_message(self, *arguments: object) -> None: ...

        self.http = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.large_url = f"http://localhost:{self.http.server_port}"  # another host, as the Hub's large files have

    def add(
        self,
        repo: str,
        files: Mapping[str, bytes] | Path,
        *,
        branch: str = "main",
        commit: str | None = None,
        gated: bool = False,
        private: bool = False,
    ) -> str:
        """Commit ``files`` (a dictionary, or a folder) to a branch; returns the commit, made of them or as given."""
        if isinstance(files, Path):
            files = {p.relative_to(files).as_posix(): p.read_bytes() for p in files.rglob("*") if p.is_file()}
        commit = (
            commit or hashlib.sha1(json.dumps([[n, _sha256(b)] for n, b in sorted(files.items())]).encode()).hexdigest()
        )
        kept = self.repos.setdefault(repo, Repo())
        kept.commits[commit] = dict(files)
        kept.branches[branch] = commit
        kept.gated, kept.private = gated, private
        return commit

    def behave(self, behaviour: Behaviour, path: str = ".*", *, method: str = "GET", times: int = 1) -> None:
        """Change the next ``times`` answers to requests of ``method`` whose path holds the pattern ``path``."""
        self._rules.append(_Rule(method, re.compile(path), behaviour, times))

    def count(self, path: str, method: str = "GET") -> int:
        """How many requests there were so far."""
        return sum(1 for m, p, _ in self.requests if m == method and re.search(path, p))

    # --- the protocol ---------------------------------------------------------------------------------------------

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        self.requests.append((handler.command, path, handler.headers.get("Range", "")))
        response = self._route(path, handler)
        for rule in self._rules:
            if rule.left and rule.method == handler.command and rule.path.search(path):
                rule.left -= 1
                response = rule.behaviour(response)
                break
        self._send(handler, response)

    def _route(self, path: str, handler: BaseHTTPRequestHandler) -> Response:
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            return _ranged(self._large(match[1]), handler.headers.get("Range", ""))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            return self._api(match[1], match[2] or "revision", match[3] or "main", handler)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(match[1], match[2], match[3], handler)
        return _error(404, "RepoNotFound", "there is nothing")

    def _find(self, name: str, revision: str, handler: BaseHTTPRequestHandler) -> tuple[Repo, str] | Response:
        known = handler.headers.get("Authorization") == f"Bearer {TOKEN}"
        repo = self.repos.get(name)
        if repo is None or (repo.private and not known):
            return _error(401 if not known else 404, "RepoNotFound", "Repository not found")
        commit = repo.branches.get(revision) or next((c for c in repo.commits if c.startswith(revision)), None)
        return (repo, commit) if commit else _error(404, "RevisionNotFound", "Invalid rev id")

    def _api(self, name: str, what: str, revision: str, handler: BaseHTTPRequestHandler) -> Response:
        found = self._find(name, revision, handler)
        if isinstance(found, Response):
            return found
        repo, commit = found
        if what == "tree":
            return _json([_entry(path, body) for path, body in sorted(repo.commits[commit].items())])
        siblings = []
        for path, body in sorted(repo.commits[commit].items()):
            sibling = {"rfilename": path, "size": len(body), "blobId": _entry(path, body)["oid"]}
            if path.endswith(LARGE):
                sibling["lfs"] = {"sha256": _sha256(body), "size": len(body), "pointerSize": 134}
            siblings.append(sibling)
        gated = "auto" if repo.gated else False
        return _json({"id": name, "sha": commit, "private": repo.private, "gated": gated, "siblings": siblings})

    def _resolve(self, name: str, revision: str, path: str, handler: BaseHTTPRequestHandler) -> Response:
        found = self._find(name, revision, handler)
        if isinstance(found, Response):
            return found
        repo, commit = found
        if repo.gated and handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(403, "GatedRepo", "Access to this model is restricted; visit the page to ask for access")
        if path not in repo.commits[commit]:
            return _error(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": commit})
        body = repo.commits[commit][path]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path.endswith(LARGE):
            linked = {"X-Linked-Etag": f'"{_sha256(body)}"', "X-Linked-Size": str(len(body))}
            place = {"Location": f"{self.large_url}/lfs/{_sha256(body)}", "ETag": '"of-the-pointer"'}
            return Response(302, headers | linked | place)
        response = _ranged(body, handler.headers.get("Range", ""))
        return replace(response, headers={**headers, **response.headers, "ETag": f'"{_git_sha1(body)}"'})

    def _large(self, sha256: str) -> bytes:
        bodies = (b for repo in self.repos.values() for files in repo.commits.values() for b in files.values())
        return next(body for body in bodies if _sha256(body) == sha256)

    def _send(self, handler: BaseHTTPRequestHandler, response: Response) -> None:
        handler.close_connection = True
        sleep(response.delay_s)
        handler.send_response(response.status)
        usual = {"Content-Length": str(len(response.body)), "Connection": "close"}
        for name, value in {**usual, **response.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        body = response.body[: response.cut_after]
        for i in range(0, len(body), 16384):
            handler.wfile.write(body[i : i + 16384])
            self.bytes_sent += len(body[i : i + 16384])
            sleep(response.pause_s)


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A Hub that is up while the block runs."""
    server = HubServer()
    threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


# --- behaviours ----------------------------------------------------------------------------------------------------


def cut(after: int) -> Behaviour:
    """The connection breaks after so many bytes of the body."""
    return lambda response: replace(response, cut_after=after)


def status(code: int, error: str = "", message: str = "") -> Behaviour:
    """Another answer than the file."""
    return lambda _: _error(code, error, message)


def slow(delay_s: float = 0.0, pause_s: float = 0.0) -> Behaviour:
    """The answer takes its time."""
    return lambda response: replace(response, delay_s=delay_s, pause_s=pause_s)


def flipped(response: Response) -> Response:
    """One bit of the body is another; the length is right."""
    body = bytearray(response.body)
    body[len(body) // 2] ^= 1
    return replace(response, body=bytes(body))


def shorter(response: Response) -> Response:
    """The body is a byte shorter than announced before, and says so."""
    return replace(response, body=response.body[:-1])


def headers(**changed: str) -> Behaviour:
    """Other headers: ``headers(X_Repo_Commit="…")``."""
    renamed = {name.replace("_", "-"): value for name, value in changed.items()}
    return lambda response: replace(response, headers={**response.headers, **renamed})


# --- small parts ---------------------------------------------------------------------------------------------------


def _ranged(body: bytes, wanted: str) -> Response:
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
    if not match:
        return Response(200, {"Accept-Ranges": "bytes"}, body)
    start, end = int(match[1]), int(match[2] or len(body) - 1)
    if start >= len(body):
        return Response(416, {"Content-Range": f"bytes */{len(body)}"})
    return Response(206, {"Content-Range": f"bytes {start}-{end}/{len(body)}"}, body[start : end + 1])


def _entry(path: str, body: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(body), "oid": _git_sha1(body)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": _sha256(body), "size": len(body), "pointerSize": 134}
    return entry


def _json(value: object) -> Response:
    return Response(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _error(code: int, error: str, message: str, **more: str) -> Response:
    named = {"X-Error-Code": error, "X-Error-Message": message} if error else {}
    return Response(code, {**named, **more}, json.dumps({"error": message}).encode())


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _git_sha1(body: bytes) -> str:
    return hashlib.sha1(f"blob {len(body)}\0".encode() + body).hexdigest()

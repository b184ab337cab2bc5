"""One file over HTTP: resumed where it stopped, tried again with patience, never from a place that is not secure."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from reprozoo.base.errors import IntegrityError, UnavailableError, UsageError
from reprozoo.zoo.weights.cache import Progress, require_room, write_json

CHUNK_BYTES = 1 << 20
MAX_REDIRECTS = 5
MAX_RETRY_AFTER_S = 60.0
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
NO_HEAD_STATUS = frozenset({401, 403, 405, 501})  # of servers that answer GET and no HEAD, e.g. with signed addresses


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try.

    Attributes:
        timeout_s: for a connection, and for each read from it.
        attempts: in a row without a single new byte.
        backoff_s: before the second attempt; doubled before each further one.
    """

    timeout_s: float = 30.0
    attempts: int = 5
    backoff_s: float = 0.5


PATIENCE = Patience()


class _Passing(Exception):
    """Something that may be better the next time."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def download(
    url: str, part: Path, *, size: int | None = None, progress: Progress | None = None, patience: Patience | None = None
) -> None:
    """Fetch ``url`` into ``part``, continuing what an earlier call left there.

    Args:
        url: https, or http on this machine.
        part: the file to fill; beside it ``part.json`` remembers which version of the file it is.
        size: the size in bytes that the file must have, where it is known.

    Raises:
        UsageError: the address is neither https nor on this machine.
        UnavailableError: the server cannot be reached, refuses, or does not have the file.
        IntegrityError: the server's file has another size than ``size``.
        PartialError: the disk has no room for it.
    """
    check_secure(url)
    patience = patience or PATIENCE
    failures = 0
    while True:
        before = _size(part)
        try:
            return _attempt(url, part, size, progress, patience.timeout_s)
        except _Passing as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures >= patience.attempts:
                raise UnavailableError(
                    f"could not fetch {url} from {urlsplit(url).hostname}: {error}; {_size(part):,} bytes of it are "
                    "kept, and the same command continues there"
                ) from error
            time.sleep(max(error.wait_s, patience.backoff_s * 2 ** (failures - 1)))


def remote_size(url: str, *, timeout_s: float | None = None) -> int | None:
    """How long the server says a file is; None where it does not say, or not now: a size is not worth a second try.

    Raises:
        UsageError: the address is neither https nor on this machine.
        UnavailableError: the server cannot be reached, refuses, or does not have the file.
    """
    check_secure(url)
    request = urllib.request.Request(
        url, headers={"User-Agent": "reprozoo", "Accept-Encoding": "identity"}, method="HEAD"
    )
    try:
        with _opener(url).open(request, timeout=timeout_s or PATIENCE.timeout_s) as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() else None
    except urllib.error.HTTPError as error:
        with error:
            if error.code in PASSING_STATUS | NO_HEAD_STATUS:
                return None
            raise UnavailableError(f"{urlsplit(url).hostname} answered {error.code} {error.reason} to {url}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(
            f"could not reach {urlsplit(url).hostname}: {reason}; check the connection, or give --offline to use only "
            "what is here"
        ) from error


def check_secure(url: str, origin: str | None = None) -> None:
    """Refuse an address that others could change on the way.

    Raises:
        UsageError: it is not https; http is for this machine only, and never where ``origin`` is elsewhere.
    """
    parts = urlsplit(url)
    local = _is_loopback(url) and (origin is None or _is_loopback(origin))
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and local)):
        return
    sent = f", where {origin} leads," if origin else ""
    raise UsageError(f"{url}{sent} is not a secure address; files are fetched over https only")


def _attempt(url: str, part: Path, size: int | None, progress: Progress | None, timeout_s: float) -> None:
    have, validator = _resumable(part)
    headers = {"User-Agent": "reprozoo", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    try:
        with _opener(url).open(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:
            _receive(response, url, part, have, size, progress)
    except urllib.error.HTTPError as error:
        with error:
            _refused(error, url, part, have)
    except urllib.error.URLError as error:
        _unreachable(error, url)
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _Passing(f"the connection broke ({error or type(error).__name__})") from error


def _receive(response: Any, url: str, part: Path, have: int, size: int | None, progress: Progress | None) -> None:
    """Append the body of a 206, or write that of a 200 from the start."""
    if response.status != 206 or _range_start(response.headers) != have:
        if response.status == 206:
            _forget(part)
            raise _Passing("the server sent another part of the file than it was asked for")
        have = 0
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else size
    if size is not None and total != size:
        _forget(part)
        raise IntegrityError(f"{url} is {total:,} bytes long where the card says {size:,}: it is another file")
    if total is not None:
        require_room(part.parent, total - have)
    _remember(part, response.headers)
    with part.open("r+b" if have else "wb") as stream:
        stream.truncate(have)
        stream.seek(have)
        while (chunk := _next_chunk(response)) and (total is None or have <= total):
            stream.write(chunk)
            have += len(chunk)
            if progress:
                progress(url.rsplit("/", 1)[-1], have, total)
    if total is not None and have > total:
        _forget(part)
        raise IntegrityError(f"{url} sent more than {total:,} bytes, which the card says it has")
    if total is not None and have < total:
        raise _Passing(f"the connection ended after {have:,} of {total:,} bytes")


def _next_chunk(response: Any) -> bytes:
    try:
        chunk: bytes = response.read1(CHUNK_BYTES)
    except OSError as error:  # a route that is gone, too: it is no ConnectionError
        raise _Passing(f"the connection broke ({error})") from error
    return chunk


def _refused(error: urllib.error.HTTPError, url: str, part: Path, have: int) -> None:
    host = urlsplit(url).hostname
    if error.code in PASSING_STATUS:
        raise _Passing(f"it answered {error.code} {error.reason}", _retry_after(error.headers)) from error
    if error.code == 416 and have:  # nothing is left to send, or the file has changed: begin again
        _forget(part)
        raise _Passing("the server has no more of the file than is already here") from error
    if 300 <= error.code < 400:
        raise UnavailableError(
            f"{url} redirects in a circle, more than {MAX_REDIRECTS} times, or to what is not a web address"
        ) from error
    if error.code in (401, 403):
        raise UnavailableError(
            f"{host} refuses {url} ({error.code}): it wants a permission that was not given"
        ) from error
    if error.code in (404, 410):
        raise UnavailableError(f"{url} is not there any more ({error.code}); the card that names it needs a new source")
    raise UnavailableError(f"{host} answered {error.code} {error.reason} to {url}") from error


def _unreachable(error: urllib.error.URLError, url: str) -> None:
    host, reason = urlsplit(url).hostname, error.reason
    if isinstance(reason, ssl.SSLCertVerificationError | socket.gaierror):
        raise UnavailableError(
            f"could not reach {host}: {reason}; check the connection, or give --offline to use only what is here"
        ) from error
    if isinstance(reason, OSError):
        raise _Passing(f"no connection ({reason})") from error
    raise UnavailableError(f"could not reach {host}: {reason}") from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects that stay secure and come to an end."""

    max_redirections = MAX_REDIRECTS
    max_repeats = 2

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_secure(newurl, origin=req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Only http and https; proxies of the environment, but not for this machine."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if _is_loopback(url) else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _resumable(part: Path) -> tuple[int, str]:
    """How much of which version is here; (0, "") unless both are known."""
    try:
        validator = json.loads(part.with_suffix(".json").read_text(encoding="utf-8"))["validator"]
        return (_size(part), validator) if validator else (0, "")
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def _remember(part: Path, headers: Message) -> None:
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    write_json(part.with_suffix(".json"), {"validator": validator})


def _forget(part: Path) -> None:
    for path in (part, part.with_suffix(".json")):
        path.unlink(missing_ok=True)


def _range_start(headers: Message) -> int:
    with suppress(ValueError):
        return int(headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0])
    return -1


def _retry_after(headers: Message) -> float:
    with suppress(ValueError):
        return min(float(headers.get("Retry-After", "0")), MAX_RETRY_AFTER_S)
    return 0.0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

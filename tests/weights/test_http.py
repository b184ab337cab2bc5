"""Every way in which a download goes wrong: afterwards the file is whole, or a sentence says why not."""

from __future__ import annotations

import errno
import http.client
import random
import socket
import time
from pathlib import Path

import pytest

from reprozoo.base.errors import IntegrityError, PartialError, UnavailableError, UsageError
from reprozoo.zoo.weights.http import Patience, check_secure, download, remote_size

QUICK = Patience(timeout_s=0.5, attempts=3, backoff_s=0.01)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "download.part"


def test_whole_file_with_progress(server, part, content):
    seen = []
    download(server.url, part, size=len(content), progress=lambda *call: seen.append(call), patience=QUICK)
    assert part.read_bytes() == content
    assert seen[-1] == ("model.bin", len(content), len(content))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.mark.parametrize("seed", range(5))
def test_connection_cut_at_random_bytes_is_resumed(server, part, content, seed):
    rng = random.Random(seed)
    server.script = [server.cut(rng.randrange(len(content) // 4)) for _ in range(4)]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content
    assert server.bytes_sent == len(content)  # nothing was sent twice


def test_a_route_that_is_lost_is_tried_again(server, part, content, monkeypatch):
    """It is an OSError like that of a full disk, and none of a connection."""
    real, lost = http.client.HTTPResponse.read1, []

    def once(self, *arguments):
        if not lost:
            lost.append(True)
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        return real(self, *arguments)

    monkeypatch.setattr(http.client.HTTPResponse, "read1", once)
    download(server.url, part, patience=QUICK)
    assert lost
    assert part.read_bytes() == content


def test_a_later_call_continues(server, part, content):
    server.script = [server.cut(1000), *[server.cut(0)] * 3]
    with pytest.raises(UnavailableError, match="1,000 bytes of it are kept"):
        download(server.url, part, patience=QUICK)
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content
    assert server.ranges[-1] == "bytes=1000-"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_errors_are_tried_again(server, part, content, answer, status):
    server.script = [answer(status), answer(status, Retry_After="0")]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content


def test_errors_that_do_not_pass_end_it(server, part, answer):
    server.script = [answer(500)] * 9
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1: it answered 500"):
        download(server.url, part, patience=QUICK)
    assert len(server.ranges) == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "not there any more"), (410, "not there"), (401, "permission"), (403, "permission"), (418, "418")],
)
def test_refusals_are_final(server, part, answer, status, says):
    server.script = [answer(status)]
    with pytest.raises(UnavailableError, match=says):
        download(server.url, part, patience=QUICK)
    assert len(server.ranges) == 1
    assert not part.exists()


def test_wrong_size_is_another_file(server, part):
    with pytest.raises(IntegrityError, match=r"300,004 bytes long where the card says 5"):
        download(server.url, part, size=5, patience=QUICK)
    assert not part.exists()


def test_a_file_that_changes_half_way_is_fetched_from_its_start(server, part, content):
    def change(handler):
        server.content, server.etag = content[::-1], '"v2"'
        server.serve(handler)

    server.script = [server.cut(1000), change]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content[::-1]


def test_a_server_without_ranges(server, part, content):
    def whole(handler):
        del handler.headers["Range"]
        server.serve(handler)

    server.script = [server.cut(1000), whole]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content


def test_nothing_is_resumed_where_the_version_is_not_known(server, part, content):
    server.etag = ""
    server.script = [server.cut(1000)]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content
    assert server.ranges == ["", ""]


def test_the_wrong_part_is_not_appended(server, part, content, answer):
    server.script = [server.cut(1000), answer(206, Content_Range="bytes 7-300003/300004")]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content


def test_a_part_that_is_already_whole(server, part, content):
    download(server.url, part, patience=QUICK)
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content


def test_a_slow_server_is_left_and_asked_again(server, part, content):
    def stall(handler):
        server.serve(handler, only=1000)
        handler.wfile.flush()
        time.sleep(3 * QUICK.timeout_s)

    server.script = [stall]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content
    assert server.ranges[-1] == "bytes=1000-"


def test_redirects_are_followed_and_bounded(server, part, content, answer):
    server.script = [answer(302, Location="/elsewhere")]
    download(server.url, part, patience=QUICK)
    assert part.read_bytes() == content
    part.unlink()
    server.script = [answer(302, Location="/model.bin")] * 20
    with pytest.raises(UnavailableError, match="in a circle"):
        download(server.url, part, patience=QUICK)
    server.script = [answer(302, Location=f"/{i}") for i in range(20)]
    with pytest.raises(UnavailableError, match="more than 5 times"):
        download(server.url, part, patience=QUICK)
    assert not part.exists()


@pytest.mark.parametrize("target", ["http://192.0.2.1/x", "ftp://127.0.0.1/x", "file:///etc/hostname"])
def test_redirects_to_what_is_not_secure_are_refused(server, part, answer, target):
    server.script = [answer(302, Location=target)]
    with pytest.raises((UsageError, UnavailableError), match=r"not a secure address|not a web address"):
        download(server.url, part, patience=QUICK)
    assert not part.exists()


@pytest.mark.parametrize(
    ("url", "origin", "fine"),
    [
        ("https://example.org/x", None, True),
        ("http://localhost:8000/x", None, True),
        ("http://[::1]/x", "http://127.0.0.1/", True),
        ("http://example.org/x", None, False),
        ("http://127.0.0.1/x", "https://example.org/", False),  # from outside to a service of this machine
        ("http://127.0.0.1.example.org/x", None, False),
        ("file:///etc/hostname", None, False),
        ("https:///x", None, False),
    ],
)
def test_check_secure(url, origin, fine):
    if fine:
        assert check_secure(url, origin) is None
    else:
        with pytest.raises(UsageError, match="https only"):
            check_secure(url, origin)


def test_nobody_listens(part):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(UnavailableError, match=r"from 127\.0\.0\.1: no connection"):
            download(url, part, patience=QUICK)


def test_an_unknown_host_is_named_at_once(part):
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"could not (reach|fetch) .*nowhere\.invalid"):
        download("https://nowhere.invalid/x", part, patience=QUICK)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("status", [403, 405, 500, 501, 503])
def test_the_size_is_asked_for_and_not_insisted_on(server, content, status):
    assert remote_size(server.url) == len(content)
    server.head_status = status
    assert remote_size(server.url) is None
    server.head_status = 404
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 answered 404"):
        remote_size(server.url)


def test_no_room_on_the_disk(server, part, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(PartialError, match="has 10 bytes free"):
        download(server.url, part, patience=QUICK)
    monkeypatch.undo()
    download(server.url, part, patience=QUICK)
    assert part.exists()

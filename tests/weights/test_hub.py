"""The Hub: afterwards every needed file is whole and verified at one commit, or none is, and a re-run completes."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reprozoo.base.errors import IntegrityError, PartialError, UnavailableError
from reprozoo.zoo.cards import HubSource
from reprozoo.zoo.weights import check_room, fetch, plan, read_checkpoint, read_folder, size_of, status
from tests import hub_layouts
from tests.hub_server import TOKEN, cut, flipped, headers, hub_server, shorter, slow
from tests.hub_server import status as answers

UNET = ("model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors")
FETCH = """
import json, sys
from pathlib import Path
from reprozoo.zoo.cards import HubSource
from reprozoo.zoo.weights import fetch
repo, revision, *files = sys.argv[1:]
print(fetch(HubSource(repo=repo, revision=revision, files=tuple(files), sha256={}), card_dir=Path()).path)
"""


@pytest.fixture(scope="module")
def layout() -> dict[str, bytes]:
    return hub_layouts.stable_diffusion()


@pytest.fixture
def hub(home, monkeypatch):
    """The Hub, an empty cache, and a client without patience."""
    from huggingface_hub import constants

    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "no-token"))
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, 1)
    real_sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: real_sleep(min(seconds, 0.01)))
    with hub_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def source(hub, layout):
    """The U-Net of a Stable Diffusion at its commit."""
    return HubSource(repo="a/sd", revision=hub.add("a/sd", layout), files=UNET, sha256={})


def get(source, **options):
    return fetch(source, card_dir=Path(), **options)


def cached(home: Path) -> set[str]:
    """Names below the snapshots of the Hub's cache, of files that can be read."""
    found = (p for p in (home / "hf").glob("hub/models--*/snapshots/**/*") if p.is_file())
    return {p.as_posix().split("/snapshots/")[1].partition("/")[2] for p in found}


def check_whole(fetched, layout) -> None:
    for name in UNET:
        assert (fetched.path / name).read_bytes() == layout[name]


def test_only_what_is_needed_then_cached_and_offline(source, hub, layout, home):
    assert status(source) == "downloadable"
    seen = []
    first = get(source, progress=lambda *call: seen.append(call))
    check_whole(first, layout)
    assert (first.origin, first.path.name) == ("hub", source.revision)
    assert cached(home) == set(UNET)
    assert {name for name, _, _ in seen} == set(UNET)
    assert all(done <= total for _, done, total in seen)
    before = len(hub.requests)
    second = get(source, offline=True)
    assert (second.path, second.sha256, second.origin) == (first.path, first.sha256, "cached")
    assert get(source).origin == "cached"
    assert len(hub.requests) == before
    assert status(source) == "cached"
    assert size_of(source, card_dir=Path()) == sum(len(layout[name]) for name in UNET)


def test_one_file_is_handed_out_as_a_file(hub):
    files = hub_layouts.state_dict()
    commit = hub.add("a/edm", files)
    found = get(HubSource(repo="a/edm", revision=commit, files=("model.pt",), sha256={}))
    assert found.path.read_bytes() == files["model.pt"]
    assert set(read_checkpoint(found.path).tensors) == {"model.map_layer0.weight", "model.enc.32x32_conv.weight"}


@pytest.mark.parametrize("layout_of", [hub_layouts.ddpm_cifar10, hub_layouts.consistency])
def test_folders_are_read_by_component(hub, layout_of):
    files = layout_of()
    needed = tuple(name for name in files if name.endswith((".json", "model.safetensors")))
    found = get(HubSource(repo="a/b", revision=hub.add("a/b", files), files=needed, sha256={}))
    folder = read_folder(found.path)
    assert folder.class_name.endswith("Pipeline")
    if folder.class_name == "ConsistencyModelPipeline":
        assert "conv_in.weight" in folder.tensors("unet")
        assert folder.config("unet") == {"num_class_embeds": 1000, "sample_size": 64}
    assert not any(path.suffix == ".py" for path in found.path.rglob("*"))


def test_a_branch_becomes_a_commit_once(hub, layout):
    first_commit = hub.add("a/sd", layout)
    source = HubSource(repo="a/sd", revision="unknown", files=UNET, sha256={})
    assert get(source).path.name == first_commit
    second_commit = hub.add("a/sd", {**layout, "unet/config.json": b"{}"})
    assert get(source).path.name == first_commit  # what was seen first is kept to
    assert get(source, offline=True).path.name == first_commit
    newer = HubSource(repo="a/sd", revision=second_commit, files=UNET, sha256={})
    assert get(newer).path.name == second_commit
    short = HubSource(repo="a/sd", revision=first_commit[:7], files=UNET, sha256={})
    assert get(short).path.name == first_commit


def test_every_file_comes_from_the_commit_even_if_the_branch_moves_meanwhile(hub, layout):
    hub.add("a/sd", layout)
    source = HubSource(repo="a/sd", revision="unknown", files=UNET, sha256={})

    def move(response):
        hub.add("a/sd", dict.fromkeys(layout, b"{}"))
        return response

    hub.behave(move, "unet/config", method="HEAD")
    check_whole(get(source), layout)


@pytest.mark.parametrize("seed", range(3))
def test_connection_cut_at_random_bytes(source, hub, layout, seed):
    size = len(layout[UNET[2]])
    for _ in range(3):
        hub.behave(cut(random.Random(seed).randrange(size)), "/lfs/")
    check_whole(get(source), layout)


def test_cut_for_good_then_run_again(source, hub, layout, home):
    hub.behave(cut(100), "/lfs/", times=50)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        get(source)
    assert UNET[2] not in cached(home)
    assert not list((home / "hf").rglob("*.incomplete"))
    hub._rules.clear()
    check_whole(get(source), layout)
    assert hub.count("resolve/.*/unet/config.json", "HEAD") == 1  # what was whole is not fetched again


def test_500_then_success(source, hub, layout):
    hub.behave(answers(500), "unet/config", method="HEAD", times=2)
    check_whole(get(source), layout)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_500_for_good(source, hub, layout, home, method):
    hub.behave(answers(500), "resolve", method=method, times=100)
    with pytest.raises(UnavailableError, match="answered 500"):
        get(source)
    assert cached(home) == set()
    hub._rules.clear()
    check_whole(get(source), layout)


def test_the_listing_fails(source, hub, layout):
    hub.behave(answers(503), "/api/", times=1)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 answered 503"):
        get(source)
    check_whole(get(source), layout)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"repo": "a/nothing"}, "is not on 127.0.0.1, or it is private"),
        ({"revision": "b" * 40}, "has no revision"),
        ({"files": ("unet/nothing.json",)}, r"has no unet/nothing\.json at commit"),
    ],
)
def test_404(source, hub, home, change, says):
    wrong = HubSource(**{"repo": source.repo, "revision": source.revision, "files": UNET, "sha256": {}} | change)
    with pytest.raises(UnavailableError, match=says):
        get(wrong)
    assert cached(home) == set()


def test_a_file_that_is_gone_after_the_listing(source, hub, layout):
    hub.behave(answers(404, "EntryNotFound"), "unet/config", method="HEAD")
    with pytest.raises(UnavailableError, match=r"has no unet/config\.json"):
        get(source)
    check_whole(get(source), layout)


def test_gated(hub, layout, monkeypatch, home):
    source = HubSource(repo="a/sd", revision=hub.add("a/sd", layout, gated=True), files=UNET, sha256={})
    with pytest.raises(UnavailableError, match=r"gated or private: accept its licence at .*/a/sd .*HF_TOKEN"):
        get(source)
    assert status(source) == "gated"
    assert cached(home) == set()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    check_whole(get(source), layout)
    assert status(source) == "cached"


def test_private(hub, layout, monkeypatch):
    source = HubSource(repo="a/sd", revision=hub.add("a/sd", layout, private=True), files=UNET, sha256={})
    with pytest.raises(UnavailableError, match="or it is private"):
        get(source)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    check_whole(get(source), layout)


@pytest.mark.parametrize(("code", "error"), [(401, ""), (403, ""), (403, "GatedRepo")])
def test_refused_half_way(source, hub, layout, code, error):
    hub.behave(answers(code, error, "no"), "unet/config", method="HEAD", times=9)
    with pytest.raises(UnavailableError, match="accept its licence"):
        get(source)
    hub._rules.clear()
    check_whole(get(source), layout)


def test_wrong_size(source, hub, layout, home):
    hub.behave(shorter, "/lfs/", times=50)
    with pytest.raises(IntegrityError, match=r"another size than the Hub says"):
        get(source)
    assert UNET[2] not in cached(home)
    hub._rules.clear()
    check_whole(get(source), layout)


@pytest.mark.parametrize("name", ["unet/config.json", UNET[2]])
def test_wrong_hash(source, hub, layout, home, name):
    hub.behave(flipped, "/lfs/" if name == UNET[2] else f"resolve/.*/{name}")
    with pytest.raises(IntegrityError, match=rf"{name} of a/sd has the digest [0-9a-f]+, expected [0-9a-f]+"):
        get(source)
    assert name not in cached(home)
    check_whole(get(source), layout)


def test_another_etag_than_the_listing(source, hub, layout):
    hub.behave(headers(X_Linked_Etag='"' + "0" * 64 + '"'), "unet/diff", method="HEAD")
    with pytest.raises(IntegrityError, match=r"expected 0{64} \(the Hub\)"):
        get(source)
    check_whole(get(source), layout)


def test_another_commit_than_asked_for(source, hub, layout):
    hub.behave(headers(X_Repo_Commit="c" * 40), "unet/config", method="HEAD")
    with pytest.raises(IntegrityError, match=f"another commit .{'c' * 40}. than {source.revision}"):
        get(source)
    check_whole(get(source), layout)


def test_the_cards_digest_is_held_to(hub, layout, home):
    commit = hub.add("a/sd", layout)
    source = HubSource(repo="a/sd", revision=commit, files=UNET, sha256={UNET[1]: "1" * 64})
    with pytest.raises(IntegrityError, match=r"expected 1{64} \(the card\)"):
        get(source)
    assert UNET[1] not in cached(home)


@pytest.mark.parametrize("name", UNET)
def test_a_flipped_bit_in_the_cache_is_noticed_offline(source, layout, name):
    found = get(source)
    damaged = bytearray(layout[name])
    damaged[len(damaged) // 2] ^= 1
    (found.path / name).resolve().write_bytes(damaged)
    with pytest.raises(IntegrityError, match=f"{name} of a/sd has the digest"):
        get(source, offline=True)
    with pytest.raises(UnavailableError, match=f"{name} of a/sd on the Hugging Face Hub is not on this machine"):
        get(source, offline=True)
    check_whole(get(source), layout)


def test_a_cache_that_another_program_filled(source, hub, layout, home):
    """The name of the blob tells the digest where nothing was remembered."""
    found = get(source)
    (home / "weights" / "hub" / "a--sd.json").unlink()
    assert get(source, offline=True).sha256 == found.sha256
    (home / "weights" / "hub" / "a--sd.json").unlink()
    (found.path / UNET[1]).resolve().write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=UNET[1]):
        get(source, offline=True)


def test_a_server_that_does_not_answer_is_left(source, hub, layout):
    hub.behave(slow(delay_s=3), "/api/")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        get(source)
    check_whole(get(source), layout)


def test_a_server_that_falls_asleep_is_asked_again(source, hub, layout):
    hub.behave(slow(delay_s=3), "/lfs/")
    hub.behave(slow(delay_s=3), "unet/config", method="HEAD")
    check_whole(get(source), layout)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"),  # of its Rust part
    ],
)
def test_a_full_disk(source, hub, layout, home, monkeypatch, error):
    from huggingface_hub import file_download

    def full(*arguments, **options):
        raise error

    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(PartialError, match=r"is full.*HF_HOME"):
        get(source)
    assert cached(home) == set()
    monkeypatch.undo()
    monkeypatch.setenv("REPROZOO_HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    check_whole(get(source), layout)


def test_no_room_is_said_before_the_first_byte(source, hub, monkeypatch, home):
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    with pytest.raises(PartialError, match="HF_HOME"):
        get(source)
    assert hub.count("resolve") == 0
    with pytest.raises(PartialError):
        check_room((source, file) for file in plan(source, card_dir=Path()))


def test_the_plan(source, hub, layout):
    assert [(f.name, f.bytes, f.status) for f in plan(source, card_dir=Path())] == [
        (name, len(layout[name]), "downloadable") for name in UNET
    ]
    assert hub.count("resolve") == 0
    assert {(f.bytes, f.status) for f in plan(source, card_dir=Path(), offline=True)} == {(None, "downloadable")}
    get(source)
    assert {f.status for f in plan(source, card_dir=Path())} == {"cached"}


def test_offline_names_what_is_missing(source, hub, monkeypatch):
    with pytest.raises(UnavailableError, match=r"model_index\.json.* of a/sd .* and --offline forbids"):
        get(source, offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE forbids"):
        get(source)
    assert hub.requests == []


def test_a_host_that_cannot_be_reached(home, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("HF_HOME", str(home / "hf"))
        started = time.monotonic()
        with pytest.raises(UnavailableError, match=r"could not reach 127\.0\.0\.1 for a/b: .*--offline"):
            get(HubSource(repo="a/b", revision="unknown", files=("x",), sha256={}))
        assert time.monotonic() - started < 15


def run_fetch(source: HubSource, hub, home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", FETCH, source.repo, source.revision, *source.files]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once_fetch_it_once(source, hub, layout, home):
    hub.behave(slow(pause_s=0.1), "/lfs/", times=9)
    processes = [run_fetch(source, hub, home) for _ in range(2)]
    paths = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(paths) == 1
    for name in UNET:
        assert (Path(*paths) / name).read_bytes() == layout[name]
    assert hub.count("/lfs/") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in another way there")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_then_run_again(source, hub, layout, home, how):
    hub.behave(slow(delay_s=60), "/lfs/")
    process = run_fetch(source, hub, home)
    while not hub.count("/lfs/"):
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert UNET[2] not in cached(home)
    check_whole(get(source), layout)


def test_the_server_speaks_enough_for_the_client_itself(hub, layout, home):
    """What other tests build on: the tree of a repository, and a snapshot of some of it."""
    from huggingface_hub import HfApi, snapshot_download

    commit = hub.add("a/sd", layout)
    tree = {file.path: file for file in HfApi(endpoint=hub.url).list_repo_tree("a/sd", recursive=True)}
    assert set(tree) == set(layout)
    assert tree[UNET[2]].lfs.size == len(layout[UNET[2]])
    folder = snapshot_download(
        "a/sd", endpoint=hub.url, cache_dir=home / "other", allow_patterns=["unet/*.json", "vae/*.safetensors"]
    )
    assert Path(folder).name == commit
    found = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
    assert found == {n for n in layout if n == "unet/config.json" or (n.startswith("vae/") and n.endswith("tensors"))}


def test_a_branch_is_pinned_to_its_commit(hub, layout):
    commit = hub.add("a/sd", layout)
    assert get(HubSource(repo="a/sd", revision="unknown", files=UNET, sha256={})).revision == commit

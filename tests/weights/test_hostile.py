"""Files made to do harm: each is refused by a sentence that says what was found; a canary shows that nothing ran."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import resource
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import msgpack
import pytest
import torch
from safetensors.torch import save_file

from reprozoo.base.errors import IntegrityError, ReprozooError, UsageError
from reprozoo.zoo.weights import clients, read_checkpoint, read_tensors
from reprozoo.zoo.weights.inert import PickleProblem, Vocabulary, read_pickle
from reprozoo.zoo.weights.nvidia import Budget, plain
from reprozoo.zoo.weights.storages import Storage, TensorRecord
from tests.weights import makers

READERS = ("auto", "torch", "nvidia-pickle", "score-sde", "flax")


@pytest.fixture
def canary(tmp_path) -> Path:
    return tmp_path / "canary"


@pytest.fixture(autouse=True)
def _little_memory():
    """A file that makes a reader allocate 8 GB fails the test instead of the machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(path: Path, canary: Path, *, format: str = "auto", match: str | None = None) -> None:
    with pytest.raises(ReprozooError, match=match) as caught:
        read_checkpoint(path, format=format)
    assert str(path) in str(caught.value)
    assert not canary.exists()


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text.encode())]) + text.encode()


def shell(canary: Path) -> str:
    return f"touch {canary}"


class Reduces:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (shell(self.canary),)


def payloads(canary: Path) -> dict[str, bytes]:
    """Pickles that run a command as soon as Python's unpickler reads them, or would if they were let."""
    command = short(shell(canary))
    return {
        "REDUCE": pickle.dumps(Reduces(canary), protocol=4),
        "GLOBAL": b"\x80\x02cposix\nsystem\n" + command + b"\x85R.",
        "STACK_GLOBAL": b"\x80\x04" + short("builtins") + short("exec") + b"\x93" + short("import os") + b"\x85R.",
        "INST": b"\x80\x02(" + command + b"iposix\nsystem\n.",
        "OBJ": b"\x80\x02(cposix\nsystem\n" + command + b"o.",
        "NEWOBJ": b"\x80\x02cbuiltins\neval\n" + short("1") + b"\x85\x81.",
        "BUILD": b"\x80\x02ccollections\nOrderedDict\n)R}" + short("__class__") + short("x") + b"sb.",
        "BUILD on a name": b"\x80\x02ccollections\nOrderedDict\n}" + short("update") + short("x") + b"sb.",
        "EXT1": b"\x80\x02\x82\x01" + command + b"\x85R.",
        "EXT2": b"\x80\x02\x83\x01\x00" + command + b"\x85R.",
        "EXT4": b"\x80\x02\x84\x01\x00\x00\x00" + command + b"\x85R.",
        "PERSID": b"\x80\x02Pposix.system\n.",
        "BINPERSID": b"\x80\x02" + command + b"Q.",
        "getattr": b"\x80\x02cbuiltins\ngetattr\n" + short("a") + short("join") + b"\x86R.",
        "operator": b"\x80\x02coperator\nattrgetter\n" + short("system") + b"\x85R.",
        "functools.partial": b"\x80\x02cfunctools\npartial\ncposix\nsystem\n\x85R" + command + b"\x85R.",
        "torch.load": b"\x80\x02ctorch\nload\n" + command + b"\x85R.",
        "numpy.load": b"\x80\x02cnumpy\nload\n" + command + b"\x85R.",
        "dotted": b"\x80\x04" + short("collections") + short("OrderedDict.__init__.__globals__") + b"\x93.",
        "torch.nn.modules dotted": b"\x80\x02ctorch.nn.modules.os\nsystem\n" + command + b"\x85R.",
    }


@pytest.mark.parametrize("format", ["auto", "nvidia-pickle"])
@pytest.mark.parametrize("name", payloads(Path("/nowhere")))
def test_pickles_that_run_a_command(tmp_path, canary, name, format):
    path = tmp_path / "edm.pkl"
    path.write_bytes(payloads(canary)[name])
    refused(path, canary, format=format)


def test_the_canary_would_have_told(canary):
    pickle.loads(payloads(canary)["REDUCE"])
    assert canary.exists()


def test_what_was_found_is_named(tmp_path, canary):
    path = tmp_path / "edm.pkl"
    path.write_bytes(payloads(canary)["GLOBAL"])
    refused(path, canary, match=r"\(posix\.system\); it was not executed\. Use a safetensors file")
    path.write_bytes(payloads(canary)["EXT1"])
    refused(path, canary, match="EXT1")


def nested(payload: bytes) -> bytes:
    """A pickle whose only content goes through torch's ``_load_from_bytes``, which unpickles anything."""
    inner = b"\x8e" + struct.pack("<Q", len(payload)) + payload
    return b"\x80\x04" + short("torch.storage") + short("_load_from_bytes") + b"\x93" + inner + b"\x85R."


@pytest.mark.parametrize("name", ["REDUCE", "GLOBAL", "STACK_GLOBAL"])
def test_a_payload_within_a_storage(tmp_path, canary, name):
    buffer = io.BytesIO()
    torch.save({"x": Reduces(canary)}, buffer, _use_new_zipfile_serialization=False)
    for inner in (payloads(canary)[name], buffer.getvalue()):
        (tmp_path / "edm.pkl").write_bytes(nested(inner))
        refused(tmp_path / "edm.pkl", canary)
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)  # the real function would have run it
    assert canary.exists()


def test_the_code_in_a_pickle_of_nvidia_is_not_run(tmp_path, canary):
    (tmp_path / "edm.pkl").write_bytes(makers.nvidia_pickle(makers.Net(), canary))
    read_tensors(tmp_path / "edm.pkl")
    assert not canary.exists()
    with makers.their_modules():
        pickle.loads((tmp_path / "edm.pkl").read_bytes())
    assert canary.exists()


def test_shared_arguments_are_not_written_out_without_end():
    shared = ["x"]
    for _ in range(6):
        shared = [shared] * 200
    with pytest.raises(PickleProblem, match="arguments without end"):
        plain(shared, Budget(10_000))
    assert plain({"a": [1, "b"]}, Budget(4)) == {"a": [1, "b"]}


def test_modules_that_share_their_children_end(tmp_path, canary):
    child = torch.nn.Module()
    for _ in range(30):
        parent = torch.nn.Module()
        parent.a = parent.b = child
        child = parent
    (tmp_path / "edm.pkl").write_bytes(makers.nvidia_pickle(child, canary))
    refused(tmp_path / "edm.pkl", canary, match="modules or arguments without end")


def test_one_tensor_under_many_names_is_not_larger_than_the_file(tmp_path, canary):
    network = makers.Net()
    weight = torch.nn.Parameter(torch.ones(10_000))
    for number in range(100):
        network.register_parameter(f"p{number}", weight)
    (tmp_path / "edm.pkl").write_bytes(makers.nvidia_pickle(network, canary))
    refused(tmp_path / "edm.pkl", canary, match="more tensors than its bytes can hold")


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_that_run_a_command(tmp_path, canary, zipped):
    torch.save({"w": torch.ones(1), "x": Reduces(canary)}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "m.pt", canary, format="torch", match=r"(posix|nt)\.system.*not executed")
    refused(tmp_path / "m.pt", canary, format="score-sde")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"pytorch-lightning_version": "1.4", "state_dict": {"a": torch.ones(1)}}, "Lightning checkpoint.*diffusers"),
        (torch.nn.Linear(1, 1), "a whole module.*Linear.*state dict"),
        (OrderedDict(a=torch.ones(1).to_sparse()), "_rebuild_sparse|sparse"),
        (torch.ones(1), "does not hold a dictionary of tensors but a Tensor"),
        ({"a": [torch.ones(1)]}, "a dictionary of a: list"),
    ],
)
def test_other_things_torch_saves(tmp_path, canary, content, says):
    torch.save(content, tmp_path / "m.ckpt")
    refused(tmp_path / "m.ckpt", canary, match=says)


def test_torchscript_is_refused(tmp_path, canary):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/code/__torch__.py", "x")
    refused(tmp_path / "m.pt", canary, match=r"a whole module \(torch\.jit\.ScriptModule")


def test_extensions_that_are_registered_are_refused(tmp_path, canary):
    copyreg.add_extension("posix", "system", 77)
    try:
        pickle.loads(b"\x80\x02\x82M.")  # now the unpickler has it without asking for its name
        (tmp_path / "edm.pkl").write_bytes(b"\x80\x02\x82M" + short(shell(canary)) + b"\x85R.")
        refused(tmp_path / "edm.pkl", canary, match="the opcode EXT1")
    finally:
        copyreg.remove_extension("posix", "system", 77)


STATES = {"attributes": b"}" + short("size") + b"K\x09\x85s", "slots": b"N}" + short("size") + b"K\x09\x85s\x86"}


@pytest.mark.parametrize("state", STATES)
def test_what_was_checked_cannot_be_changed_afterwards(state):
    made = [TensorRecord(Storage("float32", 4, 1), 0, (1,), (1,)), Storage("float32", 4, 1), named_stand_in()]
    for value in made:
        vocabulary = Vocabulary({}, (), persistent=lambda _, value=value: value)
        before = dict(vars(value))
        with pytest.raises(PickleProblem):
            read_pickle(io.BytesIO(b"\x80\x04NQ" + STATES[state] + b"b."), vocabulary)
        assert dict(vars(value)) == before


def named_stand_in():
    return read_pickle(io.BytesIO(b"\x80\x02ctorch\nSize\n."), Vocabulary({"torch.Size": tuple}))


@pytest.mark.parametrize("change", [b"(K\x01e", b"K\x01a", b"(K\x01\x90", b"K\x01K\x01s", b"}b"])
def test_a_name_is_not_changed(change):
    stand_in = named_stand_in()
    before = dict(vars(stand_in))
    vocabulary = Vocabulary({}, (), persistent=lambda _: stand_in)
    with pytest.raises(PickleProblem):
        read_pickle(io.BytesIO(b"\x80\x04NQ" + change + b"."), vocabulary)
    assert dict(vars(stand_in)) == before


def test_the_look_before_agrees_with_the_unpickler():
    """Each plain value that Python pickles passes, in every protocol that is read, and comes back equal."""
    value = {
        "a": [1, 2.5, None, True, b"x", {1, 2}, frozenset([3]), (1,), (1, 2), (1, 2, 3), tuple(range(9)), -(1 << 70)]
    }
    value["b"] = {(1, "c"): value["a"], "long": "x" * 300, "bytes": bytes(300), 7: []}
    made = {f"{module}.{kind.__name__}": kind for module in ("builtins", "__builtin__") for kind in (set, frozenset)}
    vocabulary = Vocabulary({**made, "_codecs.encode": lambda text, encoding: text.encode(encoding)})
    for protocol in (2, 3, 4, 5):
        stream = io.BytesIO(pickle.dumps(value, protocol=protocol) + b"rest")
        assert read_pickle(stream, vocabulary) == value
        assert stream.read() == b"rest"


# --- bombs ---------------------------------------------------------------------------------------------------------


def bombs() -> dict[str, bytes]:
    """Pickles of a few bytes that cost gigabytes, hours or a crash."""
    doubled = b"\x80\x04]\x94" + b"(h\x00h\x00e" * 10
    lists = b"\x80\x04" + short("lol") + b"\x94" + b"".join(
        b"(" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"l\x94" for i in range(60)
    ) + b"."  # fmt: skip
    tensor = (
        b"\x80\x04" + short("torch._utils") + short("_rebuild_tensor_v2") + b"\x93("
        b"N\x4b\x00\x8a\x08" + (1 << 60).to_bytes(8, "little") + b"\x85\x4b\x00\x85\x89}tR."
    )  # fmt: skip
    tuples = b"\x80\x04)\x94" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(60))
    texts = 2 * (b"X" + struct.pack("<I", 1_000_000) + b"k" * 1_000_000 + b"\x94")
    names = [b"ctorch.nn.modules\nM%d\n0" % i for i in range(20_000)]
    return {
        "memo bomb": lists,
        "a key of tuples of tuples": tuples + b"}h" + bytes([60]) + b"Ns.",
        "a set of tuples of tuples": tuples + b"\x8f(h" + bytes([60]) + b"\x90.",
        "a frozenset of tuples of tuples": tuples + b"(h" + bytes([60]) + b"\x91.",
        "long keys compared again and again": b"\x80\x04" + texts + b"}h\x00Ns" + b"h\x01Ns" * 100_000 + b".",
        "a key hidden in a size": tuples + b"}ctorch\nSize\n](h" + bytes([60]) + b"e\x85RNs.",
        "one text in many encodings": b"\x80\x04X"
        + struct.pack("<I", 1_000_000)
        + b"k" * 1_000_000
        + b"\x940]c_codecs\n"
        b"encode\n\x940X\x06\x00\x00\x00latin1\x940" + b"h\x01h\x00h\x02\x86Ra" * 20_000 + b".",
        "names without end": b"\x80\x04" + b"".join(names) + b"N.",
        "a list of itself": doubled + b".",
        "deep lists": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep tuples as a key": b"\x80\x04})" + b"\x85" * 100_000 + b"Ns.",
        "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
        "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
        "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.",
        "negative length": b"\x80\x04T" + struct.pack("<i", -1) + b"x.",
        "huge integer": b"\x80\x04\x8b" + struct.pack("<i", 1 << 30) + b"x.",
        "huge memo index": b"\x80\x04Nr" + struct.pack("<I", 0xFFFFFFFF) + b".",
        "huge tensor": tensor,
        "no end": b"\x80\x04N" + b"2" * 1000,
        "endless": b"\x80\x04" + b"N0" * 600_000 + b"N.",
        "big keys again and again": b"\x80\x04}B"
        + struct.pack("<I", 100_000)
        + b"k" * 100_000
        + b"\x94Ns"
        + b"h\x00Ns" * 1000,
        "frozenset of lists": b"\x80\x04(]\x91.",
        "underflow": b"\x80\x04R.",
        "build of nothing": b"\x80\x04}}}b\x85b.",
        "a frame beyond the end": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    }


@pytest.mark.parametrize("name", bombs())
def test_pickle_bombs(tmp_path, canary, name):
    (tmp_path / "edm.pkl").write_bytes(bombs()[name])
    refused(tmp_path / "edm.pkl", canary, format="nvidia-pickle")


def legacy(count: int, numbers: bytes = b"") -> bytes:
    """A legacy torch file of one tensor that claims ``count`` numbers."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, buffer, _use_new_zipfile_serialization=False)
    claimed = b"J" + struct.pack("<i", count)
    return buffer.getvalue().replace(b"K\x03N", claimed + b"N").replace(b"K\x03\x85", claimed + b"\x85") + numbers


@pytest.mark.parametrize("count", [4, 10_000, 2**31 - 1])
def test_storages_that_claim_more_than_the_file_holds(tmp_path, canary, count):
    (tmp_path / "m.pt").write_bytes(legacy(count))
    refused(tmp_path / "m.pt", canary, match=r"of which the file holds fewer|damaged")


def rezipped(path: Path, **changes: object) -> Path:
    """The archive of torch with members changed: name -> bytes, or None to leave it out."""
    target = path.with_name("changed.pt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", changes.pop("compression", 0)) as new:
        for info in old.infolist():
            name = info.filename.partition("/")[2]
            content = changes.pop(name, old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
        for name, content in changes.items():
            new.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data/0": b"\0" * 8}, "of which the archive holds another number"),
        ({"data/0": None}, "of which the archive holds another number"),
        ({"compression": zipfile.ZIP_DEFLATED}, "compressed archive member"),
        ({"m/../../../tmp/evil": b"x"}, "archive member"),
        ({"/etc/evil": b"x"}, "archive member"),
        ({"m/data/0/../1": b"x"}, "archive member"),
        ({"m/evil.py": b"x"}, "archive member 'm/evil.py'"),
        ({"data.pkl": None}, "without a data.pkl"),
        ({"data.pkl": b""}, "ends too early"),
    ],
)
def test_archives_that_are_not_torchs(tmp_path, canary, changes, says):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "m.pt")
    refused(rezipped(tmp_path / "m.pt", **changes), canary, format="torch", match=says)


def test_a_zip_bomb(tmp_path, canary):
    torch.save({"a": torch.zeros(5_000_000)}, tmp_path / "m.pt")
    bomb = rezipped(tmp_path / "m.pt", compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    refused(bomb, canary, match="compressed")


def test_a_view_larger_than_its_memory(tmp_path, canary):
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", canary, match=r"a tensor of 1,099,511,627,776 numbers on a storage of 1\b")


# --- safetensors and msgpack ---------------------------------------------------------------------------------------


def test_safetensors_headers(tmp_path, canary):
    save_file({"a": torch.ones(4)}, tmp_path / "m.safetensors")
    whole = (tmp_path / "m.safetensors").read_bytes()
    size = struct.unpack("<Q", whole[:8])[0]
    for content in (
        struct.pack("<Q", 1 << 60) + whole[8:],
        struct.pack("<Q", size + 1) + whole[8:],
        whole[:-1],
        whole + b"x",
        whole.replace(b'"F32"', b'"F99"'),
        whole.replace(b"[0,16]", b"[0,99]"),
        whole.replace(b"[4]", b"[9]"),
        struct.pack("<Q", 2) + b"{]",
    ):
        (tmp_path / "m.safetensors").write_bytes(content)
        refused(tmp_path / "m.safetensors", canary, match="damaged safetensors")


def extension(code: int, *fields: object) -> msgpack.ExtType:
    return msgpack.ExtType(code, msgpack.packb(fields, use_bin_type=True))


@pytest.mark.parametrize(
    ("leaf", "says"),
    [
        (extension(1, (1 << 40,), "float32", b"1234"), "an array of shape"),
        (extension(1, (1,), "object", b"12345678"), "'object', which is not a type of number"),
        (extension(1, (1,), "V8", b"12345678"), "not a type of number"),
        (extension(1, (-1,), "float32", b""), "an array without a shape"),
        (extension(1, [1] * 99, "float32", b"1234"), "an array without a shape"),
        (extension(1, (1,), "float32"), "an array of another form"),
        (extension(2, 1.0, 2.0), "the msgpack extension 2"),
        (extension(77, b"x"), "the msgpack extension 77"),
        (extension(1, (1,), "float32", extension(1, (1,), "float32", b"1234")), "extension 1 within another"),
        (msgpack.ExtType(1, b"\xc1"), "is not a checkpoint of Flax"),
        (msgpack.ExtType(1, b"\xdd\xff\xff\xff\xff"), "is not a checkpoint of Flax"),
        (b"raw", "a bytes where an array was expected"),
        ({"__msgpack_chunked_array__": True, "shape": {}, "chunks": {}}, "without chunks"),
    ],
)
def test_flax_leaves(tmp_path, canary, leaf, says):
    (tmp_path / "c").write_bytes(msgpack.packb({"params_ema": {"a": leaf}}))
    refused(tmp_path / "c", canary, format="flax", match=says)


@pytest.mark.parametrize(
    "content",
    [
        b"\x81\xa1a" * 200_000 + b"\xc0",
        b"\x91" * 200_000,
        b"\xc9\xff\xff\xff\xff\x01abc",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xaaparams_ema" + b"\x81\xa1a" * 40 + b"\xc0",
        b"\x82\xa1a\xc0",
    ],
)
def test_msgpack_bombs(tmp_path, canary, content):
    (tmp_path / "c").write_bytes(content)
    refused(tmp_path / "c", canary, format="flax")


# --- archives of packages ------------------------------------------------------------------------------------------


def test_links_and_paths_in_a_tarball(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with tarfile.open(tmp_path / "p.tgz", "w:gz") as archive:
        link = tarfile.TarInfo("package/w.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
        outside = tarfile.TarInfo("../../evil.bin")
        outside.size = 1
        archive.addfile(outside, io.BytesIO(b"x"))
    with pytest.raises(IntegrityError, match=r"holds 0 files called w\.bin"):
        clients._from_tar(tmp_path / "p.tgz", "w.bin", tmp_path)
    folder = tmp_path / "into"
    folder.mkdir()
    assert clients._from_tar(tmp_path / "p.tgz", "evil.bin", folder).parent == folder


@pytest.mark.parametrize("format", READERS)
def test_empty_and_foreign_files(tmp_path, canary, format):
    for content in (b"", b"\x80", b"PK\x03\x04", b"<html>404</html>", b"\x00" * 64):
        (tmp_path / "m").write_bytes(content)
        refused(tmp_path / "m", canary, format=format)


def test_a_folder_or_nothing(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_tensors(tmp_path / "nothing", format="torch")
    with pytest.raises(UsageError, match=r"cannot read|diffusers folder"):
        read_tensors(tmp_path, format="torch")

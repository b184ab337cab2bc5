"""Data sets: the same pixels from any source, a sentence for anything that is not what it should be."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from reprozoo.base.errors import IntegrityError, UnavailableError, UsageError
from reprozoo.zoo.cards import Registry
from reprozoo.zoo.datasets import ImageDataset, cifar, dataset_digest, files, load_dataset, pull_dataset, read_images
from reprozoo.zoo.weights import clients
from tests.weights.conftest import FileServer

REGISTRY = Path(__file__).parents[1] / "registry"
RNG = np.random.default_rng(0)
TRAIN, TEST = (RNG.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for n in (10, 3))
TRAIN_LABELS, TEST_LABELS = np.arange(10, dtype=np.uint8), np.array([2, 0, 1], dtype=np.uint8)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("REPROZOO_HOME", str(tmp_path / "home"))


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


# --- files of one's own --------------------------------------------------------------------------------------------


def png(array: np.ndarray, mode: str | None = None, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array, mode).save(stream, "PNG", **options) if mode else Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for i, image in enumerate(TRAIN):
        (path / f"{i}.png").write_bytes(png(image))
    (path / "notes.txt").write_text("not an image")
    (path / "._0.png").write_text("left behind by a file manager")
    return path


def test_a_folder_in_the_order_of_its_numbers(folder):
    dataset = load_dataset(folder)
    assert (dataset.images_u8 == TRAIN.transpose(0, 3, 1, 2)).all()
    assert dataset.names == tuple(f"{i}.png" for i in range(10))  # 9 before 10 would not be alphabetical
    assert dataset.digest == sha256(TRAIN)
    assert (dataset.labels, len(dataset)) == (None, 10)


def test_numbers_are_counted_not_spelt(tmp_path):
    for i in (2, 10, 1):
        (tmp_path / f"x{i}.png").write_bytes(png(TRAIN[i - 1]))
    assert read_images(tmp_path).names == ("x1.png", "x2.png", "x10.png")


def test_class_folders_are_labels(tmp_path):
    for i, name in enumerate(["dog/a.png", "cat/b.png", "dog/c.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(TRAIN[i]))
    dataset = read_images(tmp_path)
    assert dataset.names == ("cat/b.png", "dog/a.png", "dog/c.png")
    assert dataset.labels.tolist() == [0, 1, 1]


def test_splits_are_subfolders(folder):
    (folder / "test").mkdir()
    (folder / "test" / "0.png").write_bytes(png(TEST[0]))
    assert len(load_dataset(folder, "test")) == 1
    with pytest.raises(UsageError, match='no split "validation"'):
        load_dataset(folder, "validation")


def test_grey_images(tmp_path):
    (tmp_path / "0.png").write_bytes(png(TRAIN[0, :, :, 0]))
    assert read_images(tmp_path).images_u8.shape == (1, 1, 32, 32)
    (tmp_path / "1.png").write_bytes(png(TRAIN[1]))
    mixed = read_images(tmp_path).images_u8
    assert (mixed[0] == TRAIN[0, None, :, :, 0]).all()
    assert mixed.shape == (2, 3, 32, 32)


@pytest.mark.parametrize("suffix", ["zip", "npz", "npy", "safetensors"])
def test_all_formats_hold_the_same_pixels(folder, tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for image in folder.iterdir():
                archive.write(image, f"top/{image.name}")
            archive.writestr("__MACOSX/top/0.png", b"left behind")
    elif suffix == "npz":
        np.savez(path, images=TRAIN, labels=TRAIN_LABELS, indices=np.arange(5, 15))
    elif suffix == "npy":
        np.save(path, TRAIN.transpose(0, 3, 1, 2))
    else:
        save_file({"images": TRAIN}, path)
    dataset = load_dataset(str(path))
    assert dataset.digest == sha256(TRAIN)
    assert dataset.images_u8.flags.c_contiguous
    if suffix == "npz":
        assert dataset.labels.tolist() == list(range(10))
        assert dataset.indices.tolist() == list(range(5, 15))


def test_an_unnamed_array_is_the_images(tmp_path):
    np.savez(tmp_path / "a.npz", TRAIN, TRAIN_LABELS)
    np.savez(tmp_path / "b.npz", whatever=TRAIN)
    assert read_images(tmp_path / "a.npz").digest == read_images(tmp_path / "b.npz").digest == sha256(TRAIN)


def test_digest_of_order_and_pixels(tmp_path):
    np.save(tmp_path / "a.npy", TRAIN)
    np.save(tmp_path / "b.npy", TRAIN[::-1])
    assert read_images(tmp_path / "a.npy").digest != read_images(tmp_path / "b.npy").digest
    assert dataset_digest(tmp_path / "a.npy") != dataset_digest(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": TRAIN.astype(np.float32)}, "expected images as uint8 pixels from 0 to 255, got float32"),
        ({"images": TRAIN[0]}, r"expected images of shape \(n, height, width, channels\)"),
        ({"images": TRAIN[:0]}, "expected images of shape"),
        ({"images": np.zeros((4, 3, 5, 3), np.uint8)}, "cannot tell the channels"),
        ({"images": np.zeros((4, 5, 5, 2), np.uint8)}, "cannot tell the channels"),
        ({"images": TRAIN, "labels": TRAIN_LABELS[:3]}, "expected 10 whole numbers as labels"),
        ({"images": TRAIN, "indices": np.zeros(10)}, "expected 10 whole numbers as indices, got float64"),
        ({"a": TRAIN, "b": TRAIN}, 'holds a, b; expected an array called "images"'),
    ],
)
def test_arrays_that_are_not_images(tmp_path, arrays, says):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UsageError, match=says):
        read_images(tmp_path / "x.npz")


def test_sentences_about_folders(tmp_path, folder):
    with pytest.raises(UsageError, match="no file or folder either; the data sets are: cifar10"):
        load_dataset(str(tmp_path / "nothing"), registry=Registry([REGISTRY]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no images"):
        read_images(tmp_path / "empty")
    with pytest.raises(UsageError, match=r"expected a folder or one of \.zip.*got a \.txt"):
        read_images(folder / "notes.txt")
    (folder / "4.png").write_bytes(png(TRAIN[0, :16]))
    with pytest.raises(UsageError, match=r"mixes sizes: 0\.png is 32x32 and 4\.png is 32x16"):
        read_images(folder)
    (folder / "4.png").write_bytes(png(TRAIN[0])[:600])
    with pytest.raises(UsageError, match=r"4\.png is damaged: "):
        read_images(folder)
    (folder / "4.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # would start an interpreter
    with pytest.raises(UsageError, match=r"4\.png is not an image"):
        read_images(folder)


def test_pixels_that_would_have_to_be_guessed(tmp_path):
    (tmp_path / "0.png").write_bytes(png(np.dstack([TRAIN[0], TRAIN[0, :, :, :1]])))
    with pytest.raises(UsageError, match=r"0\.png is partly transparent"):
        read_images(tmp_path)
    (tmp_path / "0.png").write_bytes(png(np.dstack([TRAIN[0], np.full((32, 32, 1), 255, np.uint8)])))
    assert read_images(tmp_path).digest == sha256(TRAIN[:1])
    (tmp_path / "0.png").write_bytes(png(np.zeros((4, 4), np.uint16)))
    with pytest.raises(UsageError, match=r"0\.png has more than 8 bits"):
        read_images(tmp_path)


def bomb(path: Path, name: str = "0.png", *, size: int) -> Path:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as stream,
    ):
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    return path


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    with pytest.raises(IntegrityError, match="more than 200 times"):
        read_images(bomb(tmp_path / "a.zip", size=(1 << 27) + (1 << 20)))
    monkeypatch.setattr(files, "MAX_MEMBER_BYTES", 1 << 20)
    with pytest.raises(IntegrityError, match=r"0\.png would unpack to 2,097,152 bytes"):
        read_images(bomb(tmp_path / "b.zip", size=2 << 20))
    with pytest.raises(IntegrityError, match="more than 200 times"):
        read_images(bomb(tmp_path / "c.npz", "images.npy", size=(1 << 27) + (1 << 20)))
    monkeypatch.setattr(files, "MAX_PIXELS", 1000)
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "0.png").write_bytes(png(TRAIN[0]))
    with pytest.raises(UsageError, match=r"0\.png has 32x32 pixels"):
        read_images(tmp_path / "big")


@pytest.mark.parametrize("name", ["../0.png", "/0.png", "a/../../0.png", "..\\0.png", "C:/0.png"])
def test_paths_out_of_an_archive(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, png(TRAIN[0]))
    with pytest.raises(IntegrityError, match="a path out of the archive"):
        read_images(tmp_path / "x.zip")


@pytest.mark.parametrize("suffix", ["zip", "npz", "npy", "safetensors"])
def test_damaged_archives(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    {
        "zip": lambda p: bomb(p, size=1 << 20),
        "npz": lambda p: np.savez(p, TRAIN),
        "npy": lambda p: np.save(p, TRAIN),
    }.get(suffix, lambda p: save_file({"images": TRAIN}, p))(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(IntegrityError, match="damaged"):
        read_images(path)


def test_arrays_of_objects_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(IntegrityError, match="more than arrays"):
        read_images(tmp_path / "x.npy")


# --- CIFAR-10, in the formats of its two packages ------------------------------------------------------------------


def batches() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    train = {f"data_batch_{i + 1}": (TRAIN[2 * i :][:2], TRAIN_LABELS[2 * i :][:2]) for i in range(5)}
    return {**train, "test_batch": (TEST, TEST_LABELS)}


def archive_of(members: dict[str, bytes], folder: str = "package") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def sprites() -> dict[str, bytes]:
    members = {f"{name}.png": png(images.reshape(len(images), 1024, 3)) for name, (images, _) in batches().items()}
    members["train_lables.json"] = json.dumps(TRAIN_LABELS.tolist()).encode()
    members["test_lables.json"] = json.dumps(TEST_LABELS.tolist()).encode()
    return members


def python2_batch(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch as Python 2 and its numpy pickled them: byte strings, protocol 2."""
    rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
    shape = b"".join(b"J" + struct.pack("<i", n) for n in rows.shape) + b"\x86"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    data += b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", rows.size) + rows.tobytes() + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + b"U\x05a.png" * len(labels) + b"e"
    return (
        b"\x80\x02}(U\x0bbatch_labelU\x01xU\x06labels" + numbers + b"U\x04data" + data + b"U\tfilenames" + names + b"u."
    )


def python_batches() -> dict[str, bytes]:
    return {name: python2_batch(*batch) for name, batch in batches().items()}


READERS = {"cifar-sprites": sprites, "cifar-python": python_batches}


@pytest.mark.parametrize("kind", READERS)
def test_both_formats_decode_to_the_same_arrays(tmp_path, kind):
    path = tmp_path / "x.tgz"
    path.write_bytes(archive_of(READERS[kind]()))
    splits = cifar.DECODERS[kind](path)
    assert sorted(splits) == ["test", "train"]
    for (images, labels), expected, numbers in zip(
        (splits["train"], splits["test"]), (TRAIN, TEST), (TRAIN_LABELS, TEST_LABELS), strict=True
    ):
        assert (images == expected).all()
        assert (labels == numbers).all()
        assert labels.dtype == np.uint8


def test_the_pickles_are_what_numpy_would_read():
    batch = pickle.loads(python2_batch(TEST, TEST_LABELS), encoding="bytes")
    assert (batch[b"data"] == TEST.transpose(0, 3, 1, 2).reshape(3, -1)).all()


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("canary",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({b"data": Hostile(), b"labels": []}, protocol=2),
        b"cos\nmkdir\n(S'canary'\ntR.",
        b"(S'canary'\nios\nmkdir\n.",
        b"(cos\nmkdir\nS'canary'\no.",
        b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
        b"\x80\x02cnumpy.lib\ndtype\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x04load\x93\x8c\x01x\x85R.",
        b"\x80\x02U\x01xQ.",  # a persistent id
        python2_batch(TEST, TEST_LABELS)[:-500],
        python2_batch(TEST, TEST_LABELS).replace(b"U\x02u1", b"U\x02f1"),
        pickle.dumps({b"data": [1, 2], b"labels": [1]}),
        pickle.dumps(3),
        b"",
    ],
)
def test_batches_that_are_not_arrays_of_bytes(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.tgz"
    path.write_bytes(archive_of({**python_batches(), "data_batch_3": content}))
    with pytest.raises(IntegrityError, match=r"x\.tgz is not CIFAR-10, or damaged"):
        cifar.read_python(path)
    assert not (tmp_path / "canary").exists()


def test_archives_that_are_not_cifar10(tmp_path, monkeypatch):
    path = tmp_path / "x.tgz"
    members = sprites()
    del members["data_batch_4.png"]
    path.write_bytes(archive_of(members))
    with pytest.raises(IntegrityError, match=r"does not hold data_batch_4\.png"):
        cifar.read_sprites(path)
    path.write_bytes(archive_of(sprites())[:-100])
    with pytest.raises(IntegrityError, match="damaged"):
        cifar.read_sprites(path)
    monkeypatch.setattr(cifar, "MAX_MEMBER_BYTES", 100)
    path.write_bytes(archive_of(sprites()))
    with pytest.raises(IntegrityError, match="too many for CIFAR-10"):
        cifar.read_sprites(path)


# --- by name -------------------------------------------------------------------------------------------------------

CARD = """
kind = "dataset"
id = "cifar10"
aliases = ["c"]
title = "a small one"
licence = "unknown"
paper = "unknown"
image_shape = [3, 32, 32]
[splits.train]
count = 10
images_sha256 = "{train}"
labels_sha256 = "{train_labels}"
[splits.test]
count = 3
images_sha256 = "{test}"
labels_sha256 = "{test_labels}"
[[sources]]
name = "npm"
kind = "npm"
package = "p"
version = "1"
sha256 = "unknown"
format = "cifar-sprites"
[[sources]]
name = "bundled"
kind = "bundled"
file = "data.tgz"
sha256 = "unknown"
format = "cifar-python"
"""


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Registry:
    """A small CIFAR-10 whose first source is not to be had, and whose second lies beside its card."""
    monkeypatch.setattr(clients.shutil, "which", lambda name: None)
    home = tmp_path / "registry"
    home.mkdir()
    digests = {"train": sha256(TRAIN), "train_labels": sha256(TRAIN_LABELS)}
    digests |= {"test": sha256(TEST), "test_labels": sha256(TEST_LABELS)}
    (home / "cifar10.toml").write_text(CARD.format(**digests))
    (home / "data.tgz").write_bytes(archive_of(python_batches()))
    return Registry([home])


def test_sources_are_tried_in_order_and_decoded_once(registry, tmp_path):
    train = load_dataset("c", registry=registry)
    assert isinstance(train, ImageDataset)
    assert (train.images_u8 == TRAIN.transpose(0, 3, 1, 2)).all()
    assert train.labels.tolist() == TRAIN_LABELS.tolist()
    (tmp_path / "registry" / "data.tgz").unlink()
    test = load_dataset("cifar10", "test", registry=registry, offline=True)
    assert (test.images_u8 == TEST.transpose(0, 3, 1, 2)).all()
    assert (test.name, test.digest) == ("cifar10 test", sha256(TEST))
    with pytest.raises(UsageError, match='no split "validation"; it has: train, test'):
        load_dataset("cifar10", "validation", registry=registry)


def test_no_source_at_all(registry, tmp_path):
    (tmp_path / "registry" / "data.tgz").unlink()
    with pytest.raises(UnavailableError, match=r"(?s)any of its sources:\n  npm: .*Node\.js.*\n  bundled: .*missing"):
        load_dataset("cifar10", registry=registry)
    assert not (tmp_path / "home" / "datasets").exists()


OFFICIAL = """
[[sources]]
name = "official"
kind = "url"
url = "{url}"
sha256 = "{sha256}"
bytes = {bytes}
format = "cifar-python"
"""


@pytest.fixture
def official(registry, tmp_path) -> Iterator[bytes]:
    """The archive of its author, in its layout, on a server of this machine; the card names no other that has it."""
    members = {**python_batches(), "readme.html": b"<html>", "batches.meta": pickle.dumps({b"num_vis": 3072}, 2)}
    content = archive_of(members, "cifar-10-batches-py")
    server = FileServer(content)
    server.url = server.url.replace("model.bin", "cifar-10-python.tar.gz")
    card = tmp_path / "registry" / "cifar10.toml"
    source = OFFICIAL.format(url=server.url, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    card.write_text(card.read_text().partition('[[sources]]\nname = "bundled"')[0] + source)
    yield content
    server.http.shutdown()
    server.http.server_close()


def test_the_official_archive_is_fetched_verified_and_decoded(official, tmp_path):
    registry = Registry([tmp_path / "registry"])
    train = load_dataset("cifar10", registry=registry)
    assert (train.images_u8 == TRAIN.transpose(0, 3, 1, 2)).all()
    assert train.labels.tolist() == TRAIN_LABELS.tolist()
    train.__dict__.pop("digest")  # of the card: computed again from the pixels
    assert train.digest == registry.dataset("cifar10").splits["train"].images_sha256 == sha256(TRAIN)
    test = load_dataset("cifar10", "test", registry=registry, offline=True)
    assert (test.images_u8 == TEST.transpose(0, 3, 1, 2)).all()


def test_another_archive_at_its_address_is_refused(official, tmp_path):
    card = tmp_path / "registry" / "cifar10.toml"
    card.write_text(card.read_text().replace(hashlib.sha256(official).hexdigest(), "0" * 64))
    with pytest.raises(IntegrityError, match="sha256"):
        load_dataset("cifar10", registry=Registry([tmp_path / "registry"]))
    assert not (tmp_path / "home" / "datasets").exists()


def test_the_card_names_the_official_archive_by_its_published_digest():
    """As Keras (keras/src/datasets/cifar10.py) and others publish it."""
    (official,) = (s for s in Registry([REGISTRY]).dataset("cifar10").sources if s.name == "official")
    assert official.url == "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    assert official.sha256 == "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    assert official.bytes == 170_498_071


@pytest.mark.parametrize("what", ["images", "labels"])
def test_the_arrays_are_checked_whatever_the_source(registry, tmp_path, what):
    members = python_batches()
    images, labels = TEST.copy(), TEST_LABELS.copy()
    (images if what == "images" else labels).flat[0] ^= 1
    members["test_batch"] = python2_batch(images, labels)
    archive = tmp_path / "registry" / "data.tgz"
    archive.write_bytes(archive_of(members))
    with pytest.raises(IntegrityError, match=f"the {what} of cifar10 test .* were not kept"):
        load_dataset("cifar10", registry=registry)
    archive.write_bytes(archive_of(python_batches()))
    assert len(load_dataset("cifar10", registry=registry)) == 10


def test_a_damaged_copy_is_decoded_again(registry, tmp_path):
    path = pull_dataset("cifar10", registry=registry)["train"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert load_dataset("cifar10", registry=registry).labels.tolist() == TRAIN_LABELS.tolist()
    path.write_bytes(content)
    (tmp_path / "registry" / "data.tgz").unlink()
    with pytest.raises(UnavailableError):
        load_dataset("cifar10", registry=registry)


def test_the_digest_of_a_name_needs_no_data(registry, tmp_path):
    (tmp_path / "registry" / "data.tgz").unlink()
    assert dataset_digest("c", registry=registry) == dataset_digest("cifar10", registry=registry)
    assert dataset_digest("cifar10", registry=Registry([REGISTRY])) != dataset_digest("cifar10", registry=registry)


@pytest.mark.network
def test_cifar10_comes_from_npm():
    test = load_dataset("cifar10", "test", registry=Registry([REGISTRY]))
    assert test.images_u8.shape == (10_000, 3, 32, 32)
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    test.__dict__.pop("digest")
    assert test.digest == "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"
    train = load_dataset("cifar10", registry=Registry([REGISTRY]), offline=True)
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]

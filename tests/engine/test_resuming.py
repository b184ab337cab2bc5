"""The same bits whatever happened: kills, interrupts, full disks, damage, two processes at once."""

from __future__ import annotations

import errno
import multiprocessing.context
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from reprozoo import compare, score
from reprozoo.base import files
from reprozoo.base.errors import IntegrityError, PartialError
from reprozoo.engine.progress import ProgressEvent
from reprozoo.engine.store import Store
from reprozoo.measures.descriptors.pixels import Pixels
from tests.fakes import (
    SLOW_SAMPLES,
    SLOW_SCORED,
    FakeZoo,
    found,
    logged,
    run,
    slow_compare,
    slow_score,
    snapshot,
    some_images,
    two,
)


@pytest.fixture(scope="module")
def forks() -> multiprocessing.context.ForkServerContext:
    """Processes that have everything imported already, so that a test can afford to kill many."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fakes"])
    return context


def finished(store: Path) -> int:
    """Images in finished shards."""
    spans = [path.stem.split("-") for path in store.glob("images/*/*/*-*.json")]
    return sum(int(stop) - int(start) for start, stop in spans)


def test_killed_at_random_moments_it_ends_with_the_bits_of_an_undisturbed_run(
    tmp_path: Path, forks: multiprocessing.context.ForkServerContext
) -> None:
    log, store = tmp_path / "log", tmp_path / "store"
    chance = random.Random(0)
    kills, wasted = 0, 0
    for _ in range(10):
        before, made = finished(store), logged(log)
        process = forks.Process(target=slow_compare, args=(log, store))
        process.start()
        while process.is_alive() and logged(log) == made:  # until it is at work; then any moment is as likely
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.12))
        process.kill()
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)
        kills += process.exitcode != 0
        lost = (logged(log) - made) - (finished(store) - before)
        assert 0 <= lost <= 64  # a kill costs at most the shard it hits
        wasted += lost
    slow_compare(log, store)
    slow_compare(tmp_path / "log0", tmp_path / "undisturbed")
    assert kills >= 5
    assert wasted > 0
    assert snapshot(store) == snapshot(tmp_path / "undisturbed")
    assert list(Store(store).verify()) == []
    assert logged(log) == 2 * SLOW_SAMPLES + wasted  # what was finished was never made again


def test_two_processes_share_a_store_and_the_work(
    tmp_path: Path, forks: multiprocessing.context.ForkServerContext
) -> None:
    arguments = (tmp_path / "log", tmp_path / "store")
    processes = [forks.Process(target=slow_compare, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert logged(tmp_path / "log") == 2 * SLOW_SAMPLES
    assert not list((tmp_path / "store").rglob("*.lease"))


def test_an_interrupt_loses_nothing_that_was_finished(store: Store, log: Path) -> None:
    def stop_at_half(event: ProgressEvent) -> None:
        if event.stage == "sampling" and event.done >= 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(two(log), store, num_samples=160, batch_size=8, progress=stop_at_half)
    assert finished(store.root) == 200
    assert not list(store.root.rglob("*.lease"))
    made = logged(log)
    run(two(log), store, num_samples=160, batch_size=8)
    assert logged(log) - made == 320 - 200


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of the descriptor got; it takes its time."""
    sizes, real = [], Pixels.describe

    def slow(self: Pixels, images_u8: Tensor) -> Tensor:
        sizes.append(len(images_u8))
        time.sleep(0.02)
        return real(self, images_u8)

    monkeypatch.setattr(Pixels, "describe", slow)
    return sizes


def test_two_runs_at_once_describe_every_image_once(store: Store, described: list[int]) -> None:
    first, second = some_images(700), some_images(700, seed=1)
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(
            lambda _: score(first, second, descriptor="pixels", zoo=FakeZoo(), store=store, progress=False), range(2)
        )
        values = [found(result).values for result in results]
    assert sum(described) == 1400
    assert values[0] is not None
    assert np.array_equal(values[0], values[1])


def test_two_runs_with_the_same_sides_in_another_order_do_not_wait_for_each_other_for_ever(
    store: Store, log: Path, described: list[int]
) -> None:
    options: dict[str, Any] = {
        "zoo": two(log, seconds_a_batch=0.01), "store": store, "num_samples": 600, "batch_size": 16, "noise_floor": 8,
        "descriptor": "pixels", "device": "cpu", "progress": False,
    }  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(compare, order, **options) for order in (["a", "b"], ["b", "a"])]
        forward, backward = (run.result(timeout=60) for run in runs)
    assert logged(log) == 2 * (600 + 8)
    assert sum(described) == 2 * 600
    assert np.array_equal(found(forward).values, found(backward).values)
    assert not list(store.root.rglob("*.lease"))


def test_two_processes_describe_every_image_once(
    tmp_path: Path, forks: multiprocessing.context.ForkServerContext
) -> None:
    arguments = (tmp_path / "described", tmp_path / "store")
    processes = [forks.Process(target=slow_score, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert logged(tmp_path / "described") == 2 * SLOW_SCORED


def test_a_full_disk_is_a_sentence_and_a_second_run_completes(
    store: Store, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.fsync, [9]

    def failing(handle: int) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", failing)
        with pytest.raises(PartialError, match="same command again") as raised:
            run(two(log), store, num_samples=200)
    assert raised.value.exit_code == 6
    kept = finished(store.root)
    assert kept > 0
    made = logged(log)
    run(two(log), store, num_samples=200)
    assert logged(log) - made == 400 - kept
    run(two(), Store(tmp_path / "other"), num_samples=200)
    assert snapshot(store.root / "images") == snapshot(tmp_path / "other" / "images")


def test_a_flipped_bit_in_an_image_is_found_on_use_and_only_that_shard_is_made_again(store: Store, log: Path) -> None:
    result = run(two(log), store, num_samples=130)
    path = sorted((store.root / "images").rglob("*.safetensors"))[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=path.name):
        run(two(log), store, num_samples=130)
    store.prune(broken=True)
    made = logged(log)
    again = run(two(log), store, num_samples=130)
    assert logged(log) - made == 64
    assert again.measurements == result.measurements

"""Nearest training images and the GL score: against brute force, and the right way round."""

import numpy as np
import pytest
import torch

from reprozoo.base.errors import ContractError
from reprozoo.measures import gl_score, nearest, similarities
from reprozoo.measures.checks import full_precision
from reprozoo.measures.search import _block


def unit_rows(seed, count, dim=32):
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1).float()


QUERIES, TRAIN = unit_rows(0, 60), unit_rows(1, 400)


def mscore(features, train_features, threshold=0.6):
    """What the authors' ``mscore`` returns, by its definition: the share of samples that ARE copies."""
    best = (features.numpy()[:, None] * train_features.numpy()[None]).sum(axis=2).max(axis=1)
    return (best > threshold).mean()


@pytest.mark.parametrize("k", [1, 5, 400])
def test_nearest_is_brute_force(k):
    similarity, index = (QUERIES.double() @ TRAIN.double().T).sort(dim=1, descending=True, stable=True)
    found = nearest(QUERIES, TRAIN, k=k)
    assert torch.equal(found.index, index[:, :k])
    assert torch.allclose(found.similarity.double(), similarity[:, :k], atol=6e-8)  # the rounding to float32


def test_similarity_is_that_of_the_pair():
    found = nearest(QUERIES, TRAIN, k=3)
    for rank in range(3):
        assert torch.equal(found.similarity[:, rank], similarities(QUERIES, TRAIN[found.index[:, rank]]))


@pytest.mark.parametrize("budget_bytes", [0, 50_000, 300_000])
def test_the_budget_does_not_show(budget_bytes):
    queries = QUERIES[:5]
    whole, chunked = nearest(queries, TRAIN, k=4), nearest(queries, TRAIN, k=4, budget_bytes=budget_bytes)
    assert torch.equal(chunked.index, whole.index)
    assert torch.equal(chunked.similarity, whole.similarity)


@pytest.mark.parametrize("dim", [8, 512, 4096])
@pytest.mark.parametrize("budget_bytes", [2**24, 2**28, 2**32])
def test_the_budget_holds(dim, budget_bytes):
    rows, columns = _block(10_000, dim, 9, budget_bytes)
    product, copied, again = 4 * rows * columns, 4 * columns * dim, rows * 9 * dim * (4 + 8 + 8 + 8)
    assert product + copied + again <= budget_bytes


def test_order_of_rows():
    order = torch.randperm(len(TRAIN), generator=torch.Generator().manual_seed(3))
    whole, shuffled = nearest(QUERIES, TRAIN, k=2), nearest(QUERIES.flip(0), TRAIN[order], k=2)
    assert torch.equal(order[shuffled.index].flip(0), whole.index)
    assert torch.equal(shuffled.similarity.flip(0), whole.similarity)


@pytest.mark.parametrize("budget_bytes", [0, 2**28])
def test_equal_training_images_come_in_their_order(budget_bytes):
    train = TRAIN.clone()
    train[[350, 7, 90]] = QUERIES[3]
    found = nearest(QUERIES[:5], train, k=3, budget_bytes=budget_bytes)
    assert found.index[3].tolist() == [7, 90, 350]


def test_training_features_of_another_precision():
    assert torch.equal(nearest(QUERIES, TRAIN.double()).index, nearest(QUERIES, TRAIN).index)
    assert nearest(torch.eye(8).half(), torch.eye(8).half()).index.flatten().tolist() == list(range(8))


def test_a_collapsed_generator_scores_zero_and_a_fresh_one_scores_one():
    collapsed = TRAIN[:1].expand(50, -1)
    assert gl_score(collapsed, TRAIN) == 0
    assert gl_score(unit_rows(9, 50, dim=512), unit_rows(8, 400, dim=512)) == 1  # unrelated: cosines within ±0.25


def test_half_copied():
    fresh = torch.eye(8)[:3]
    train = torch.eye(8)[3:6]
    assert gl_score(torch.cat([fresh, train]), train) == 0.5
    assert gl_score(torch.cat([fresh, train]), train[:1]) == pytest.approx(5 / 6)  # a subset can only raise it


def test_the_sign_of_mscore():
    features = torch.cat([QUERIES[:10], TRAIN[:5]])
    assert mscore(features, TRAIN) == pytest.approx(1 / 3)
    assert gl_score(features, TRAIN) == pytest.approx(2 / 3)
    assert gl_score(features, TRAIN) == pytest.approx(1 - mscore(features, TRAIN))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_gl_score_is_one_minus_what_mscore_returns(threshold):
    features = torch.nn.functional.normalize(QUERIES + TRAIN[: len(QUERIES)] * torch.linspace(0, 2, 60)[:, None], dim=1)
    assert gl_score(features, TRAIN, threshold=threshold) == pytest.approx(1 - mscore(features, TRAIN, threshold))


@pytest.mark.parametrize(("cosine", "expected"), [(0.6, 1), (0.6 + 1e-6, 0)])
def test_a_similarity_of_exactly_the_threshold_is_no_copy(cosine, expected):
    sample = torch.tensor([[cosine, (1 - cosine**2) ** 0.5]])
    assert gl_score(sample, torch.tensor([[1.0, 0.0]])) == expected


def precision():
    """All the settings of torch that decide how exact a float32 product is."""
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,
    )


@pytest.fixture
def restored():
    yield
    torch.set_float32_matmul_precision("highest")
    for switch in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul):
        switch.fp32_precision = "none"


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("setting", ["medium", "high", "highest", None])
def test_reduced_precision_is_switched_off_and_on_again(setting):
    if setting:
        torch.set_float32_matmul_precision(setting)
    before = precision()
    with full_precision(torch.device("cpu")):
        assert precision() == ("highest", "ieee", "ieee")
        assert not torch.backends.cuda.matmul.allow_tf32
    assert precision() == before


@pytest.mark.usefixtures("restored")
def test_reduced_precision_by_the_newer_switch():
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with full_precision(torch.device("cpu")):
        assert precision() == ("highest", "ieee", "ieee")
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"


def test_autocast_is_switched_off_and_on_again():
    a = torch.from_numpy(np.random.default_rng(0).standard_normal((256, 256), np.float32))
    exact = a.double() @ a.double()
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision(a.device):
            product = a @ a
        coarse = a @ a
    assert (coarse.double() - exact).abs().max() > 0.1  # bfloat16: 8 bits of values near 50
    assert (product.double() - exact).abs().max() < 1e-3  # float32: 24 bits


@pytest.mark.parametrize(
    ("features", "train", "k", "message"),
    [
        (QUERIES[:0], TRAIN, 1, "^features: expected at least one row"),
        (QUERIES, TRAIN[:0], 1, "training features: expected at least one row"),
        (QUERIES * 2, TRAIN, 1, "^features: row 0 has norm 2"),
        (QUERIES, torch.cat([TRAIN, TRAIN[:1] * 0]), 1, "training features: row 400 has norm 0"),
        (QUERIES, torch.eye(8), 1, "different descriptors"),
        (QUERIES, TRAIN, 0, "k is from 1 to the 400"),
        (QUERIES, TRAIN, 401, "k is from 1 to the 400"),
    ],
)
def test_what_is_refused(features, train, k, message):
    with pytest.raises(ContractError, match=message):
        nearest(features, train, k=k)

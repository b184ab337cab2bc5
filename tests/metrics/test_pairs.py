"""Scores of pairs: identity, disjointness, permutation, closed forms, the thresholds' edges."""

import math

import pytest
import torch

from reprozoo.base.errors import ContractError
from reprozoo.measures import mae_score, mean_absolute_errors, pairs, pfd, rp_score, similarities

N, DIM = 50, 16


def unit_rows(seed, count=N, dim=DIM):
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1).float()


def images(seed, count=N):
    return torch.randint(256, (count, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def at_cosine(cosine):
    """A pair of one-row features with that cosine, as near as float32 has it."""
    return torch.tensor([[1.0, 0.0]]), torch.tensor([[cosine, math.sqrt(1 - cosine**2)]])


def test_a_model_with_itself():
    features, pixels = unit_rows(0), images(0)
    assert similarities(features, features).tolist() == pytest.approx([1] * N, abs=1e-7)
    assert (rp_score(features, features), mae_score(pixels, pixels), pfd(features, features)) == (1, 1, 0)
    assert mean_absolute_errors(pixels, pixels).tolist() == [0] * N


def test_disjoint_models():
    a, b = torch.eye(8)[:4], torch.eye(8)[4:]
    black, white = torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.full((4, 3, 2, 2), 255, dtype=torch.uint8)
    assert (rp_score(a, b), mae_score(black, white)) == (0, 0)
    assert similarities(a, b).tolist() == [0] * 4
    assert mean_absolute_errors(black, white).tolist() == [255] * 4
    assert pfd(a, b) == pytest.approx(math.sqrt(2))
    assert pfd(a, -a) == 2


@pytest.mark.parametrize("score", [rp_score, pfd])
def test_feature_scores_are_symmetric_and_blind_to_order(score):
    a, b = unit_rows(0, dim=3), unit_rows(1, dim=3)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    assert score(a, b) == pytest.approx(score(b, a), abs=1e-15)
    assert score(a[order], b[order]) == pytest.approx(score(a, b), abs=1e-15)
    assert 0 < score(a, b) != score(a, b[order])  # but pairing matters


def test_mae_is_symmetric_and_blind_to_order():
    a, b = images(0), images(1)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    assert torch.equal(mean_absolute_errors(a, b), mean_absolute_errors(b, a))
    assert torch.equal(mean_absolute_errors(a[order], b[order]), mean_absolute_errors(a, b)[order])


def test_similarity_is_the_cosine():
    assert float(similarities(*at_cosine(0.25))) == 0.25
    assert float(similarities(unit_rows(0)[:1], -unit_rows(0)[:1])) == -1


@pytest.mark.parametrize(("cosine", "expected"), [(0.6, 0), (0.6 + 1e-6, 1), (0.6 - 1e-6, 0)])
def test_a_similarity_of_exactly_the_threshold_is_no_copy(cosine, expected):
    assert rp_score(*at_cosine(cosine)) == expected


def test_rp_score_counts():
    features = torch.cat([at_cosine(cosine)[1] for cosine in (0.1, 0.3, 0.5, 0.7, 0.9)])
    reference = torch.tensor([[1.0, 0.0]]).expand(5, 2)
    assert rp_score(reference, features) == 2 / 5
    assert rp_score(reference, features, threshold=0.4) == 3 / 5


def test_an_error_of_exactly_the_threshold_is_no_match():
    a = torch.zeros(3, 1, 1, 4, dtype=torch.uint8)
    b = torch.tensor([[15, 15, 15, 15], [15, 15, 15, 14], [0, 0, 0, 61]], dtype=torch.uint8).reshape(3, 1, 1, 4)
    assert mean_absolute_errors(a, b).tolist() == [15, 14.75, 15.25]
    assert mae_score(a, b) == 1 / 3
    assert mae_score(a, b, threshold=15.1) == 2 / 3


def test_mean_absolute_error_does_not_wrap():
    a, b = images(0), images(1)
    expected = (a.double() - b.double()).abs().mean(dim=(1, 2, 3))
    assert torch.allclose(mean_absolute_errors(a, b), expected, rtol=1e-14)


def test_pfd_of_a_known_angle():
    a, b = at_cosine(0.5)
    assert pfd(a, b) == pytest.approx(1, abs=1e-7)


def test_pfd_is_a_function_of_the_similarities():
    a, b = unit_rows(0), unit_rows(1)
    expected = math.sqrt(2 - 2 * float(similarities(a, b).double().mean()))
    assert pfd(a, b) == pytest.approx(expected, abs=1e-6)  # rows are unit to 1e-7


def test_chunks_do_not_show(monkeypatch):
    a, b, x, y = unit_rows(0), unit_rows(1), images(0), images(1)
    whole = similarities(a, b), mean_absolute_errors(x, y), pfd(a, b)
    monkeypatch.setattr(pairs, "CHUNK_VALUES", 7 * DIM)
    assert torch.equal(similarities(a, b), whole[0])
    assert torch.equal(mean_absolute_errors(x, y), whole[1])
    assert pfd(a, b) == pytest.approx(whole[2], abs=1e-14)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_of_exact_values(dtype):
    eye = torch.eye(4, dtype=dtype)
    assert similarities(eye, eye.roll(1, 0)).dtype == torch.float32
    assert rp_score(eye, eye) == 1


@pytest.mark.parametrize("score", [similarities, rp_score, pfd])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (unit_rows(0), unit_rows(0)[1:], "paired row by row"),
        (unit_rows(0), unit_rows(0, dim=8), "paired row by row"),
        (unit_rows(0)[:0], unit_rows(0)[:0], "at least one row"),
        (unit_rows(0) * 1.001, unit_rows(0), "first features: row 0 has norm 1.001"),
        (unit_rows(0), unit_rows(0) * math.nan, "second features: row 0 has norm nan"),
        (unit_rows(0)[0], unit_rows(0)[0], r"expected floating \(n, dim\)"),
        (torch.eye(3, dtype=torch.int64), torch.eye(3, dtype=torch.int64), r"expected floating \(n, dim\)"),
    ],
)
def test_features_that_are_refused(score, a, b, message):
    with pytest.raises(ContractError, match=message):
        score(a, b)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (images(0), images(0)[1:], "paired row by row"),
        (images(0)[:0], images(0)[:0], "at least one uint8 image"),
        (images(0).float(), images(0), "at least one uint8 image"),
        (images(0), images(0) / 127.5 - 1, "at least one uint8 image"),
        (images(0)[0], images(0)[0], "at least one uint8 image"),
    ],
)
def test_images_that_are_refused(a, b, message):
    with pytest.raises(ContractError, match=message):
        mae_score(a, b)

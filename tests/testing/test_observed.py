"""The operator that solvers are tried with keeps the contract of operators."""

from __future__ import annotations

import pytest
import torch

from reprozoo.diffusion.observations import ObservedBatch
from reprozoo.maps.noise.bank import NoiseBank
from reprozoo.testing.observed import UpperHalf, example_observations


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 2), (3, 1, 4)])
def test_the_upper_half_is_an_operator_with_its_adjoint(shape: tuple[int, int, int]) -> None:
    operator = UpperHalf(shape)
    x = NoiseBank(0).noise(range(2), shape).double()
    y = NoiseBank(1).noise(range(2), operator.measurement_shape).double()
    torch.testing.assert_close((operator.forward(x) * y).sum(), (x * operator.adjoint(y)).sum())
    assert torch.equal(operator.forward(operator.adjoint(y)), y)  # A A^T = gram I
    assert torch.equal(operator.forward(x), x[:, :, : max(1, shape[1] // 2)])


def test_examples_differ_and_fit_what_they_were_measured_of() -> None:
    observations = example_observations((3, 8, 8))
    assert len({observation.digest for observation in observations}) == 3
    batch = ObservedBatch(observations, (3, 8, 8), torch.device("cpu"))
    assert batch.misfits(torch.zeros(3, 3, 8, 8)).tolist()[1] == 0

"""The probability-flow ODE by the Runge-Kutta method of Dormand and Prince, 5(4), with a step size for each sample.

score_sde hands the whole batch to ``scipy.integrate.solve_ivp(method='RK45')`` as one vector, so that one step size
serves all and an image depends on its neighbours. Here every row is integrated as ``solve_ivp`` would integrate it
alone, with the same tableau, error norm, step control and first step; the rows only share their network calls.

Source: Dormand and Prince 1980; Hairer, Norsett and Wanner, *Solving Ordinary Differential Equations I*, II.4; the step
control follows scipy 1.17.1 ``integrate/_ivp/rk.py`` and ``common.py select_initial_step`` (BSD-3-Clause), whose number
of evaluations it reproduces. The ODE is that of arXiv:2011.13456, equation 13, integrated as there in the kernel's own
state x_t and time, since step control, unlike a fixed schedule, depends on both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from reprozoo.base.errors import IntegrityError
from reprozoo.diffusion import sampler_specs as specs
from reprozoo.diffusion.kernels import Kernel, at, per_sample
from reprozoo.diffusion.sampling import Sampler, default_t_end, expect_t_end

if TYPE_CHECKING:
    from reprozoo.maps.contract import Denoiser

# The tableau: stage times, stage weights (row s makes stage s + 1; the last row is the solution), error weights.
C = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
A = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
E = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)

ERROR_ORDER = 4
SAFETY, SHRINK_AT_MOST, GROW_AT_MOST = 0.9, 0.2, 10.0


class Rk45Solution(NamedTuple):
    """End state (batch, ...) in data units and the network evaluations each row needed, (batch,) int64."""

    x: Tensor
    nfe: Tensor


def rk45(
    denoiser: Denoiser,
    x: Tensor,
    kernel: Kernel,
    *,
    t_start: float,
    t_end: float,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> Rk45Solution:
    """Integrate the probability-flow ODE from ``t_start`` to ``t_end``, in either direction, each row by itself.

    A row that has arrived stays as it is; the network goes on seeing the whole batch, so that conditions keep their
    places, but what it says of that row is dropped and not counted.

    Args:
        denoiser: (x, sigma) -> x0; called with a different sigma for each row.
        x: (batch, ...) float64 state at ``t_start``, in data units.
        kernel: gives the state x_t = alpha * x that is integrated, and its time.
        t_start, t_end: two times of the kernel at which sigma is positive.
        rtol, atol: allowed error of a step, atol + rtol * |x_t|, root mean square over a row.

    Raises:
        IntegrityError: a denoiser's output is not finite, or a row needs steps below the spacing of floats.
    """
    flow = _Flow(denoiser, kernel)
    times = [t_start] * len(x)
    y = x * at(kernel.alpha, t_start)
    slope = flow(y, flow.coefficients([[t] for t in times])[:, 0])
    steps = _first_steps(flow, y, slope, times, t_end, rtol, atol)
    controls = [_StepControl(row, t_start, t_end, step) for row, step in enumerate(steps)]
    while not all(control.arrived for control in controls):
        starts = [control.t for control in controls]
        lengths = [control.propose() for control in controls]
        stage_times = [[t + c * h for c in C] for t, h in zip(starts, lengths, strict=True)]
        attempt, slope_there, error = _attempt(flow, y, slope, lengths, flow.coefficients(stage_times))
        norms = _row_rms(error / (atol + rtol * torch.maximum(y.abs(), attempt.abs())))
        accepted = [control.judge(norm) for control, norm in zip(controls, norms, strict=True)]
        mask = per_sample(torch.tensor(accepted, device=y.device), y)
        y, slope = torch.where(mask, attempt, y), torch.where(mask, slope_there, slope)
    return Rk45Solution(y / at(kernel.alpha, t_end), torch.tensor([control.nfe for control in controls]))


class RK45(Sampler):
    """``rk45`` from ``kernel.t_max`` to ``t_end``.

    ``denoise_final`` replaces the end state by the denoiser's estimate there, which removes the noise that is left (std
    0.0105 for VP at 1e-3) at the cost of one evaluation. score_sde's own final step, the mean of one step of its
    reverse diffusion, does the same for VE; for VP it removes 9/10 of that noise, and for sub-VP, where there is
    practically none (1e-4), twice of it. Like theirs it is a pure function of the state; it draws no random numbers.
    """

    spec = specs.RK45

    t_end: float
    rtol: float
    atol: float
    denoise_final: bool

    def __init__(self, *, kernel: Kernel, **options: Any) -> None:
        super().__init__(kernel=kernel, **options)
        self._resolve(t_end=default_t_end(kernel))
        expect_t_end(self.name, kernel, self.t_end)

    @property
    def nfe(self) -> None:
        return None

    def __call__(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        return self.solve(denoiser, x).x

    def solve(self, denoiser: Denoiser, x: Tensor) -> Rk45Solution:
        """As calling the sampler, with the evaluations that each image needed."""
        solution = rk45(
            denoiser, x, self.kernel, t_start=self.kernel.t_max, t_end=self.t_end, rtol=self.rtol, atol=self.atol
        )
        if not self.denoise_final:
            return solution
        sigma = solution.x.new_full((len(x),), at(self.kernel.sigma, self.t_end))
        return Rk45Solution(denoiser(solution.x, sigma), solution.nfe + 1)


class _Flow:
    """dx_t/dt = alpha' * x0 + (alpha * sigma)' * eps, which cancels nowhere, with a time for each row.

    The kernel's functions are evaluated row by row on tensors of one length: vectorised ones may round an element
    differently at another place of a longer tensor, and a row would then depend on the size of its batch.
    """

    def __init__(self, denoiser: Denoiser, kernel: Kernel) -> None:
        self.denoiser = denoiser
        self.kernel = kernel

    def coefficients(self, times: Sequence[Sequence[float]]) -> Tensor:
        """(rows, times, 4): alpha, sigma and the derivatives of alpha and of alpha * sigma."""
        return torch.stack([self._of_row(torch.tensor(row, dtype=torch.float64)) for row in times])

    def _of_row(self, t: Tensor) -> Tensor:
        alpha, sigma, drift = self.kernel.alpha(t), self.kernel.sigma(t), self.kernel.dlog_alpha_dt(t)
        return torch.stack([alpha, sigma, alpha * drift, alpha * (drift * sigma + self.kernel.dsigma_dt(t))], dim=-1)

    def __call__(self, y: Tensor, coefficients: Tensor) -> Tensor:
        """Slopes of the rows of ``y``, given their (rows, 4) coefficients."""
        alpha, sigma, alpha_slope, std_slope = coefficients.to(y.device).unbind(-1)
        scale = per_sample(alpha, y)
        x0 = self.denoiser(y / scale, sigma)
        eps = (y - scale * x0) / per_sample(alpha * sigma, y)
        return per_sample(alpha_slope, y) * x0 + per_sample(std_slope, y) * eps


class _StepControl:
    """Where one row is and how long its next step may be."""

    def __init__(self, row: int, t: float, t_end: float, step: float) -> None:
        self.row, self.t, self.t_end, self.step = row, t, t_end, step
        self.t_next = t
        self.rejected = False
        self.nfe = 2  # the slope at the start, and the one that ``_first_steps`` asks for

    @property
    def arrived(self) -> bool:
        return self.t == self.t_end

    def propose(self) -> float:
        """Signed length of the next attempt; 0 where the row has arrived."""
        shortest = 10 * abs(math.nextafter(self.t, self.t_end) - self.t)
        if self.rejected and self.step < shortest:
            raise IntegrityError(
                f"rk45: row {self.row} of the batch needs steps shorter than floats can express at t = {self.t:.6g}; "
                "the denoiser is not smooth there: loosen rtol and atol, end earlier (t_end), or use another sampler"
            )
        self.step = max(self.step, shortest)
        forward = self.t_end > self.t
        self.t_next = min(self.t + self.step, self.t_end) if forward else max(self.t - self.step, self.t_end)
        self.step = abs(self.t_next - self.t)
        return self.t_next - self.t

    def judge(self, error: float) -> bool:
        """Whether the attempt stands, given its error in units of what is allowed; sets the next step."""
        if self.arrived:
            return False
        if not math.isfinite(error):
            raise IntegrityError(
                f"rk45: row {self.row} of the batch became NaN or infinite near t = {self.t:.6g}: the denoiser gave "
                "such values, as half precision often does; run it again with --dtype float32"
            )
        self.nfe += len(C)
        factor = min(GROW_AT_MOST, SAFETY * error ** (-1 / (ERROR_ORDER + 1))) if error > 0 else GROW_AT_MOST
        if error < 1:
            self.step *= min(1.0, factor) if self.rejected else factor
            self.t, self.rejected = self.t_next, False
            return True
        self.step *= max(SHRINK_AT_MOST, factor)
        self.rejected = True
        return False


def _attempt(
    flow: _Flow, y: Tensor, slope: Tensor, lengths: Sequence[float], coefficients: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One Runge-Kutta step of every row: end state, slope there, estimated error."""
    h = per_sample(torch.tensor(lengths, dtype=y.dtype, device=y.device), y)
    slopes = [slope]
    state = y
    for stage, weights in enumerate(A):
        state = y + h * _weighted(slopes, weights)
        slopes.append(flow(state, coefficients[:, stage]))
    return state, slopes[-1], h * _weighted(slopes, E)


def _weighted(slopes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Sum of weights * slopes, in separate products and sums: a fused one may round differently in a longer tensor."""
    total = slopes[0] * weights[0]
    for slope, weight in zip(slopes[1:], weights[1:], strict=True):
        if weight:
            total = total + slope * weight
    return total


def _first_steps(
    flow: _Flow, y: Tensor, slope: Tensor, times: Sequence[float], t_end: float, rtol: float, atol: float
) -> list[float]:
    """Length of each row's first attempt, from the size of its slope and a guess at its second derivative."""
    scale = atol + y.abs() * rtol
    spans = [abs(t_end - t) for t in times]
    sizes, slopes = _row_rms(y / scale), _row_rms(slope / scale)
    trial = [
        min(1e-6 if size < 1e-5 or steep < 1e-5 else 0.01 * size / steep, span)
        for size, steep, span in zip(sizes, slopes, spans, strict=True)
    ]
    signed = [math.copysign(h, t_end - t) for h, t in zip(trial, times, strict=True)]
    h = per_sample(torch.tensor(signed, dtype=y.dtype, device=y.device), y)
    coefficients = flow.coefficients([[t + step] for t, step in zip(times, signed, strict=True)])[:, 0]
    bends = _row_rms((flow(y + h * slope, coefficients) - slope) / scale)
    steps = []
    for h0, steep, bend, span in zip(trial, slopes, bends, spans, strict=True):
        largest = max(steep, bend / h0)
        h1 = max(1e-6, h0 * 1e-3) if largest <= 1e-15 else (0.01 / largest) ** (1 / (ERROR_ORDER + 1))
        steps.append(min(100 * h0, h1, span))
    return steps


def _row_rms(values: Tensor) -> list[float]:
    """Root mean square of each row, summed by halves: the same bits whatever the number of rows and the device."""
    sums = values.reshape(len(values), -1).square()
    count = sums.shape[1]
    while (width := sums.shape[1]) > 1:
        half = width // 2
        sums = torch.cat([sums[:, :half] + sums[:, half : 2 * half], sums[:, 2 * half :]], dim=1)
    return [math.sqrt(total / count) for total in sums[:, 0].tolist()]

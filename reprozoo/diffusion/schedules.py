"""Where a sampler stops on its way from noise to image: decreasing noise levels, and the orders of DPM-Solver's steps.

Every function returns a float64 tensor of sigmas on the CPU, in data units, one more than there are steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels import Kernel, at


def karras_sigmas(steps: int, *, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """``steps`` levels from ``sigma_max`` to ``sigma_min``, uniform in sigma^(1/rho), then 0.

    Source: arXiv:2206.00364, equation 5.
    """
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    levels = (top + ramp * (bottom - top)) ** rho
    levels[0] = sigma_max  # exactly: the power of a root rounds
    return torch.cat([levels, levels.new_zeros(1)])


def logsnr_sigmas(steps: int, *, sigma_min: float, sigma_max: float) -> Tensor:
    """From ``sigma_max`` to ``sigma_min`` in equal ratios: uniform in logSNR = -2 ln(sigma), whatever the kernel."""
    sigmas = torch.linspace(math.log(sigma_max), math.log(sigma_min), steps + 1, dtype=torch.float64).exp()
    sigmas[0], sigmas[-1] = sigma_max, sigma_min
    return sigmas


def time_uniform_sigmas(kernel: Kernel, steps: int, *, t_end: float) -> Tensor:
    """The kernel's sigmas at times uniform from ``kernel.t_max`` to ``t_end``."""
    return kernel.sigma(torch.linspace(kernel.t_max, t_end, steps + 1, dtype=torch.float64))


def time_quadratic_sigmas(kernel: Kernel, steps: int, *, t_end: float) -> Tensor:
    """The kernel's sigmas at times whose square roots are uniform from ``kernel.t_max`` to ``t_end``."""
    roots = torch.linspace(math.sqrt(kernel.t_max), math.sqrt(t_end), steps + 1, dtype=torch.float64)
    times = roots.square()
    times[0], times[-1] = kernel.t_max, t_end
    return kernel.sigma(times)


def _kernel_logsnr_sigmas(kernel: Kernel, steps: int, *, t_end: float) -> Tensor:
    return logsnr_sigmas(steps, sigma_max=at(kernel.sigma, kernel.t_max), sigma_min=at(kernel.sigma, t_end))


TIME_SPACINGS: dict[str, Callable[..., Tensor]] = {
    "logsnr": _kernel_logsnr_sigmas,
    "time_uniform": time_uniform_sigmas,
    "time_quadratic": time_quadratic_sigmas,
}


def singlestep_orders(steps: int, order: int) -> list[int]:
    """Orders of the steps that spend exactly ``steps`` network evaluations on DPM-Solver of at most ``order``.

    As many steps of full order as fit; the remainder is spent on lower orders at the end, where ``order`` 3 always
    leaves one or two evaluations for them: 100 -> 33 of third order and 1 of first, 99 -> 32 of third, 1 of second and
    1 of first.

    Raises:
        UsageError: ``order`` is not 1, 2 or 3, or ``steps`` is not positive.

    Source: LuChengTHU/dpm-solver@52bc3fbc ``get_orders_and_timesteps_for_singlestep_solver`` (MIT).
    """
    if order not in (1, 2, 3) or steps < 1:
        raise UsageError(
            f"DPM-Solver has orders 1, 2 and 3 and needs at least one step, got order={order}, steps={steps}"
        )
    full, rest = divmod(steps, order)
    if order == 3 and rest == 0:
        return [3] * (full - 1) + [2, 1]
    return [order] * full + ([rest] if rest else [])


def singlestep_sigmas(kernel: Kernel, orders: Sequence[int], *, spacing: str, t_end: float) -> Tensor:
    """Every level at which a singlestep solver evaluates the network, its inner ones included, then the last level.

    A step of order k runs over k of the intervals. With "logsnr" the *steps* are equal in logSNR, however many levels
    each has inside, and the inner levels divide a step equally (r1 = 1/3, r2 = 2/3). With the time spacings all the
    intervals are equal (in t, or in its root), so that r1 and r2 follow from the kernel.

    Returns:
        (sum(orders) + 1,) sigmas.

    Source: as ``singlestep_orders``; the original computes the inner times of each step from its two ends.
    """
    if spacing != "logsnr":
        return TIME_SPACINGS[spacing](kernel, sum(orders), t_end=t_end)
    outer = _kernel_logsnr_sigmas(kernel, len(orders), t_end=t_end).tolist()
    inner = [
        logsnr_sigmas(order, sigma_max=high, sigma_min=low)[:-1]
        for order, high, low in zip(orders, outer[:-1], outer[1:], strict=True)
    ]
    return torch.cat([*inner, torch.tensor(outer[-1:], dtype=torch.float64)])


def multistep_orders(steps: int, order: int) -> list[int]:
    """Orders of the steps of a multistep solver: rising at the start, where it has no history yet, to ``order``.

    With fewer than 10 steps they fall again to 1 at the end, as in the original (its "lower_order_final").

    Raises:
        UsageError: ``order`` is not 1, 2 or 3, or exceeds ``steps``.

    Source: LuChengTHU/dpm-solver@52bc3fbc ``DPM_Solver.sample(method='multistep', lower_order_final=True)`` (MIT); its
        docstring says 15 steps, its code 10.
    """
    if order not in (1, 2, 3) or steps < order:
        raise UsageError(
            f"DPM-Solver++ has orders 1, 2 and 3 and needs as many steps, got order={order}, steps={steps}"
        )
    rising = [min(order, done + 1) for done in range(steps)]
    return [min(k, steps - done) for done, k in enumerate(rising)] if steps < 10 else rising

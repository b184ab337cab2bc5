"""Rectified flow: Liu et al. 2022, "Flow Straight and Fast" (arXiv:2209.03003).

A network that predicts the velocity ``eps - x0`` of the straight path ``x_t = (1 - t) x0 + t eps`` and is told
``time_scale * t``; t runs from data (0) to noise (1), as in ``reprozoo.diffusion.kernels.RectifiedFlow``. Repositories
that run time the other way have the velocity of opposite sign at 1 - t.
"""

from collections.abc import Callable

from reprozoo import Family, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="flow",
            summary="Rectified flow: networks that predict the velocity of the straight path from data to noise",
            load="reprozoo_plugins.flow.adapter:load",
            denoiser=True,
        )
    )

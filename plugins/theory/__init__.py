"""Theory as models: denoisers known in closed form, run by the same samplers as networks.

``theory-gaussian`` is the optimal denoiser of a Gaussian with the data's mean and covariance (arXiv:2311.10892),
``theory-empirical`` of the finite training set itself (arXiv:2310.05264, Proposition 1) and ``theory-mog`` of a mixture
of Gaussians (Proposition 2, with any covariance). No weights of a third party are involved.
"""

from collections.abc import Callable

from reprozoo import Family, Option, SolverSpec, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="theory-gaussian",
            summary="the optimal denoiser of Gaussian data, and its probability flow in closed form",
            load="reprozoo_plugins.theory.adapter:load_gaussian",
            denoiser=True,
            options={
                "flow": Option(
                    str,
                    "closed-form flow, or the sampler's integration of it",
                    "closed-form",
                    ("closed-form", "sampler"),
                )
            },
        )
    )
    register(
        Family(
            name="theory-empirical",
            summary="the optimal denoiser of a finite training set: it can only return training images",
            load="reprozoo_plugins.theory.adapter:load_empirical",
            denoiser=True,
            options={
                "data": Option("dataset", "the training set: a data set's name, a folder, .npz or .safetensors"),
                "split": Option(str, "split of a named data set", "train"),
                "first": Option(int, "use only the first N images"),
            },
        )
    )
    register(
        Family(
            name="theory-mog",
            summary="the optimal denoiser of a mixture of Gaussians",
            load="reprozoo_plugins.theory.adapter:load_mixture",
            denoiser=True,
            options={
                "components": Option(int, "number of components of the synthetic mixture", 10),
                "rank": Option(int, "dimension of each component's subspace", 100),
                "mixture_seed": Option(int, "which synthetic mixture", 0),
            },
        )
    )


@hookimpl
def reprozoo_register_solvers(register: Callable[[SolverSpec], None]) -> None:
    register(
        SolverSpec(
            name="gaussian-posterior",
            summary="the exact posterior of Gaussian data, in closed form: the ground truth of other solvers",
            load="reprozoo_plugins.theory.posterior:load_gaussian_posterior",
            options={
                "estimate": Option(
                    str, "a sample for each noise, by the posterior's flow, or its mean", "sample", ("sample", "mean")
                )
            },
        )
    )

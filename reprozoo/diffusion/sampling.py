"""What every sampler is: a frozen record of its options that takes a denoiser and a state to an image.

A sampler's class names its ``SamplerSpec``, whose options become attributes, checked; what is left out is resolved when
the sampler is built, so ``config`` says what ran. Importing this imports no framework, so a plugin of one file may
subclass ``ScheduledSampler`` beside its hooks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, final

from reprozoo.base.errors import UsageError, did_you_mean
from reprozoo.diffusion.sampler_specs import SPACING_OPTIONS, SamplerSpec

if TYPE_CHECKING:
    from torch import Tensor

    from reprozoo.diffusion.kernels import Kernel
    from reprozoo.maps.contract import Denoiser

STEEPEST_START = 1e3  # see ``expect_gentle_start``


class Sampler(ABC):
    """A deterministic integrator from noise to image: each row of the state by itself, in float64, no random numbers.

    Its options are attributes; it cannot be changed, and equals another of the same kernel and options.

    Args:
        kernel: how noise was mixed into the data; where the schedule and the starting state come from.
        options: of ``spec``; those left out take their defaults.

    Raises:
        UsageError: an option that ``spec`` has not, or a value that it does not allow.

    Attributes:
        spec: name and options, as cards and map specs write them.
    """

    spec: ClassVar[SamplerSpec]
    kernel: Kernel

    def __init__(self, *, kernel: Kernel, **options: Any) -> None:
        defaults = {name: option.default for name, option in self.spec.options.items()}
        vars(self).update(kernel=kernel, **defaults | checked_options(self.spec, options))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a sampler cannot be changed; build another one with {name}={value!r}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.config().items() if name != "name")
        return f"{type(self).__name__}(kernel={self.kernel!r}, {given})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    @abstractmethod
    def nfe(self) -> int | None:
        """Network evaluations for one image; None where the sampler chooses its steps."""

    @abstractmethod
    def __call__(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        """Integrate from ``x`` to an image.

        Args:
            denoiser: (x, sigma) -> x0, in data units; see ``reprozoo.Denoiser``.
            x: (batch, ...) float64 state ``kernel.initial_state(noise)``.

        Returns:
            (batch, ...) float64, in data units.
        """

    def config(self) -> dict[str, Any]:
        """Name and resolved options as JSON: everything but the kernel that decides what the sampler does."""
        values = {name: getattr(self, name) for name in self.spec.options}
        return {"name": self.name} | {name: value for name, value in values.items() if value is not None}

    def _resolve(self, **defaults: Any) -> None:
        """Set the options that were left out."""
        vars(self).update({name: value for name, value in defaults.items() if getattr(self, name) is None})

    def _key(self) -> tuple[Any, ...]:
        return type(self), self.kernel, *self.config().items()


class FixedStepSampler(Sampler):
    """A sampler whose noise levels are known beforehand.

    The schedule may start below the kernel's largest noise level (EDM's 80 where a VP kernel begins at 152): the state
    is then scaled to the level where it starts, which is what the exact flow does to centred data as long as the noise
    dwarfs them.
    """

    @property
    @abstractmethod
    def sigmas(self) -> Tensor:
        """Decreasing noise levels on the CPU, float64."""

    @abstractmethod
    def integrate(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        """From the state at the first of ``sigmas`` to the image."""

    @final
    def __call__(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        return self.integrate(denoiser, x * (float(self.sigmas[0]) / sigma_at(self.kernel, self.kernel.t_max)))


class ScheduledSampler(FixedStepSampler):
    """A fixed-step sampler with a choice of spacing, each with its own options (``SPACING_OPTIONS``).

    "karras" has ``steps`` levels from ``sigma_max`` to ``sigma_min`` and then 0. The others have ``steps`` intervals
    from ``kernel.t_max`` to ``t_end``; samplers with ``to_zero`` lengthen the last one down to sigma 0. A subclass has
    the options of ``schedule_options()`` among its own and implements ``nfe`` and ``integrate``.
    """

    to_zero: ClassVar[bool] = True

    steps: int
    spacing: str
    sigma_min: float | None
    sigma_max: float | None
    rho: float | None
    t_end: float | None

    def __init__(self, *, kernel: Kernel, **options: Any) -> None:
        super().__init__(kernel=kernel, **options)
        self._resolve(spacing="karras" if kernel.name == "edm" else "time_uniform")
        check_spacing(self.spec.name, self.spacing, vars(self))
        defaults = self._schedule_defaults()
        self._resolve(**{name: defaults[name] for name in SPACING_OPTIONS[self.spacing]})
        self._check_schedule()

    @cached_property
    def sigmas(self) -> Tensor:
        from reprozoo.diffusion.schedules import TIME_SPACINGS, karras_sigmas

        settings = {name: getattr(self, name) for name in SPACING_OPTIONS[self.spacing]}
        if self.spacing == "karras":
            return karras_sigmas(self.steps, **settings)
        sigmas = TIME_SPACINGS[self.spacing](self.kernel, self.steps, **settings)
        if self.to_zero:
            sigmas[-1] = 0
        return sigmas

    def _schedule_defaults(self) -> dict[str, float]:
        """EDM's levels within what the kernel has, as EDM's own sampling script does; the kernel's times."""
        kernel = self.kernel
        return {
            "sigma_min": max(0.002, sigma_at(kernel, kernel.t_min)),
            "sigma_max": min(80.0, sigma_at(kernel, kernel.t_max)),
            "rho": 7.0,
            "t_end": kernel.t_min if self.to_zero and self.spacing != "logsnr" else default_t_end(kernel),
        }

    def _check_schedule(self) -> None:
        if self.t_end is not None:
            positive = self.spacing == "logsnr" or not self.to_zero
            expect_t_end(self.name, self.kernel, self.t_end, positive=positive)
            return
        low, high = float(self.sigma_min or 0), float(self.sigma_max or 0)  # set, since t_end is not
        largest = sigma_at(self.kernel, self.kernel.t_max)
        if low >= high:
            raise UsageError(f"sampler {self.name}: expected sigma_min < sigma_max, got {low:g} and {high:g}")
        if high > largest:
            raise UsageError(
                f"sampler {self.name}: expected sigma_max of at most {largest:.4g}, where kernel {self.kernel.name} "
                f"begins, got {high:g}"
            )


def checked_options(spec: SamplerSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a sampler from Python or a card, checked.

    Raises:
        UsageError: an option that the sampler has not, or a value that it does not allow; the sentence says what there
            is.
    """
    what = f"sampler {spec.name}"
    for name in given:
        if name not in spec.options:
            has = ", ".join(spec.options) or "none"
            raise UsageError(f"{what} has no option {name!r}{did_you_mean(name, spec.options)}; it has: {has}")
    return {name: spec.options[name].checked(what, name, value) for name, value in given.items()}


def check_spacing(sampler: str, spacing: str, options: Mapping[str, Any]) -> None:
    """Refuse options of a schedule that another spacing has.

    Raises:
        UsageError: one is set.
    """
    used = SPACING_OPTIONS[spacing]
    for name in (name for names in SPACING_OPTIONS.values() for name in names):
        if name not in used and options.get(name) is not None:
            raise UsageError(
                f"sampler {sampler}: {name} has no effect with spacing={spacing}, which takes "
                f"{', '.join(used)}; leave it out or choose another spacing"
            )


def sigma_at(kernel: Kernel, t: float) -> float:
    """The kernel's noise level at one time."""
    from reprozoo.diffusion.kernels import at

    return at(kernel.sigma, t)


def default_t_end(kernel: Kernel) -> float:
    """Where a sampler stops that cannot reach sigma 0: 1e-3, as DPM-Solver and score_sde, or the kernel's own end."""
    return max(1e-3, kernel.t_min)


def expect_t_end(sampler: str, kernel: Kernel, t_end: float, *, positive: bool = True) -> None:
    """Check that ``t_end`` is a time of the kernel, before its start and with noise left where that is needed.

    Raises:
        UsageError: it is not.
    """
    sigma = sigma_at(kernel, t_end)
    if not (t_end < kernel.t_max and (sigma > 0 or (sigma == 0 and not positive))):
        least = "above" if positive and sigma_at(kernel, kernel.t_min) == 0 else "from"
        raise UsageError(
            f"sampler {sampler}: expected t_end {least} {kernel.t_min:g} and below {kernel.t_max:g}, the times of "
            f"kernel {kernel.name}, got {t_end:g}"
        )


def expect_gentle_start(sampler: str, sigmas: Tensor) -> None:
    """Refuse a first step over more than a factor ``STEEPEST_START`` for methods that extrapolate the noise.

    They take the difference of two noise estimates times the larger sigma: from 1e9 to 20, as times uniform on a
    rectified flow would have it, what is left of the image is rounding and error.

    Raises:
        UsageError: the first step is steeper.
    """
    first, second = sigmas[:2].tolist()
    if first > STEEPEST_START * second > 0:
        raise UsageError(
            f"sampler {sampler}: the first step, from sigma {first:.3g} to {second:.3g}, is too long for this method; "
            "use spacing=logsnr, more steps, or the sampler euler or dpm-solver++"
        )


def evaluate(denoiser: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """The denoiser at one noise level for all rows."""
    return denoiser(x, x.new_full((len(x),), sigma))

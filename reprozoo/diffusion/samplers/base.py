"""What every sampler is: a frozen record of its options that takes a denoiser and a state to an image.

A sampler's options are its dataclass fields, declared with ``option``; checking, defaults, ``config`` and the command
line all read them from there. Options left out are resolved when the sampler is built, so ``config`` says what ran.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

from torch import Tensor

from reprozoo.base.errors import UsageError
from reprozoo.diffusion.kernels import EDM, Kernel, at
from reprozoo.diffusion.samplers.schedules import TIME_SPACINGS, karras_sigmas

if TYPE_CHECKING:
    from reprozoo.maps.contract import Denoiser

SPACINGS = ("karras", *TIME_SPACINGS)
SCHEDULE_OPTIONS = ("sigma_min", "sigma_max", "rho", "t_end")
TIME_OR_KARRAS = "how the noise levels are spaced (time_uniform; karras where the kernel's time is sigma itself)"
SPACING_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "karras": ("sigma_min", "sigma_max", "rho"),
    **dict.fromkeys(TIME_SPACINGS, ("t_end",)),
}
STEEPEST_START = 1e3  # see ``expect_gentle_start``


class SamplerOption(NamedTuple):
    """One option of a sampler; a ``default`` of None is taken from the kernel, as ``help`` says."""

    kind: type[Any]
    default: Any
    help: str
    choices: tuple[Any, ...] = ()


def option(
    kind: type,
    default: Any,
    help: str,
    *,
    choices: tuple[Any, ...] = (),
    least: float = -math.inf,
    above: float = -math.inf,
) -> Any:
    """A dataclass field that is an option: at least ``least``, more than ``above``, one of ``choices``."""
    record = SamplerOption(kind, default, help, choices)
    return field(default=default, metadata={"option": record, "least": least, "above": above})


@dataclass(frozen=True, kw_only=True)
class Sampler(ABC):
    """A deterministic integrator from noise to image: each row of the state by itself, in float64, no random numbers.

    Attributes:
        name: as cards and map specs write it.
        kernel: how noise was mixed into the data; where the schedule and the starting state come from.
    """

    name: ClassVar[str]
    kernel: Kernel

    def __post_init__(self) -> None:
        for each in fields(self):
            if "option" in each.metadata:
                object.__setattr__(
                    self, each.name, _checked(self.name, each.name, getattr(self, each.name), each.metadata)
                )

    def _resolve(self, **defaults: Any) -> None:
        """Set the options that were left out."""
        for name, default in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)

    @property
    @abstractmethod
    def nfe(self) -> int | None:
        """Network evaluations for one image; None where the sampler chooses its steps."""

    @abstractmethod
    def __call__(self, denoiser: Denoiser, x: Tensor) -> Tensor:
        """Integrate from ``x`` to an image.

        Args:
            denoiser: (x, sigma) -> x0, in data units; see ``reprozoo.maps.Denoiser``.
            x: (batch, ...) float64 state ``kernel.initial_state(noise)``.

        Returns:
            (batch, ...) float64, in data units.
        """

    def config(self) -> dict[str, Any]:
        """Name and resolved options as JSON: everything but the kernel that decides what the sampler does."""
        values = {name: getattr(self, name) for name in self.options()}
        return {"name": self.name} | {name: value for name, value in values.items() if value is not None}

    @classmethod
    def options(cls) -> dict[str, SamplerOption]:
        """The options of this sampler by name."""
        return {each.name: each.metadata["option"] for each in fields(cls) if "option" in each.metadata}


@dataclass(frozen=True, kw_only=True)
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
        return self.integrate(denoiser, x * (float(self.sigmas[0]) / at(self.kernel.sigma, self.kernel.t_max)))


@dataclass(frozen=True, kw_only=True)
class ScheduledSampler(FixedStepSampler):
    """A fixed-step sampler with a choice of spacing, each with its own options (``SPACING_OPTIONS``).

    "karras" has ``steps`` levels from ``sigma_max`` to ``sigma_min`` and then 0. The others have ``steps`` intervals
    from ``kernel.t_max`` to ``t_end``; samplers with ``to_zero`` lengthen the last one down to sigma 0.
    """

    to_zero: ClassVar[bool] = True

    steps: int = option(int, 18, "solver steps", least=1)
    spacing: str = option(str, "karras", "how the noise levels are spaced", choices=SPACINGS)
    sigma_min: float | None = option(
        float, None, "karras: last level before 0 (0.002, or the kernel's smallest if larger)", above=0
    )
    sigma_max: float | None = option(
        float, None, "karras: first level (80, or the kernel's largest if smaller)", above=0
    )
    rho: float | None = option(float, None, "karras: how much the steps crowd towards sigma_min (7)", above=0)
    t_end: float | None = option(float, None, "other spacings: the last time (the kernel's smallest)", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._resolve(spacing="karras" if isinstance(self.kernel, EDM) else "time_uniform")
        used = SPACING_OPTIONS[self.spacing]
        for name in SCHEDULE_OPTIONS:
            if name not in used and getattr(self, name) is not None:
                raise UsageError(
                    f"sampler {self.name}: {name} has no effect with spacing={self.spacing}, which takes "
                    f"{', '.join(used)}; leave it out or choose another spacing"
                )
        defaults = self._schedule_defaults()
        self._resolve(**{name: defaults[name] for name in used})
        self._check_schedule()

    @cached_property
    def sigmas(self) -> Tensor:
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
            "sigma_min": max(0.002, at(kernel.sigma, kernel.t_min)),
            "sigma_max": min(80.0, at(kernel.sigma, kernel.t_max)),
            "rho": 7.0,
            "t_end": kernel.t_min if self.to_zero and self.spacing != "logsnr" else default_t_end(kernel),
        }

    def _check_schedule(self) -> None:
        if self.t_end is not None:
            positive = self.spacing == "logsnr" or not self.to_zero
            expect_t_end(self.name, self.kernel, self.t_end, positive=positive)
            return
        low, high = float(self.sigma_min or 0), float(self.sigma_max or 0)  # set, since t_end is not
        largest = at(self.kernel.sigma, self.kernel.t_max)
        if low >= high:
            raise UsageError(f"sampler {self.name}: expected sigma_min < sigma_max, got {low:g} and {high:g}")
        if high > largest:
            raise UsageError(
                f"sampler {self.name}: expected sigma_max of at most {largest:.4g}, where kernel {self.kernel.name} "
                f"begins, got {high:g}"
            )


def default_t_end(kernel: Kernel) -> float:
    """Where a sampler stops that cannot reach sigma 0: 1e-3, as DPM-Solver and score_sde, or the kernel's own end."""
    return max(1e-3, kernel.t_min)


def expect_t_end(sampler: str, kernel: Kernel, t_end: float, *, positive: bool = True) -> None:
    """Check that ``t_end`` is a time of the kernel, before its start and with noise left where that is needed.

    Raises:
        UsageError: it is not.
    """
    sigma = at(kernel.sigma, t_end)
    if not (t_end < kernel.t_max and (sigma > 0 or (sigma == 0 and not positive))):
        least = "above" if positive and at(kernel.sigma, kernel.t_min) == 0 else "from"
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


def _checked(sampler: str, name: str, value: Any, metadata: Mapping[str, Any]) -> Any:
    """``value`` of option ``name`` in its proper type, checked against what the option allows."""
    wanted: SamplerOption = metadata["option"]
    if value is None and wanted.default is None:
        return None
    if wanted.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)  # so that 1 and 1.0 have one config
    if not isinstance(value, wanted.kind) or (isinstance(value, bool) and wanted.kind is not bool):
        raise UsageError(f"sampler {sampler}: expected {wanted.kind.__name__} for {name}, got {value!r}")
    if wanted.choices and value not in wanted.choices:
        among = ", ".join(map(str, wanted.choices))
        raise UsageError(f"sampler {sampler}: expected {name} to be one of {among}, got {value!r}")
    least, above = metadata["least"], metadata["above"]
    if wanted.kind in (int, float) and not (least <= value < math.inf and value > above):
        bound = f"more than {above:g}" if above > -math.inf else f"at least {least:g}"
        raise UsageError(f"sampler {sampler}: expected {name} to be {bound} and finite, got {value}")
    return value

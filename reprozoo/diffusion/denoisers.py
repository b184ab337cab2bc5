"""``DenoiserMap``: a map that exposes its denoiser; ``NetworkDenoiserMap``: what every family does around its network.

Any denoiser can be run with any sampler, steered by an observation, or compared with a theoretical score.

The sampler's state is float64 in data units; networks run in the precision the user chose. Going between the two, the
class labels of the conditions, and strict loading of weights are here; a family adds its own scaling of input, time
and output, which is the few lines that make it a family. ``EpsDenoiserMap`` has it for networks that predict noise.
``VectorToImageMap`` is the whole map of a generator or decoder, which denoises nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reprozoo.base.errors import IntegrityError, UsageError
from reprozoo.diffusion.kernels import Kernel, edm_preconditioning, per_sample, x0_from_eps, x0_from_F
from reprozoo.diffusion.sampling import Sampler
from reprozoo.maps.condition import Condition
from reprozoo.maps.contract import Denoiser, NoiseToImageMap


class DenoiserMap(NoiseToImageMap):
    """A map that integrates a denoiser from noise to image.

    Attributes:
        kernel: how noise was mixed into the data in training: x_t = alpha(t) * (x0 + sigma(t) * eps).
        sampler: the integrator, with its schedule.
        device: where ``denoise`` runs; the state of the sampler lives there in float64.
        is_posterior_mean: whether ``denoise`` is the mean of the images given x, on which solvers of inverse problems
            rely; a distilled student says where its teacher ends instead.
    """

    is_posterior_mean = True

    def __init__(
        self,
        *,
        noise_shape: tuple[int, ...],
        image_shape: tuple[int, int, int],
        kernel: Kernel,
        sampler: Sampler,
        device: torch.device | str = "cpu",
        num_classes: int | None = None,
    ) -> None:
        self.noise_shape = tuple(noise_shape)
        self.image_shape = image_shape
        self.kernel = kernel
        self.sampler = sampler
        self.device = torch.device(device)
        self.num_classes = num_classes
        self.nfe = sampler.nfe
        if num_classes is not None:
            self.accepts = self.requires = frozenset({"class_label"})

    @abstractmethod
    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Posterior mean of x0 given x = x0 + sigma * eps (see ``Denoiser``); differentiable in ``x``."""

    def denoiser(self, conditions: Sequence[Condition]) -> Denoiser:
        """The denoiser of one batch, its conditions bound."""
        return partial(self.denoise, conditions=conditions)

    def decode(self, x0: Tensor) -> Tensor:
        """From the sampler's final state to images; latent models override it with their decoder."""
        return x0

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        x = self.kernel.initial_state(noise.to(self.device, torch.float64))
        return self.decode(self.sampler(self.denoiser(conditions), x)).clamp(-1.0, 1.0)


class NetworkDenoiserMap(DenoiserMap):
    """A denoiser made of a network; subclasses implement ``denoise`` with ``run_network``.

    Args:
        network: put into evaluation mode on the device, in ``dtype``, without gradients of its parameters.
        dtype: "float32", "float16" or "bfloat16".
        settings: those of ``DenoiserMap``.
    """

    def __init__(self, network: nn.Module, *, dtype: str = "float32", **settings: Any) -> None:
        super().__init__(**settings)
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.network = network.to(self.device, self.dtype).eval().requires_grad_(False)

    def run_network(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """The network's output for ``x`` (batch, ...) at ``time`` (batch,), in float64.

        ``x`` and ``time`` are rounded to the network's precision, except that time never goes below float32: half
        precision cannot tell neighbouring times apart.
        """
        arguments = () if labels is None else (labels,)
        output: Tensor = self.network(x.to(self.dtype), time.float(), *arguments)
        return output.to(torch.float64)

    def class_labels(self, conditions: Sequence[Condition]) -> Tensor | None:
        """(batch,) class indices on the device; None for an unconditional map."""
        if self.num_classes is None:
            return None
        return torch.tensor([condition.class_label for condition in conditions], device=self.device)

    def one_hot_labels(self, conditions: Sequence[Condition]) -> Tensor | None:
        """(batch, num_classes) one-hot rows on the device; None for an unconditional map."""
        labels = self.class_labels(conditions)
        if labels is None or self.num_classes is None:
            return None
        return functional.one_hot(labels, self.num_classes).to(self.dtype)


class EpsDenoiserMap(NetworkDenoiserMap):
    """A network that predicts the noise of x_t = alpha * x and is told the time as ``time_scale * (t - time_shift)``.

    Args:
        network: (x_t, time[, classes]) -> eps; channels beyond those of ``x_t`` (a learned variance) are dropped.
        time_scale: e.g. 999 for the continuous models of score_sde, 1000 for discrete ones.
        time_shift: kernel time at which the network's time is 0, e.g. 1 / 1000 for discrete models.
        settings: those of ``NetworkDenoiserMap``.
    """

    def __init__(self, network: nn.Module, *, time_scale: float, time_shift: float = 0.0, **settings: Any) -> None:
        super().__init__(network, **settings)
        self.time_scale, self.time_shift = time_scale, time_shift

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        return x0_from_eps(x, sigma, self.predict_eps(x, sigma, self.class_labels(conditions)))

    def predict_eps(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        """The network's estimate of the noise in ``x``, float64; ``labels`` are the class indices, if any."""
        t = self.kernel.time(sigma)
        state = per_sample(self.kernel.alpha(t), x) * x
        return self.run_network(state, self.time_scale * (t - self.time_shift), labels)[:, : x.shape[1]]


class GuidedEpsDenoiserMap(EpsDenoiserMap):
    """Noise prediction steered by classifier-free guidance: eps = conditional + scale * (conditional - unconditional).

    Both estimates come from one call of the network on twice the batch, which counts as one evaluation in ``nfe``.

    Args:
        network: (x_t, time, classes) -> eps.
        guidance: ``scale`` above, 0 for none; repositories that write "unconditional + s * (...)" mean s - 1.
        null_class: index that stands for "no class".
        guided_channels: how many of the first channels are guided, the others being the conditional estimate; all by
            default.
        settings: those of ``EpsDenoiserMap``.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        guidance: float = 0.0,
        null_class: int | None = None,
        guided_channels: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(network, **settings)
        if guidance and (self.num_classes is None or null_class is None):
            raise UsageError(
                "guidance needs a conditional network that was also trained without its class; leave it out"
            )
        self.guidance, self.null_class, self.guided_channels = guidance, null_class, guided_channels

    def predict_eps(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        if not self.guidance or labels is None or self.null_class is None:
            return super().predict_eps(x, sigma, labels)
        both = torch.cat([labels, torch.full_like(labels, self.null_class)])
        conditional, unconditional = super().predict_eps(torch.cat([x, x]), torch.cat([sigma, sigma]), both).chunk(2)
        guided = conditional + self.guidance * (conditional - unconditional)
        count = self.guided_channels
        return guided if count is None else torch.cat([guided[:, :count], conditional[:, count:]], dim=1)


class EDMDenoiserMap(NetworkDenoiserMap):
    """A network F under EDM's preconditioning: D = c_skip x + c_out F(c_in x, time_scale * ln(sigma) / 4).

    Args:
        network: (scaled x, time[, one-hot classes]) -> F.
        sigma_data: std of the training data.
        time_scale: 1 in EDM, 1000 in OpenAI's networks.
        settings: those of ``NetworkDenoiserMap``.
    """

    def __init__(
        self, network: nn.Module, *, sigma_data: float = 0.5, time_scale: float = 1.0, **settings: Any
    ) -> None:
        super().__init__(network, **settings)
        self.sigma_data, self.time_scale = sigma_data, time_scale

    def denoise(self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition]) -> Tensor:
        c = edm_preconditioning(sigma, sigma_data=self.sigma_data)
        scaled = per_sample(c.c_in, x) * x
        output = self.run_network(scaled, self.time_scale * c.c_noise, self.one_hot_labels(conditions))
        return x0_from_F(x, sigma, output, sigma_data=self.sigma_data)


class VectorToImageMap(NoiseToImageMap):
    """One call of a network that makes an image of its noise: a GAN's generator, a VAE's decoder.

    Args:
        network: noise (batch, ...) -> image; put into evaluation mode on the device, without gradients.
        noise_shape, image_shape: of the card.
        device, dtype: where and in which precision the network runs.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        noise_shape: tuple[int, ...],
        image_shape: tuple[int, int, int],
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        self.noise_shape, self.image_shape = noise_shape, image_shape
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)
        self.network = network.to(self.device, self.dtype).eval().requires_grad_(False)

    def generate(self, noise: Tensor, conditions: Sequence[Condition]) -> Tensor:
        image: Tensor = self.network(noise.to(self.device, self.dtype))
        return image.float().clamp(-1.0, 1.0)


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], what: str, *, assign: bool = False) -> None:
    """Copy ``tensors`` into ``network``: every name and every shape must be the network's, none more, none fewer.

    Args:
        what: whose weights they are, for the message.
        assign: the tensors become the network's own, with their precision, instead of being copied.

    Raises:
        IntegrityError: they are another network's; the sentence names the first difference of each kind.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    kinds = {
        "lacks": [name for name in wanted if name not in given],
        "has besides": [name for name in given if name not in wanted],
        "has in another shape": [
            f"{name}, {given[name]} where the card's network has {wanted[name]}"
            for name in wanted
            if name in given and given[name] != wanted[name]
        ],
    }
    found = [f"it {kind} {_first(names)}" for kind, names in kinds.items() if names]
    if found:
        raise IntegrityError(
            f"the file of {what} holds the weights of another network than its card: {'; '.join(found)}"
        )
    network.load_state_dict(dict(tensors), assign=assign)


def _first(names: Sequence[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")

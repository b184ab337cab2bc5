"""Names of ``SongUNet`` and ``MultistageUNet`` weights in the checkpoints of score_sde (torch) and of ``jcm`` (Flax).

score_sde numbers its modules in the order of use (``all_modules.7.Conv_0.weight``; multistage: ``en_modules``,
``de_modules.0``). Flax numbers them by class (``ResnetBlockBigGANpp_3/Conv_0/kernel``). Both say the same network, and
every tensor is converted exactly: only axes are permuted, and the three projections of an attention interleaved.
Tensors that have the network's own names already are left as they are.

Sources: yang-song/score_sde_pytorch@cb1f359f, LucasYFL/Multistage_Diffusion@9b5df663 and
openai/consistency_models_cifar10@d086e77d, ``models/`` (Apache-2.0).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reprozoo.base.errors import IntegrityError
from reprozoo.diffusion.networks.multistage_unet import MultistageUNet
from reprozoo.diffusion.networks.song_blocks import FourierEmbedding, UNetBlock
from reprozoo.diffusion.networks.song_unet import SongUNet

Network = SongUNet | MultistageUNet

PLAIN = {"weight": "weight", "bias": "bias"}
# Kind of module -> {part in score_sde: part here}, in the order of score_sde's ``named_parameters()``.
PARTS: dict[str, dict[str, str]] = {
    "linear": PLAIN,
    "conv": PLAIN,
    "norm": PLAIN,
    "down": {"Conv2d_0.weight": "weight", "Conv2d_0.bias": "bias"},
    "block": {
        f"{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in (
            ("GroupNorm_0", "norm0"), ("Conv_0", "conv0"), ("Dense_0", "affine"),
            ("GroupNorm_1", "norm1"), ("Conv_1", "conv1"), ("Conv_2", "skip"),
        )
        for part in PLAIN
    },
    "attention": {"GroupNorm_0.weight": "norm2.weight", "GroupNorm_0.bias": "norm2.bias"}
    | {f"NIN_{i}.{part}": "" for i in range(4) for part in ("W", "b")},
    "fourier": {"W": "freqs"},
}  # fmt: skip
FLAX_CLASSES = {
    "linear": "Dense", "conv": "Conv", "norm": "GroupNorm", "down": "Downsample", "block": "ResnetBlockBigGANpp",
    "attention": "AttnBlockpp", "fourier": "GaussianFourierProjection",
}  # fmt: skip
UNUSED = ("sigmas",)  # a table of noise levels that score_sde saves and DDPM++ never reads


class _Module(NamedTuple):
    """One module of score_sde: what it is, its name there, and the layer that holds its weights here."""

    kind: str
    name: str
    target: str

    def parts(self, network: Network) -> dict[str, str]:
        """{full name in score_sde: full name here, "" where several tensors become one}."""
        has_skip = self.kind != "block" or network.get_submodule(self.target).skip is not None
        return {
            f"{self.name}.{theirs}": ours and f"{self.target}.{ours}"
            for theirs, ours in PARTS[self.kind].items()
            if has_skip or not theirs.startswith("Conv_2")
        }


def score_sde_parameters(network: Network) -> list[str]:
    """Names of score_sde's trained parameters in order: that of its moving average, which has no names.

    The frequencies of a Fourier embedding are no trained parameter there.
    """
    return [name for module in _modules(network) if module.kind != "fourier" for name in module.parts(network)]


def from_score_sde(network: Network, tensors: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """The state dict of ``network`` from tensors with score_sde's names.

    Raises:
        IntegrityError: a tensor is missing, or there is one that the network has no place for.
    """
    if _is_native(tensors):
        return dict(tensors)
    rest = {name: tensor for name, tensor in tensors.items() if name not in UNUSED}
    state = {name: tensor for name, tensor in network.state_dict().items() if name.endswith("resample_filter")}
    for module in _modules(network):
        parts = module.parts(network)
        found = {name: _take(rest, name, what) for name in parts}
        state |= {ours: found[theirs] for theirs, ours in parts.items() if ours}
        if module.kind == "attention":
            state |= _projections(module, found, what)
    if rest:
        raise IntegrityError(f"{what} holds {next(iter(rest))}, for which its card's network has no place")
    return state


def from_flax(network: SongUNet, arrays: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """The state dict of ``network`` from the parameters of ``jcm``'s NCSN++, named "Module_0/Layer_0/kernel".

    Raises:
        IntegrityError: as ``from_score_sde``.
    """
    if _is_native(arrays):
        return dict(arrays)
    rest, tensors = dict(arrays), {}
    seen: Counter[str] = Counter()
    for module in _modules(network):
        name = f"{FLAX_CLASSES[module.kind]}_{seen[module.kind]}"
        seen[module.kind] += 1
        for theirs in module.parts(network):
            part = theirs.removeprefix(f"{module.name}.")
            tensors[theirs] = _from_flax_layout(rest, f"{name}/{part.replace('.', '/')}", what)
    if rest:
        raise IntegrityError(f"{what} holds {next(iter(rest))}, for which its card's network has no place")
    return from_score_sde(network, tensors, what)


def _is_native(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the names are the network's own, as files of EDM and of this project have them."""
    return "map_layer0.weight" in tensors


def _modules(network: Network) -> Iterator[_Module]:
    """score_sde's modules in the order of use."""
    ways = {"all_modules": _on_the_way_down(network)}
    if isinstance(network, MultistageUNet):
        if network.mid is None:
            raise ValueError("score_sde's multistage network has shared_middle=True.")
        ways = {"en_modules": [*ways["all_modules"], *_of_layers("mid", network.mid)]}
        ways |= {f"de_modules.{i}": list(_of_layers(f"decs.{i}", dec)) for i, dec in enumerate(network.decs)}  # type: ignore[arg-type]
    else:
        ways["all_modules"] += _of_layers("dec", network.dec)
    for way, modules in ways.items():
        for index, (kind, target) in enumerate(modules):
            yield _Module(kind, f"{way}.{index}", target)


def _on_the_way_down(network: Network) -> list[tuple[str, str]]:
    fourier = [("fourier", "map_noise")] if isinstance(network.map_noise, FourierEmbedding) else []
    return [*fourier, ("linear", "map_layer0"), ("linear", "map_layer1"), *_of_layers("enc", network.enc)]


def _of_layers(prefix: str, layers: nn.ModuleDict) -> Iterator[tuple[str, str]]:
    for name, layer in layers.items():
        target = f"{prefix}.{name}"
        if isinstance(layer, UNetBlock):
            yield "block", target
            if layer.norm2 is not None:
                yield "attention", target
        elif name.endswith("aux_residual"):
            yield "down", target
        elif name.endswith("aux_norm"):
            yield "norm", target
        elif name.endswith("conv"):
            yield "conv", target
        else:
            raise ValueError(f"score_sde's names of {name} layers are not known here.")


def _projections(module: _Module, found: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Query, key and value interleaved per channel, and the projection behind them, as 1x1 convolutions."""
    weights = [found[f"{module.name}.NIN_{i}.W"] for i in range(4)]
    biases = [found[f"{module.name}.NIN_{i}.b"] for i in range(4)]
    if len({weight.shape for weight in weights}) > 1 or len({bias.shape for bias in biases}) > 1:
        raise IntegrityError(f"{what}: the projections of {module.name} have different shapes")
    return {
        f"{module.target}.qkv.weight": torch.stack([w.T for w in weights[:3]], 1).flatten(0, 1)[:, :, None, None],
        f"{module.target}.qkv.bias": torch.stack(biases[:3], 1).flatten(),
        f"{module.target}.proj.weight": weights[3].T[:, :, None, None],
        f"{module.target}.proj.bias": biases[3],
    }


def _from_flax_layout(arrays: dict[str, Tensor], name: str, what: str) -> Tensor:
    """Take the array that torch would call ``name``: kernels are (..., in, out) and scales are called so."""
    path, _, leaf = name.rpartition("/")
    called = next((f"{path}/{other}" for other in (leaf, "kernel", "scale") if f"{path}/{other}" in arrays), name)
    array = _take(arrays, called, what)
    if leaf != "weight" or array.ndim == 1:
        return array
    return array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T


def _take(tensors: dict[str, Tensor], name: str, what: str) -> Tensor:
    if name not in tensors:
        raise IntegrityError(f"{what} lacks {name}, which its card's network needs")
    return tensors.pop(name)

"""The parts of a pipeline, each made of an explicit class and filled with tensors; no code of a repository is run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from reprozoo_plugins.diffusers_pipelines.classes import LEFT_OUT, PipelineClass
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from reprozoo import IntegrityError, LoadContext, ReprozooError, UsageError, load_weights
from reprozoo.zoo.weights import DiffusersFolder, read_folder, read_tensors

FLOATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


# What diffusers' one class of transformers was split into; older repositories still name it.
LEGACY = {"ada_norm_zero": "DiTTransformer2DModel", "ada_norm_single": "PixArtTransformer2DModel"}


class _WithoutInitialisation(TorchFunctionMode):
    """Networks made under it are not filled with random numbers, which takes longer than reading their weights."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def load_components(context: LoadContext, kind: PipelineClass) -> dict[str, Any]:
    """Every component of the pipeline by name, and its scheduler; on the CPU, in the precision of the context.

    Raises:
        IntegrityError: a component does not fit its configuration.
        UnavailableError: a file is missing.
    """
    folder = read_folder(context.files["weights"])
    variant = str(context.card.network.get("variant", ""))
    loaded: dict[str, Any] = {}
    with quiet_libraries():
        for name in kind.components:
            if name in folder.components:
                with _explained(name, context.card.id):
                    loaded[name] = _component(context, folder, name, variant)
        with _explained("scheduler", context.card.id):
            loaded["scheduler"] = _class("diffusers", folder.components["scheduler"][1]).from_config(
                folder.config("scheduler")
            )
    return loaded


def pipeline_object(kind: PipelineClass, components: Mapping[str, Any]) -> Any:
    """diffusers' pipeline around the components: it encodes prompts, and corrects outdated schedulers.

    Raises:
        IntegrityError: the components do not fit together.
    """
    import diffusers

    extra: dict[str, Any] = {}
    if kind.name == "StableDiffusionPipeline":
        extra = {**dict.fromkeys(LEFT_OUT), "requires_safety_checker": False}
    elif kind.name == "StableDiffusionXLPipeline":
        extra = {"add_watermarker": False}
    given = {**dict.fromkeys(kind.optional), **components, **extra}
    with quiet_libraries(), _explained("components", kind.name):
        return getattr(diffusers, kind.name)(**given)


def _component(context: LoadContext, folder: DiffusersFolder, name: str, variant: str) -> Any:
    library, class_name = folder.components[name]
    if name in context.files:
        return _replacement(context, folder, name, class_name)
    if library == "diffusers":
        chosen = variant if folder.has_weights(name, variant) else ""
        what = f"the {name} of {context.card.id}"
        return _network(class_name, folder, name, chosen, what, FLOATS[context.dtype])
    cls = _class(library, class_name)
    if name.startswith("tokenizer"):
        return cls.from_pretrained(folder.path / name, local_files_only=True)
    return _text_encoder(cls, folder, name, variant, context)  # also latent diffusion's BERT, one of transformers' kind


def _replacement(context: LoadContext, folder: DiffusersFolder, name: str, class_name: str) -> Any:
    """The component out of another file or folder; a file without a configuration has that of the one it replaces."""
    path = Path(context.files[name])
    what = f"the {name} given in the place of that of {context.card.id}"
    source = next((source for source in context.card.weights if source.name == name), None)
    if source is not None:
        path = path / Path(source.files[0]).parent  # type: ignore[attr-defined]  # a Hub source: the others are paths
    dtype = FLOATS[context.dtype]
    if path.is_file():
        tensors = read_tensors(path, format="safetensors")
        network, convert = _empty_network(class_name, folder.config(name), dtype)
        return _filled(network, {key: convert(key, tensor) for key, tensor in tensors.items()}, what, dtype)
    other = read_folder(path)
    part = name if name in other.components else ""
    variant = next((v for v in ("", "fp16") if other.has_weights(part, v)), "")
    class_name = other.components[part][1] if part else other.class_name
    if class_name != folder.components[name][1]:
        raise UsageError(f"{what} is a {class_name}, and it needs a {folder.components[name][1]}")
    return _network(class_name, other, part, variant, what, dtype)


def _network(
    class_name: str, folder: DiffusersFolder, name: str, variant: str, what: str, dtype: torch.dtype
) -> nn.Module:
    """A network of diffusers, strictly filled; its memory is that of its weights, once."""
    network, convert = _empty_network(class_name, folder.config(name), dtype)
    return _filled(network, folder.tensors(name, variant=variant, convert=convert), what, dtype)


def _empty_network(
    class_name: str, config: Mapping[str, Any], dtype: torch.dtype
) -> tuple[nn.Module, Callable[[str, Tensor], Tensor]]:
    """A network that is not initialised, and what its weights go through: some layers stay in float32."""
    if class_name == "Transformer2DModel":
        class_name = LEGACY.get(str(config.get("norm_type")), class_name)
    cls = _class("diffusers", class_name)
    exact = frozenset(getattr(cls, "_keep_in_fp32_modules", None) or ())

    def convert(name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(torch.float32 if exact.intersection(name.split(".")) else dtype)

    with _WithoutInitialisation():
        return cls.from_config(dict(config)), convert


def _filled(network: nn.Module, tensors: Mapping[str, Tensor], what: str, dtype: torch.dtype) -> nn.Module:
    from reprozoo.diffusion.networks.autoencoder import with_current_names

    load_weights(network, with_current_names(tensors), what, assign=True)
    for buffer in network.buffers():
        if buffer.is_floating_point() and buffer.dtype != dtype:
            buffer.data = buffer.to(dtype)
    return network.eval().requires_grad_(False)


def _text_encoder(cls: Any, folder: DiffusersFolder, name: str, variant: str, context: LoadContext) -> Any:
    """A model of transformers, which knows the old names of its tensors; none may be missing."""
    import transformers

    precision = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    chosen = variant if folder.has_weights(name, variant) else ""
    folder.config(name)  # refuses a configuration that asks for code
    model, report = cls.from_pretrained(
        folder.path / name, use_safetensors=True, variant=chosen or None, local_files_only=True,
        output_loading_info=True, **{precision: FLOATS[context.dtype]},
    )  # fmt: skip
    if missing := sorted(report["missing_keys"]):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise IntegrityError(f"the {name} of {context.card.id} lacks {missing[0]}{more}; it is not complete")
    return model.eval().requires_grad_(False)


def _class(library: str, name: str) -> Any:
    """A class of diffusers or transformers by its name, which the table of classes allows."""
    if library == "transformers":
        import transformers

        return getattr(transformers, name)
    import diffusers

    if library == "latent_diffusion":
        from diffusers.pipelines import latent_diffusion

        return getattr(latent_diffusion, name, None) or getattr(latent_diffusion.pipeline_latent_diffusion, name)
    return getattr(diffusers, name)


@contextmanager
def _explained(name: str, whose: str) -> Iterator[None]:
    """What a library says of a component that does not fit, as a sentence with the component's name."""
    try:
        yield
    except ReprozooError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())[:400]
        raise IntegrityError(
            f"the {name} of {whose} cannot be loaded: {type(error).__name__}: {reason}. It is damaged, or not of the "
            "kind that its repository says"
        ) from error


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Without the progress bars and remarks of diffusers and transformers; their settings are put back."""
    import diffusers.utils.logging
    import transformers.utils.logging

    diffusers_logging: Any = diffusers.utils.logging
    transformers_logging: Any = transformers.utils.logging
    levels = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    diffusers_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        diffusers_logging.set_verbosity(levels[0])
        transformers_logging.set_verbosity(levels[1])
        if bars:
            transformers_logging.enable_progress_bar()


def header_of(path: Path) -> dict[str, Any]:
    """The notes in the head of a safetensors file; JSON values are taken apart."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        notes = file.metadata() or {}
    found: dict[str, Any] = {}
    for name, text in notes.items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found

"""Diffusers folders as data: what ``model_index.json`` names, each component's configuration and tensors.

Nothing is instantiated here: a family makes a component of an explicit class from ``config`` and fills it with
``tensors``. Folders that ask for code of their own (custom pipelines, ``auto_map``) are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprozoo.base.errors import IntegrityError, UnavailableError, UsageError
from reprozoo.zoo.weights.checkpoint import check_file_size, check_tensors
from reprozoo.zoo.weights.state_dicts import Convert, read_plain

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "model_index.json"
CONFIGS = ("config.json", "scheduler_config.json", "preprocessor_config.json", "tokenizer_config.json")
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")  # of diffusers, of transformers, of old transformers
SUFFIXES = (".safetensors", ".bin")
# Where a pipeline's classes may come from: two libraries, and the packages of pipelines inside diffusers.
LIBRARIES = ("diffusers", "transformers", "stable_diffusion", "stable_diffusion_xl", "latent_diffusion")
MAX_CONFIG_BYTES = 4 << 20


@dataclass(frozen=True)
class DiffusersFolder:
    """A pipeline's folder, or that of a single model, read as data.

    Attributes:
        path: the folder.
        class_name: of the pipeline, or of the single model.
        components: name -> (library, class); "" is the folder itself where it is a single model.
    """

    path: Path
    class_name: str
    components: Mapping[str, tuple[str, str]]

    def config(self, component: str = "") -> dict[str, Any]:
        """The component's configuration, without what diffusers and transformers note about themselves."""
        folder = self._folder(component)
        for name in ("scheduler_config.json",) if component == "scheduler" else CONFIGS:
            if (folder / name).is_file():
                return {key: value for key, value in _json(folder / name).items() if not key.startswith("_")}
        raise UnavailableError(f"{folder} has none of {', '.join(CONFIGS)}; the folder is not complete")

    def tensors(self, component: str = "", *, variant: str = "", convert: Convert | None = None) -> dict[str, Tensor]:
        """The component's state dict.

        Args:
            component: its name.
            variant: e.g. "fp16"; only files of this variant are looked at.
            convert: (name, tensor) -> tensor, applied to each as it is read.

        Raises:
            UnavailableError: no file of weights of this variant is there.
            IntegrityError: one is damaged or holds more than tensors.
        """
        tensors: dict[str, Tensor] = {}
        for file in self.weights_of(component, variant=variant):
            tensors |= read_plain(file, convert=convert)
        check_tensors(self.path, tensors)
        return tensors

    def weights_of(self, component: str = "", *, variant: str = "") -> list[Path]:
        """The files of the component's weights in one variant, as ``tensors`` reads them.

        Raises:
            UnavailableError: there are none, or a part is missing.
        """
        return self._weights(self._folder(component), f".{variant}" if variant else "")

    def has_weights(self, component: str = "", variant: str = "") -> bool:
        """Whether the component has weights of a variant."""
        try:
            return bool(self.weights_of(component, variant=variant))
        except UnavailableError:
            return False

    def _folder(self, component: str) -> Path:
        if component not in self.components:
            known = ", ".join(name or "(the folder itself)" for name in self.components)
            raise UsageError(f"{self.path} has no component {component!r}; it has: {known}")
        own = self.path / component
        return own if own.is_dir() else self.path  # a pipeline of a single model has everything at its root

    def _weights(self, folder: Path, variant: str) -> list[Path]:
        for suffix in SUFFIXES:
            for stem in STEMS:
                if (file := folder / f"{stem}{variant}{suffix}").is_file():
                    return [file]
                for index in (f"{stem}{suffix}.index{variant}.json", f"{stem}{variant}{suffix}.index.json"):
                    if (folder / index).is_file():
                        return _shards(folder, _json(folder / index))
        what = f"of the variant {variant[1:]}" if variant else "without a variant"
        raise UnavailableError(f"{folder} holds no weights {what}; the folder is not complete")


def read_folder(path: Path) -> DiffusersFolder:
    """A diffusers folder, looked through.

    Raises:
        UsageError: it is none.
        IntegrityError: it wants code of its own to be run.
    """
    if (path / INDEX).is_file():
        index = _json(path / INDEX)
        name = index.get("_class_name")
        if not isinstance(name, str):
            raise _wants_code(path / INDEX, name)
        return DiffusersFolder(path, name, _components(path, index))
    if (path / "config.json").is_file():
        name = str(_json(path / "config.json").get("_class_name", "unknown"))
        return DiffusersFolder(path, name, {"": ("diffusers", name)})
    raise UsageError(f"{path} is no diffusers folder: it has neither {INDEX} nor config.json")


def _components(path: Path, index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    found = {}
    for name, value in index.items():
        if name.startswith("_") or not isinstance(value, list):
            continue  # settings of the pipeline
        if value == [None, None]:
            continue  # a component that is left out
        plain = len(value) == 2 and all(isinstance(part, str) for part in value)
        if not plain or value[0] not in LIBRARIES or Path(name).name != name:
            raise _wants_code(path / INDEX, value)
        found[name] = (value[0], value[1])
    return found


def _wants_code(path: Path, found: Any) -> IntegrityError:
    return IntegrityError(
        f"{path} asks for code that comes with the repository ({found}); it was not executed. Use a pipeline made of "
        "diffusers' and transformers' own classes"
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise IntegrityError(f"{path} is larger than any configuration")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not JSON: {error}; fetch it again") from error
    if not isinstance(value, dict):
        raise IntegrityError(f"{path} is not a configuration but a {type(value).__name__}")
    if "auto_map" in value or "custom_pipeline" in value:
        raise _wants_code(path, value.get("auto_map") or value.get("custom_pipeline"))
    return value


def _shards(folder: Path, index: Mapping[str, Any]) -> list[Path]:
    mapped = index.get("weight_map")
    names = sorted(set(mapped.values())) if isinstance(mapped, dict) else []
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise IntegrityError(f"{folder} has an index of shards that names no files beside it")
    for name in names:
        if not (folder / name).is_file():
            raise UnavailableError(f"{folder / name}, a part of the weights, is missing; the folder is not complete")
        check_file_size(folder / name)
    return [folder / name for name in names]

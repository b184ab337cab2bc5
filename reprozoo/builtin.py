"""What comes with reprozoo itself, through the hooks that strangers use: strings and options, no framework."""

from __future__ import annotations

from collections.abc import Callable

from reprozoo import hookimpl
from reprozoo.diffusion.sampler_specs import BUILT_IN, SamplerSpec
from reprozoo.zoo.plugins import DescriptorSpec

HERE = "reprozoo.measures.descriptors"


@hookimpl
def reprozoo_register_samplers(register: Callable[[SamplerSpec], None]) -> None:
    for spec in BUILT_IN.values():
        register(spec)


@hookimpl
def reprozoo_register_descriptors(register: Callable[[DescriptorSpec], None]) -> None:
    register(DescriptorSpec("sscd", "SSCD copy detection, 8-bit ONNX, quick on a CPU", f"{HERE}.sscd:load"))
    register(DescriptorSpec("pixels", "raw pixels at 32×32, nothing to fetch", f"{HERE}.pixels:load"))

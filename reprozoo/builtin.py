"""What comes with reprozoo itself, through the hooks that strangers use: strings and options, no framework."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reprozoo import hookimpl
from reprozoo.diffusion.sampler_specs import BUILT_IN, SamplerSpec
from reprozoo.zoo.plugins import DescriptorSpec, MeasureSpec

DESCRIPTORS = "reprozoo.measures.descriptors"
MEASURES = "reprozoo.measures.library"


@hookimpl
def reprozoo_register_samplers(register: Callable[[SamplerSpec], None]) -> None:
    for spec in BUILT_IN.values():
        register(spec)


@hookimpl
def reprozoo_register_descriptors(register: Callable[[DescriptorSpec], None]) -> None:
    register(DescriptorSpec("sscd", "SSCD copy detection, 8-bit ONNX, quick on a CPU", f"{DESCRIPTORS}.sscd:load"))
    register(DescriptorSpec("pixels", "raw pixels at 32×32, nothing to fetch", f"{DESCRIPTORS}.pixels:load"))


@hookimpl
def reprozoo_register_measures(register: Callable[[MeasureSpec], None]) -> None:
    for spec in measure_specs():
        register(spec)


def measure_specs() -> Iterator[MeasureSpec]:
    """Those of ``measures.library``, as its files state them.

    The files are read, not imported: hooks run on every command, and importing NumPy takes a fifth of a second.
    """
    for file in sorted((Path(__file__).parent / "measures" / "library").glob("[!_]*.py")):
        for found in ast.parse(file.read_text(encoding="utf-8")).body:
            stated = _constants(found) if isinstance(found, ast.ClassDef) else {}
            if isinstance(found, ast.ClassDef) and {"name", "meaning"} <= set(stated):
                load = f"{MEASURES}.{file.stem}:{found.name}"
                yield MeasureSpec(stated["name"], stated["meaning"], load, stated.get("usual", False))


def _constants(found: ast.ClassDef) -> dict[str, Any]:
    """The plain values that the body of a class assigns."""
    return {
        target.id: statement.value.value
        for statement in found.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }

"""Images made by another program from exported noise, as a map: ``samples:PATH``.

A map is a function of noise, and so is this one: every image carries the index of its noise, the noise of that index is
drawn again, and an image is handed out only for exactly that noise. So images can never be paired by file order alone,
nor compared under another seed.
"""

from collections.abc import Callable

from reprozoo import Family, Option, hookimpl


@hookimpl
def reprozoo_register_families(register: Callable[[Family], None]) -> None:
    register(
        Family(
            name="samples",
            summary="images made elsewhere from exported noise: samples:PATH (folder, .zip, .npz or .safetensors)",
            load="reprozoo_plugins.samples.adapter:load",
            schemes={"samples": "reprozoo_plugins.samples.cards:card"},
            options={
                "path": Option("file", "folder, zip or file of images; set by samples:PATH"),
                "seed": Option(int, "seed of the noise the images were made from", 0),
                "noise": Option("file", "the exported noise file, where it was not drawn from a seed"),
                "noise_shape": Option(str, "shape of the noise, e.g. 4x64x64; the images' shape by default"),
            },
        )
    )

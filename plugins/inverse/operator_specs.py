"""The operators that come with the plugin, in words; their code is imported when one is made."""

from __future__ import annotations

from reprozoo import OperatorSpec, Option

OPERATORS = (
    OperatorSpec(
        "inpaint",
        "a square in the centre is hidden: inpaint-16, inpaint-25",
        "reprozoo_plugins.inverse.masks:centre_box",
        {"width": Option(int, "of the square, in pixels", 16)},
        number="width",
    ),
    OperatorSpec(
        "mask",
        "an image says what is seen (white) and what is hidden (black)",
        "reprozoo_plugins.inverse.masks:mask_of_file",
        {"file": Option("file", "the image")},
    ),
    OperatorSpec(
        "random-mask",
        "only some pixels are seen, chosen by a seed",
        "reprozoo_plugins.inverse.masks:random_mask",
        {
            "keep": Option(float, "share of the pixels that is seen", 0.3),
            "seed": Option(int, "which of them", 0),
        },
    ),
    OperatorSpec(
        "super-resolution",
        "the image is reduced: super-resolution-4",
        "reprozoo_plugins.inverse.separable:SuperResolution",
        {
            "factor": Option(int, "by how much", 4),
            "kernel": Option(str, "means of blocks, or bicubic", "average", ("average", "bicubic")),
        },
        number="factor",
    ),
    OperatorSpec(
        "gaussian-blur",
        "the image is blurred by a Gaussian",
        "reprozoo_plugins.inverse.separable:GaussianBlur",
        {"std": Option(float, "of the Gaussian, in pixels", 1.0)},
    ),
    OperatorSpec(
        "motion-blur",
        "the image is blurred along a line",
        "reprozoo_plugins.inverse.motion:MotionBlur",
        {
            "length": Option(float, "of the line, in pixels", 7.0),
            "angle": Option(float, "of the line, in degrees, counter-clockwise from the right", 45.0),
        },
    ),
    OperatorSpec("grayscale", "the colours are gone", "reprozoo_plugins.inverse.colour:Grayscale"),
)

"""Descriptors: uint8 images to unit vectors whose inner product says how alike two images are.

A descriptor resizes by itself, with a pinned algorithm: bilinear against bicubic alone moves a similarity by 0.12. Its
``identity`` names everything that can change a feature, and its id is part of the name of every score.
"""

from reprozoo.measures.descriptors.base import Descriptor, DescriptorContext, Mirrored
from reprozoo.measures.descriptors.loading import descriptor_names, load_descriptor

__all__ = ["Descriptor", "DescriptorContext", "Mirrored", "descriptor_names", "load_descriptor"]

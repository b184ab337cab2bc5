"""Data sets: images as pixels, from a card, a plugin, or a folder or file of one's own.

``load_dataset`` promises uint8 images of one size, in an order that does not depend on the machine, and a digest of
exactly these pixels. A data set that a card names has the digest that the card says, whichever source it came from.
"""

from reprozoo.zoo.datasets.arrays import ImageDataset, image_indices
from reprozoo.zoo.datasets.files import read_images
from reprozoo.zoo.datasets.named import dataset_digest, dataset_giver, load_dataset, pull_dataset

__all__ = [
    "ImageDataset",
    "dataset_digest",
    "dataset_giver",
    "image_indices",
    "load_dataset",
    "pull_dataset",
    "read_images",
]

"""The engine: noise → map → store → descriptor → metrics → result.

Each model is sampled once, shard by shard into the store, and images stream from there; what is held in memory is one
feature vector per image and a few numbers per noise and pair. Nothing is printed: progress goes to a callback.
"""

from reprozoo.engine.comparing import compare
from reprozoo.engine.folders import score
from reprozoo.engine.generalizing import generalize
from reprozoo.engine.progress import Progress, ProgressEvent
from reprozoo.engine.setup import default_batch_size

__all__ = ["Progress", "ProgressEvent", "compare", "default_batch_size", "generalize", "score"]

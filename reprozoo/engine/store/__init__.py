"""The store: arrays under keys that name everything that can change them.

An entry is one array too long to make at once (a model's images, a descriptor's features), kept as shards of
consecutive rows, each a safetensors file beside a manifest with its sha256. The key of an entry is the sha256 of the
canonical JSON of its document; the document is kept too. The store promises:

* a shard is there wholly or not at all, after ``kill -9`` and on a full disk too;
* a damaged shard is noticed whenever it is used, never returned;
* what is there is never made again, and one shard has one writer at a time, also among processes that share the store.
"""

from reprozoo.engine.store.entry import Entry, Shard
from reprozoo.engine.store.lease import Lease
from reprozoo.engine.store.rows import SHARD_ROWS, runs_of
from reprozoo.engine.store.store import EntryInfo, Problem, Pruned, Store

__all__ = ["SHARD_ROWS", "Entry", "EntryInfo", "Lease", "Problem", "Pruned", "Shard", "Store", "runs_of"]

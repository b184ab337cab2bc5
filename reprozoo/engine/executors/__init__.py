"""Executors: who makes the shards. The store is the only thing they share, so an executor only moves work."""

from reprozoo.engine.executors.base import Executor, Recipe, ShardDone, ShardTask
from reprozoo.engine.executors.local import LocalExecutor

__all__ = ["Executor", "LocalExecutor", "Recipe", "ShardDone", "ShardTask"]

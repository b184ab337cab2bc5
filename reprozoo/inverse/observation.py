"""Moved to ``reprozoo.diffusion.observations``; goes when the engine no longer asks for it here."""

from reprozoo.diffusion.observations import Observation, ObservedBatch, observations_of

__all__ = ["Observation", "ObservedBatch", "observations_of"]

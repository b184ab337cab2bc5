"""Moved to ``reprozoo.diffusion.observations``; goes when the engine no longer asks for it here."""

from reprozoo.diffusion.observations import LinearOperator, MeasurementShape, Shape

__all__ = ["LinearOperator", "MeasurementShape", "Shape"]

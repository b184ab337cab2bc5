"""Inverse problems: an image is known through a linear measurement, and denoisers are asked for images that fit it.

``make_operator("inpaint-16", shape)`` is what was measured, ``observe("photo.png", operator)`` who observes what for
each noise, and ``SolvingZoo`` turns every model into a map from noise and observation to image. A solver is a plugin's:
it gets a ``DenoiserMap`` and sees ``Observation`` in the conditions of its samples.
"""

from reprozoo.inverse.catalogue import make_operator, operator_giver, operators
from reprozoo.inverse.observation import Observation, ObservedBatch, observations_of
from reprozoo.inverse.operators import LinearOperator
from reprozoo.inverse.solvers import DEFAULT_SOLVER, SolverRecipe, SolvingZoo, make_solver
from reprozoo.inverse.sources import Observations, observe

__all__ = [
    "DEFAULT_SOLVER",
    "LinearOperator",
    "Observation",
    "Observations",
    "ObservedBatch",
    "SolverRecipe",
    "SolvingZoo",
    "make_operator",
    "make_solver",
    "observations_of",
    "observe",
    "operator_giver",
    "operators",
]

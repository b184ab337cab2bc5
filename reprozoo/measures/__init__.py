"""Scores: tensors in, numbers out.

A score that counts is strict at its threshold (a similarity of exactly 0.6 is not a copy), and every tensor that a
score reads is checked first: what would give a wrong number gives a ContractError.
"""

from reprozoo.measures.baselines import partners, shuffle_shifts
from reprozoo.measures.memorization import PixelNeighbours, memorization_ratio, memorized, pixel_neighbours
from reprozoo.measures.pairs import mae_score, mean_absolute_errors, pfd, rp_score, similarities
from reprozoo.measures.reconstruction import data_misfits, psnr
from reprozoo.measures.search import Neighbours, gl_score, nearest
from reprozoo.measures.statistics import Discordance, Interval, mcnemar, wilson_interval
from reprozoo.measures.thresholds import (
    above,
    below,
    count_near_threshold,
    share_above,
    share_below,
    similarity_quantiles,
    threshold_curve,
)

__all__ = [
    "Discordance",
    "Interval",
    "Neighbours",
    "PixelNeighbours",
    "above",
    "below",
    "count_near_threshold",
    "data_misfits",
    "gl_score",
    "mae_score",
    "mcnemar",
    "mean_absolute_errors",
    "memorization_ratio",
    "memorized",
    "nearest",
    "partners",
    "pfd",
    "pixel_neighbours",
    "psnr",
    "rp_score",
    "share_above",
    "share_below",
    "shuffle_shifts",
    "similarities",
    "similarity_quantiles",
    "threshold_curve",
    "wilson_interval",
]

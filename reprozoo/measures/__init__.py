"""Measures: what is computed of two sets of images, how values become scores, and how sure those are.

One measure a file in ``library``; ``base`` is their contract, ``summaries`` turns values into scores.
"""

"""Kernels, samplers, denoisers, and the networks that families share."""

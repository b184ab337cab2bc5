"""Errors, files, places and devices: nothing of the field."""

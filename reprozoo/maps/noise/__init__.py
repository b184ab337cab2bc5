"""The noise: drawn by the core, never by a plugin, and the same wherever it is drawn."""

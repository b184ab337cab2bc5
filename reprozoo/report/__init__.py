"""From a ``Comparison`` to what people and programs read: terminal tables, JSON, CSV and a one-file HTML page."""

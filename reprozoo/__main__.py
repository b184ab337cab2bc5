"""``python -m reprozoo``."""

from reprozoo.cli import main

main()

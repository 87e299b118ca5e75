"""``python -m cmvsim``."""

from cmvsim.cli import main

main()

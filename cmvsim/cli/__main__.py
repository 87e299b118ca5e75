"""``python -m cmvsim.cli``."""

from cmvsim.cli import main

main()

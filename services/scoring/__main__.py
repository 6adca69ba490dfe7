"""`python -m services.scoring <role>`; see shared/command_line.py."""

import sys

from services.scoring.definition import SCORING
from shared.command_line import main

if __name__ == "__main__":
    sys.exit(main(SCORING))

"""`python -m services.scoring <role>`; see shared/roles.py."""

import sys

from services.scoring.definition import SCORING
from shared.roles import main

if __name__ == "__main__":
    sys.exit(main(SCORING))

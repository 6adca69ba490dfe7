"""`python -m services.membership <role>`; see shared/command_line.py."""

import sys

from services.membership.definition import MEMBERSHIP
from shared.command_line import main

if __name__ == "__main__":
    sys.exit(main(MEMBERSHIP))

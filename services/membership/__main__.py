"""`python -m services.membership <role>`; see shared/roles.py."""

import sys

from services.membership.definition import MEMBERSHIP
from shared.roles import main

if __name__ == "__main__":
    sys.exit(main(MEMBERSHIP))

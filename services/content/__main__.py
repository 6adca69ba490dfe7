"""`python -m services.content <role>`; see shared/roles.py."""

import sys

from services.content.definition import CONTENT
from shared.roles import main

if __name__ == "__main__":
    sys.exit(main(CONTENT))

"""`python -m services.content <role>`; see shared/command_line.py."""

import sys

from services.content.definition import CONTENT
from shared.command_line import main

if __name__ == "__main__":
    sys.exit(main(CONTENT))

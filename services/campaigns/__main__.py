"""`python -m services.campaigns <role>`; see shared/command_line.py."""

import sys

from services.campaigns.definition import CAMPAIGNS
from shared.command_line import main

if __name__ == "__main__":
    sys.exit(main(CAMPAIGNS))

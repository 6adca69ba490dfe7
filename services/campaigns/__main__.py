"""`python -m services.campaigns <role>`; see shared/roles.py."""

import sys

from services.campaigns.definition import CAMPAIGNS
from shared.roles import main

if __name__ == "__main__":
    sys.exit(main(CAMPAIGNS))

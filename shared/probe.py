"""`python -m shared.probe content readyz`: ask a role of a service in this container how it is; exit code 0 if well."""

import os
import sys
import urllib.request

TIMEOUT_SECONDS = 2


def main(arguments: list[str]) -> int:
    """Ask `/<service>/<probe>` on the port of the settings."""
    service, probe = arguments
    url = f"http://127.0.0.1:{os.environ.get('QUNLI_PORT', '8400')}/{service}/{probe}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):
            return 0
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

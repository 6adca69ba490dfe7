"""Load files that others wrote into the running system, over its public API: `make import`.

A Stack Exchange dump (`DUMP=`) or the purchases of CDNOW (`CDNOW=`). Every request has a key made from the ids of the
source, and keys of imports never expire: a second run changes nothing, and one that was interrupted goes on.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from deploy.local.client import Failed, open_http, reach, running_url
from deploy.local.importing import cdnow, forum, sales, stackexchange
from deploy.local.importing.cdnow import FileRefused
from deploy.local.importing.loading import IN_FLIGHT, Loading
from deploy.local.importing.stackexchange import Dump, DumpRefused
from deploy.local.processes import heed_interrupts

_USAGE = (
    "Name what to load: make import DUMP=<folder or Posts.xml>, or make import CDNOW=<file>, and [COMMUNITY=<name>]"
)


def main(arguments: list[str] | None = None) -> int:
    """Import, print the report, return the exit code."""
    options = _parser().parse_args(arguments)
    heed_interrupts()
    if bool(options.dump) == bool(options.cdnow):
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        url = running_url(options.url)
        print(_load_sales(options, url) if options.cdnow else _load_dump(options, url))
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where this one stopped.", file=sys.stderr)
        return 130
    except (Failed, DumpRefused, FileRefused) as error:
        print(f"make import: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make import", description="Load a Stack Exchange dump, or CDNOW's purchases."
    )
    parser.add_argument("--dump", default=os.environ.get("DUMP"), help="folder with Posts.xml, or that file")
    parser.add_argument("--cdnow", default=os.environ.get("CDNOW"), help="the file CDNOW_sample.txt")
    parser.add_argument(
        "--community", default=os.environ.get("COMMUNITY"), help="name; by default the site's, or CDNOW"
    )
    parser.add_argument("--site", help="names the site in person ids; by default from the dump's folder")
    parser.add_argument("--zone", default="UTC", help="time zone in which the days of a dump's community are counted")
    parser.add_argument("--url", help="of the running system; by default the one that `make run` started here")
    return parser


def _load_dump(options: argparse.Namespace, url: str) -> str:
    """Load a dump; the report."""
    dump = Dump.at(Path(options.dump), options.site)
    print(f"Reading {dump.posts.parent} …", flush=True)
    found = stackexchange.survey(dump)
    if not found.authors:
        raise DumpRefused(f"{dump.posts} holds no post that could be imported.")
    name = options.community or dump.site
    loading = asyncio.run(_connected(url, lambda http: forum.load(http, dump, found, name=name, zone=options.zone)))
    return forum.describe(loading, found, url)


def _load_sales(options: argparse.Namespace, url: str) -> str:
    """Load purchases; the report."""
    file = Path(options.cdnow)
    print(f"Reading {file} …", flush=True)
    found = cdnow.survey(file)
    if not found.customers:
        raise FileRefused(f"{file} holds no purchase.")
    name = options.community or "CDNOW"
    loading = asyncio.run(_connected(url, lambda http: sales.load(http, file, found, name=name)))
    return sales.describe(loading, found, url)


async def _connected(url: str, load: Callable[[httpx.AsyncClient], Awaitable[Loading]]) -> Loading:
    async with open_http(url, connections=IN_FLIGHT) as http:
        await reach(http)
        return await load(http)


if __name__ == "__main__":
    sys.exit(main())

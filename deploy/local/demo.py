"""Play the story of a small community beside a running `make run`, over the public HTTP API alone: `make demo`.

Ten people found, join, write, share, talk, change their minds, buy and get money back. Then the three leaderboards are
printed, and one member's points and commission with the entries that they are the sum of. Every play founds a community
of its own.
"""

import argparse
import asyncio
import sys

from tqdm import tqdm

from deploy.local.client import Failed, open_http, reach, running_url
from deploy.local.processes import heed_interrupts
from deploy.local.story import ACTS, AT_ONCE, Play
from deploy.local.storytelling import describe


def main(arguments: list[str] | None = None) -> int:
    """Play, print what came of it, return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description="Play a story on the running system.")
    parser.add_argument("--url", help="of the running system; by default the one that `make run` started here")
    options = parser.parse_args(arguments)
    heed_interrupts()
    try:
        url = running_url(options.url)
        play = asyncio.run(_play(url))
    except KeyboardInterrupt:
        print(
            "\nInterrupted. What was played so far stays; the next play founds a community of its own.", file=sys.stderr
        )
        return 130
    except Failed as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    print(describe(play, url))
    return 0


async def _play(url: str) -> Play:
    async with open_http(url, connections=AT_ONCE) as http:
        await reach(http)
        with tqdm(total=ACTS, unit="", bar_format="{desc:<15}{percentage:3.0f}% |{bar}| {n}/{total} acts") as bar:
            play = Play(http, bar)
            await play.run()
            bar.set_description("played")
        return play


if __name__ == "__main__":
    sys.exit(main())

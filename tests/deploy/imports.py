"""Run `make import` against a system, and read what came of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.support.system import System, run_tool

Row = dict[str, Any]
Ranked = tuple[int, str, int]
"""Rank, person and value of a member on a board."""


class Imported(NamedTuple):
    """What an import said.

    Attributes:
        said: all of it, with single spaces.
        community: its id.
        reader: a member.
    """

    said: str
    community: str
    reader: str


def import_files(system: System, *arguments: str | Path) -> Imported:
    """Run the import, which must succeed."""
    code, said = run_tool("deploy.local.importer", "--url", system.url, *arguments, timeout_seconds=540)
    assert code == 0, said
    lines = "\n".join(" ".join(line.split()) for line in said.splitlines())
    return Imported(lines, said.split("Community ")[1].split()[0], said.split('"sub": "')[1].split('"')[0])


def read_items(system: System, path: str, person: str) -> Iterator[Row]:
    """All items of a list, as a person of the organization reads them."""
    with httpx.Client(base_url=system.url, timeout=20) as http:
        token = http.post("/dev/tokens", json={"sub": person, "org": "demo"}).json()["access_token"]
        following: str | None = path
        while following is not None:
            answer = http.get(following, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text
            yield from answer.json()["items"]
            following = answer.json()["next"]


def board(system: System, imported: Imported, metric: str) -> list[Ranked]:
    """A board from its top."""
    path = f"/scoring/v1/communities/{imported.community}/leaderboards/{metric}?limit=100"
    return [(row["rank"], row["person"], row["value"]) for row in read_items(system, path, imported.reader)]

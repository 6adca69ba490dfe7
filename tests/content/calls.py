"""How tests call content."""

import json
from typing import Any

import asyncpg

from tests.content.facts import RUNNERS
from tests.support.serving import Client, Served

FEED = f"/v1/communities/{RUNNERS}/posts"
TEXT: dict[str, Any] = {"body": "Who runs tomorrow?"}


async def published(author: Client, **changes: Any) -> str:
    answer = await author.post(FEED, {**TEXT, **changes})
    assert answer.status_code == 201, answer.text
    return f"/v1/posts/{answer.json()['id']}"


async def stored(served: Served) -> list[str]:
    """Types of all facts, as they were stored."""
    connection = await asyncpg.connect(served.dsn)
    try:
        return [row["type"] for row in await connection.fetch("select type from events order by sequence")]
    finally:
        await connection.close()


async def titles(reader: Client, path: str = FEED) -> list[str]:
    """Titles of a whole feed."""
    return [item["title"] for item in await items(reader, path)]


def reason(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def messages(served: Served) -> list[tuple[str, dict[str, Any]]]:
    """All messages in the order of their positions: type and data."""
    connection = await asyncpg.connect(served.dsn)
    try:
        rows = await connection.fetch("select headers, value from outbox order by sequence")
    finally:
        await connection.close()
    return [(json.loads(row["headers"])["ce_type"], json.loads(row["value"])) for row in rows]


async def items(reader: Client, path: str) -> list[dict[str, Any]]:
    """A whole list, page by page."""
    found: list[dict[str, Any]] = []
    following: str | None = path
    while following is not None:
        page = (await reader.get(following)).json()
        found += page["items"]
        following = page["next"]
    return found

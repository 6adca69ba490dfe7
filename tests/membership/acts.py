"""What tests of membership do over HTTP, again and again."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from tests.support.serving import Client, Served

COMMUNITIES = "/v1/communities"
FOUNDING: dict[str, Any] = {
    "name": "Early risers",
    "affinity": "We run before work.",
    "zone": "Asia/Shanghai",
    "currency": "CNY",
}


async def founded(owner: Client, **changes: Any) -> str:
    """Path of a new draft."""
    answer = await owner.post(COMMUNITIES, {**FOUNDING, **changes})
    assert answer.status_code == 201, answer.text
    return f"{COMMUNITIES}/{answer.json()['id']}"


async def launched(owner: Client, **changes: Any) -> str:
    """Path of a new open community."""
    community = await founded(owner, **changes)
    answer = await owner.post(f"{community}/launch")
    assert answer.status_code == 200, answer.text
    return community


async def invited(inviter: Client, community: str, **terms: Any) -> str:
    """Code of a new invitation."""
    answer = await inviter.post(f"{community}/invitations", terms)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


async def joined(person: Client, community: str, **asked: Any) -> dict[str, Any]:
    """The membership of somebody who joins."""
    answer = await person.post(f"{community}/members", asked)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def referral(person: Client, id: str) -> tuple[str, str | None]:
    """The person's own binding: its status, and the referrer."""
    body = (await person.get(f"/v1/people/{id}/referral")).json()
    return body["referral"], body["referrer"]


def reason(answer: Any) -> tuple[int, str]:
    """Status and machine reason of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def rows(served: Served, query: str, *arguments: Any) -> Sequence[tuple[Any, ...]]:
    """What the database says."""
    connection = await asyncpg.connect(served.dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


async def facts(served: Served) -> Sequence[tuple[Any, ...]]:
    """Stream and type of all facts, in order of streams and versions."""
    return await rows(served, "select stream_id, type from events order by stream_id, version")


async def data_of(served: Served, type_name: str) -> list[dict[str, Any]]:
    """The messages of a type, in the order in which they were committed."""
    found = await rows(
        served,
        "select value from outbox where headers->>'ce_type' = $1 order by epoch, transaction_id, sequence",
        type_name,
    )
    return [msgspec.json.decode(value) for (value,) in found]

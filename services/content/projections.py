"""Facts in, rows out: the posts that feeds read, written in the transaction of the facts."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from services.content.events import PostEdited, PostPublished, PostRemoved
from shared.commands.recorded import Recorded

_PUBLISH = """
insert into posts (post, organization, community, author, kind, title, body, media, topics, occurred_at, version)
select post, organization, community, author, kind, title, body, media, topics, occurred_at, version
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
              $9::jsonb[], $10::timestamptz[], $11::bigint[])
       as published (post, organization, community, author, kind, title, body, media, topics, occurred_at, version)
"""

_EDIT = """
update posts
   set title = edited.title, body = edited.body, media = edited.media, topics = edited.topics,
       edited_at = edited.edited_at, version = edited.version
  from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::timestamptz[], $7::bigint[])
       as edited (post, title, body, media, topics, edited_at, version)
 where posts.post = edited.post
"""

_REMOVE = """
update posts
   set removed_at = removed.removed_at, version = removed.version
  from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as removed (post, removed_at, version)
 where posts.post = removed.post
"""

_Row: TypeAlias = tuple[Any, ...]


async def project(connection: Any, facts: Sequence[Recorded]) -> None:
    """Write what these new facts change: one statement per kind of change, whatever their number."""
    published: list[_Row] = []
    edited: dict[str, _Row] = {}  # the last edit of a post in the batch wins
    removed: list[_Row] = []
    for fact in facts:
        match fact.event:
            case PostPublished() as event:
                published.append(_published(event, fact.version))
            case PostEdited() as event:
                edited[event.post] = _edited(event, fact.version)
            case PostRemoved() as event:
                removed.append((event.post, event.occurred_at, fact.version))
    for statement, rows in ((_PUBLISH, published), (_EDIT, list(edited.values())), (_REMOVE, removed)):
        if rows:
            await connection.execute(statement, *zip(*rows, strict=True))


def _published(event: PostPublished, version: int) -> _Row:
    return (
        event.post,
        event.organization,
        event.community,
        event.author,
        event.kind,
        event.draft.title,
        event.draft.body,
        _json(event.draft.media),
        _json(event.draft.topics),
        event.occurred_at,
        version,
    )


def _edited(event: PostEdited, version: int) -> _Row:
    draft = event.draft
    return (event.post, draft.title, draft.body, _json(draft.media), _json(draft.topics), event.occurred_at, version)


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()

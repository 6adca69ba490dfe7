"""Facts in, rows out: what answers, feeds and threads read, written in the transaction of the facts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from services.content import tallies
from services.content.events import (
    CommentAdded,
    CommentRemoved,
    ContentShared,
    PostEdited,
    PostHidden,
    PostPublished,
    PostRemoved,
    PostRestored,
    PostUnhidden,
    ReactionAdded,
    ReactionWithdrawn,
    ShareVisited,
)
from shared.commands.recorded import Recorded

_PUBLISH = """
insert into posts (post, organization, community, author, kind, title, body, media, topics, rating, occurred_at, version)
select post, organization, community, author, kind, title, body, media, topics, rating, occurred_at, version
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
              $9::jsonb[], $10::smallint[], $11::timestamptz[], $12::bigint[])
       as published (post, organization, community, author, kind, title, body, media, topics, rating, occurred_at,
                     version)
"""

_EDIT = """
update posts
   set title = edited.title, body = edited.body, media = edited.media, topics = edited.topics, rating = edited.rating,
       edited_at = edited.edited_at, version = greatest(posts.version, edited.version)
  from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[], $6::smallint[], $7::timestamptz[],
              $8::bigint[])
       as edited (post, title, body, media, topics, rating, edited_at, version)
 where posts.post = edited.post
"""

_REMOVE = """
update posts
   set removed_at = removed.removed_at, version = greatest(posts.version, removed.version)
  from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as removed (post, removed_at, version)
 where posts.post = removed.post
"""

_HIDE = """
update posts
   set hidden_at = hidden.hidden_at, version = greatest(posts.version, hidden.version)
  from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as hidden (post, hidden_at, version)
 where posts.post = hidden.post
"""

_COMMENT = """
insert into comments (comment, organization, community, post, author, floor, parent, body, occurred_at, version)
select comment, organization, community, post, author, floor, parent, body, occurred_at, version
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::uuid[], $8::text[],
              $9::timestamptz[], $10::bigint[])
       as added (comment, organization, community, post, author, floor, parent, body, occurred_at, version)
"""

_REMOVE_COMMENT = """
update comments
   set removed_at = removed.removed_at, version = removed.version
  from unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) as removed (comment, removed_at, version)
 where comments.comment = removed.comment
"""

_SHARE = """
insert into shares (code, share, organization, community, zone, currency, sharer, target_kind, target, channel, parent,
                    occurred_at, local_day)
select code, share, organization, community, zone, currency, sharer, target_kind, target, channel, parent,
       occurred_at, local_day
  from unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::date[])
       as shared (code, share, organization, community, zone, currency, sharer, target_kind, target, channel, parent,
                  occurred_at, local_day)
"""

# Two processes may see the same person arrive: rows in the order of their key, and the later visit holds.
_ARRIVE = """
insert into arrivals (organization, person, code, occurred_at)
select organization, person, code, occurred_at
  from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
       as arrived (organization, person, code, occurred_at)
 order by organization, person
    on conflict (organization, person) do update
   set code = excluded.code, occurred_at = excluded.occurred_at
 where arrivals.occurred_at <= excluded.occurred_at
"""

_Row: TypeAlias = tuple[Any, ...]


@dataclass
class _Changes:
    """The rows that a batch of facts writes; where several facts change one row, the last one wins."""

    published: list[_Row] = field(default_factory=list)
    edited: dict[str, _Row] = field(default_factory=dict)
    removed: dict[str, _Row] = field(default_factory=dict)
    hidden: dict[str, _Row] = field(default_factory=dict)
    commented: list[_Row] = field(default_factory=list)
    uncommented: list[_Row] = field(default_factory=list)
    shared: list[_Row] = field(default_factory=list)
    arrived: dict[tuple[str, str], _Row] = field(default_factory=dict)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)

    def statements(self) -> Iterable[tuple[str, Sequence[_Row]]]:
        """In one fixed order of tables, whatever the facts."""
        yield _PUBLISH, self.published
        yield _EDIT, list(self.edited.values())
        yield _REMOVE, list(self.removed.values())
        yield _HIDE, list(self.hidden.values())
        yield _COMMENT, self.commented
        yield _REMOVE_COMMENT, self.uncommented
        yield _SHARE, self.shared
        yield _ARRIVE, list(self.arrived.values())
        yield tallies.ADD, [(*key, number) for key, number in self.counted.items() if number]


async def project(connection: Any, facts: Sequence[Recorded]) -> None:
    """Write what these new facts change: one statement per kind of change, whatever their number."""
    changes = _Changes()
    for fact in facts:
        _gather(changes, fact)
    for statement, rows in changes.statements():
        if rows:
            await connection.execute(statement, *zip(*rows, strict=True))


def _gather(changes: _Changes, fact: Recorded) -> None:
    version = fact.version
    match fact.event:
        case PostPublished() as event:
            changes.published.append(_published(event, version))
        case PostEdited() as event:
            changes.edited[event.post] = _edited(event, version)
        case PostRemoved() as event:
            changes.removed[event.post] = (event.post, event.occurred_at, version)
        case PostRestored() as event:
            changes.removed[event.post] = (event.post, None, version)
        case PostHidden() as event:
            changes.hidden[event.post] = (event.post, event.occurred_at, version)
        case PostUnhidden() as event:
            changes.hidden[event.post] = (event.post, None, version)
        case CommentAdded() as event:
            changes.commented.append(_commented(event, version))
            changes.counted[event.post, tallies.COMMENTS] += 1
        case CommentRemoved() as event:
            changes.uncommented.append((event.comment, event.occurred_at, version))
            changes.counted[event.post, tallies.COMMENTS] -= 1
        case ReactionAdded() as event:
            changes.counted[event.target, event.kind] += event.counts
        case ReactionWithdrawn() as event:
            changes.counted[event.target, event.kind] -= event.counts
        case ContentShared() as event:
            changes.shared.append(_shared(event))
            if event.parent is not None:
                changes.counted[event.parent, tallies.CHILDREN] += 1
        case ShareVisited() as event if event.counts:
            changes.counted[event.code, tallies.VISITS] += 1
            if event.visitor is not None:
                row = (event.organization, event.visitor, event.code, event.occurred_at)
                changes.arrived[event.organization, event.visitor] = row


def _published(event: PostPublished, version: int) -> _Row:
    draft = event.draft
    return (
        event.post,
        event.organization,
        event.community,
        event.author,
        event.kind,
        draft.title,
        draft.body,
        _json(draft.media),
        _json(draft.topics),
        draft.rating,
        event.occurred_at,
        version,
    )


def _edited(event: PostEdited, version: int) -> _Row:
    draft = event.draft
    written = (draft.title, draft.body, _json(draft.media), _json(draft.topics), draft.rating)
    return (event.post, *written, event.occurred_at, version)


def _commented(event: CommentAdded, version: int) -> _Row:
    return (
        event.comment,
        event.organization,
        event.community,
        event.post,
        event.author,
        event.floor,
        event.parent,
        event.body,
        event.occurred_at,
        version,
    )


def _shared(event: ContentShared) -> _Row:
    return (
        event.code,
        event.share,
        event.organization,
        event.community,
        event.zone,
        event.currency,
        event.sharer,
        event.target_kind,
        event.target,
        event.channel,
        event.parent,
        event.occurred_at,
        event.local_day,
    )


def _json(values: Sequence[str]) -> str:
    return msgspec.json.encode(values).decode()

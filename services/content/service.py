"""What content can do: each use case builds one command for the gateway, or reads."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UnsetType
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils import uuid7

from services.content import post, readmodels, resources, standing
from services.content.events import Draft
from services.content.replica import Standings
from services.content.standing import Standing
from shared.commands.command import Answer, Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import Gateway
from shared.errors import NotFound
from shared.http.etags import etag
from shared.messaging.progress import Progress
from shared.observability.traces import current_traceparent

PATH = "/content/v1/posts"

_STANDINGS = Standings()


@dataclass(frozen=True)
class Content:
    """The service. `organization` is always the caller's: what belongs to another one does not exist for it."""

    gateway: Gateway
    reader: AsyncEngine
    passed: Progress
    ready: Callable[[], Awaitable[list[str]]]

    async def publish(
        self,
        community: str,
        draft: Draft,
        *,
        kind: str,
        organization: str,
        person: str,
        occurred_at: datetime | None,
        importing: bool,
        key: IdempotencyKey,
    ) -> Done:
        """Publish a post."""
        id = str(uuid7())
        own = _stream(id)

        def decide(known: Known) -> Decision:
            command = post.Publish(
                post=id,
                author=person,
                kind=kind,
                draft=draft,
                occurred_at=occurred_at,
                importing=importing,
                now=known.recorded_at,
            )
            published = post.publish(command, _standing(known, community, person, organization))
            headers = {"Location": f"{PATH}/{id}"}
            return Decision(_answer(201, post.FOLD.of(published), len(published), headers), {own: published})

        return await self.gateway.run(
            Command(
                decide,
                writes=(own,),
                lookups=((_STANDINGS, (community, person)),),
                idempotency=key,
                traceparent=current_traceparent(),
            )
        )

    async def edit(
        self,
        id: str,
        *,
        organization: str,
        person: str,
        expected: int,
        title: str | UnsetType | None,
        body: str | UnsetType,
        media: tuple[str, ...] | UnsetType,
        topics: tuple[str, ...] | UnsetType,
    ) -> Done:
        """Change what is given of a post, if it is still at version `expected`."""
        own, community = _stream(id), str((await self._row(id, organization)).community)

        def decide(known: Known) -> Decision:
            command = post.Edit(
                person=person,
                expected=expected,
                title=title,
                body=body,
                media=media,
                topics=topics,
                now=known.recorded_at,
            )
            state, version = known.state(own), known.version(own)
            edited = post.edit(command, _standing(known, community, person, organization), state, version=version)
            return Decision(_answer(200, post.FOLD.of(edited, state), version + len(edited)), {own: edited})

        return await self.gateway.run(
            Command(
                decide,
                writes=(own,),
                lookups=((_STANDINGS, (community, person)),),
                traceparent=current_traceparent(),
            )
        )

    async def remove(self, id: str, *, organization: str, person: str, expected: int) -> Done:
        """Take a post back, if it is still at version `expected`."""
        own, community = _stream(id), str((await self._row(id, organization)).community)

        def decide(known: Known) -> Decision:
            command = post.Remove(person=person, expected=expected, now=known.recorded_at)
            where = _standing(known, community, person, organization)
            removed = post.remove(command, where, known.state(own), version=known.version(own))
            return Decision(Answer(204), {own: removed})

        return await self.gateway.run(
            Command(
                decide,
                writes=(own,),
                lookups=((_STANDINGS, (community, person)),),
                traceparent=current_traceparent(),
            )
        )

    async def post(self, id: str, *, organization: str, reading: str | None) -> readmodels.PostRow:
        """One post. `reading`: the person who asks, who must be an active member; None: a machine."""
        row = await self._row(id, organization)
        await self._require_reader(str(row.community), organization, reading)
        if row.removed_at is not None:
            raise NotFound("post-removed", "This post was removed.")
        return row

    async def feed(
        self,
        community: str,
        *,
        organization: str,
        reading: str | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[readmodels.PostRow]:
        """Posts of a community, newest first. `reading`: as for `post`."""
        await self._require_reader(community, organization, reading)
        return await readmodels.feed(self.reader, UUID(community), before=before, limit=limit)

    async def _row(self, id: str, organization: str) -> readmodels.PostRow:
        row = await readmodels.post(self.reader, UUID(id))
        if row is None or row.organization != organization:
            raise NotFound("post-not-found", "There is no such post.")
        return row

    async def _require_reader(self, community: str, organization: str, person: str | None) -> None:
        found = await readmodels.standing(self.reader, UUID(community), person or "")
        where = standing.known(found, organization=organization)
        if person is not None:
            standing.require_member(where)


def _stream(id: str) -> Stream[post.State]:
    return Stream(f"post-{id}", post.FOLD)


def _standing(known: Known, community: str, person: str, organization: str) -> Standing:
    return standing.known(known.found(_STANDINGS, (community, person)), organization=organization)


def _answer(status: int, state: post.State, version: int, headers: dict[str, Any] | None = None) -> Answer:
    assert isinstance(state, post.Published)
    body = resources.Post.of(state, version).model_dump_json().encode()
    return Answer(status, body, {"ETag": etag(version), **(headers or {})})

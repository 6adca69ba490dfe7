"""What all use cases work with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.content import comment, floors, post, reaction, readmodels, share, standing, visit
from services.content.homes import Homes
from services.content.readmodels import PostRow
from services.content.replica import Standings
from services.content.standing import Standing
from services.content.tallies import Counts, Tallies
from services.content.visit import Visitor
from shared.commands.command import Answer, Command, Decision, Done, IdempotencyKey, Known, Stream
from shared.commands.gateway import Gateway
from shared.errors import NotFound
from shared.http.etags import etag
from shared.http.models import AnswerModel
from shared.observability.traces import current_traceparent
from shared.permissions import Action, require

STANDINGS = Standings()
TALLIES = Tallies()


@dataclass(frozen=True)
class Desk:
    """Runs commands and reads rows. `organization` is always the caller's: what belongs to another one does not exist
    for it."""

    gateway: Gateway
    reader: AsyncEngine
    homes: Homes

    async def run(self, decide: Callable[[Known], Decision], *, key: IdempotencyKey | None, **streams: Any) -> Done:
        """Run one command; `streams`: its writes, reads and look-ups."""
        return await self.gateway.run(Command(decide, idempotency=key, traceparent=current_traceparent(), **streams))

    async def require_reader(self, community: str, organization: str, person: str | None) -> None:
        """Whether somebody may read what stands in a community. `person` None: a machine that may.

        Raises:
            NotFound: `community-not-found`.
            Forbidden: `not-a-member`, `role-missing`.
        """
        where = await self.standing(community, organization, person or "")
        if person is not None:
            require(Action.READ_POSTS, where.roles)

    async def standing_post(self, id: str, organization: str, reading: str | None) -> PostRow:
        """A post that stands. `reading`: the person who asks, who must be an active member; None: a machine that may.

        Raises:
            NotFound: `post-not-found`, `post-removed`, `post-hidden`.
            Forbidden: `not-a-member`, `role-missing`.
        """
        row = await self.post_row(id, organization)
        await self.require_reader(str(row.community), organization, reading)
        if row.removed_at is not None:
            raise NotFound("post-removed", "This post was removed.")
        if row.hidden_at is not None:
            raise NotFound("post-hidden", "This post is hidden.")
        return row

    async def post_row(self, id: str, organization: str) -> PostRow:
        """A post, whether it stands or not. Raises NotFound `post-not-found`."""
        row = await readmodels.post(self.reader, UUID(id))
        if row is None or row.organization != organization:
            raise post.not_found()
        return row

    async def standing(self, community: str, organization: str, person: str) -> Standing:
        """Raises NotFound `community-not-found`."""
        found = await readmodels.standing(self.reader, UUID(community), person)
        return standing.known(found, organization=organization)


def standing_of(known: Known, community: str, person: str, organization: str) -> Standing:
    """The standing that a command has looked up. Raises NotFound `community-not-found`."""
    return standing.known(known.found(STANDINGS, (community, person)), organization=organization)


def counts_of(known: Known, subject: str) -> Counts:
    """What is counted of a subject, as a command has looked it up."""
    return known.found(TALLIES, subject) or {}


def post_stream(id: str) -> Stream[post.State]:
    return Stream(f"post-{id}", post.FOLD)


def floors_stream(post_id: str) -> Stream[floors.Floors]:
    return Stream(f"floors-{post_id}", floors.FOLD)


def comment_stream(id: str) -> Stream[comment.State]:
    return Stream(f"comment-{id}", comment.FOLD)


def reactions_stream(target: str, person: str) -> Stream[reaction.Reactions]:
    return Stream(f"reactions-{target}-{person}", reaction.FOLD)


def share_stream(code: str) -> Stream[share.State]:
    return Stream(f"share-{code}", share.FOLD)


def visits_stream(code: str, visitor: Visitor) -> Stream[visit.Visits]:
    return Stream(f"visits-{code}-{visitor.key}", visit.FOLD)


def answer(status: int, resource: AnswerModel, *, version: int | None = None, location: str | None = None) -> Answer:
    """The answer to a command that shows a resource."""
    headers = {}
    if version is not None:
        headers["ETag"] = etag(version)
    if location is not None:
        headers["Location"] = location
    return Answer(status, resource.model_dump_json().encode(), headers)

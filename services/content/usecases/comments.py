"""Comments: add, remove, read by thread."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from uuid_utils import uuid7

from services.content import comment, floors, readmodels, resources
from services.content.tallies import Counts
from services.content.usecases.desk import (
    STANDINGS,
    Desk,
    answer,
    comment_stream,
    floors_stream,
    post_stream,
    standing_of,
)
from shared.commands.command import Answer, Decision, Done, IdempotencyKey, Known
from shared.http.callers import Person

PATH = "/content/v1/comments"


class Comments(Desk):
    """The use cases of comments."""

    async def add(
        self, post: str, body: str, *, parent: str | None, by: Person, occurred_at: datetime | None, key: IdempotencyKey
    ) -> Done:
        """Comment on a post, on its next floor; `parent`: the comment it replies to."""
        id, home = str(uuid7()), await self.homes.of_post(post, by.organization)
        own, numbers, on = comment_stream(id), floors_stream(post), post_stream(post)
        above = comment_stream(parent) if parent is not None else None

        def decide(known: Known) -> Decision:
            (given,) = floors.give(known.state(numbers), post=post, comment=id, now=known.recorded_at)
            command = comment.Add(
                comment=id,
                author=by.person,
                body=body,
                parent=parent,
                floor=given.floor,
                occurred_at=occurred_at,
                importing=by.importing,
                now=known.recorded_at,
            )
            standing = standing_of(known, home.community, by.person, by.organization)
            added = comment.add(command, standing, known.state(on), known.state(above) if above is not None else None)
            resource = resources.Comment.of(comment.existing(comment.FOLD.of(added)), version=len(added))
            shown = answer(201, resource, version=resource.version, location=f"{PATH}/{id}")
            return Decision(shown, {numbers: [given], own: added})

        return await self.run(
            decide,
            writes=(numbers, own),
            reads=(on,) if above is None else (on, above),
            lookups=((STANDINGS, (home.community, by.person)),),
            key=key,
        )

    async def remove(self, id: str, *, by: Person, expected: int) -> Done:
        """Take a comment back, if it is still at version `expected`."""
        own, home = comment_stream(id), await self.homes.of_comment(id, by.organization)

        def decide(known: Known) -> Decision:
            command = comment.Remove(person=by.person, expected=expected, now=known.recorded_at)
            standing = standing_of(known, home.community, by.person, by.organization)
            removed = comment.remove(command, standing, known.state(own), version=known.version(own))
            return Decision(Answer(204), {own: removed})

        return await self.run(decide, writes=(own,), lookups=((STANDINGS, (home.community, by.person)),), key=None)

    async def read(self, id: str, *, organization: str, reading: str | None) -> tuple[readmodels.CommentRow, Counts]:
        """One comment, or the place of a removed one, on a post that stands. `reading`: the person who asks, who must be
        an active member; None: a machine."""
        home = await self.homes.of_comment(id, organization)
        await self.standing_post(home.post, organization, reading)
        row = await readmodels.comment(self.reader, UUID(id))
        assert row is not None
        return row, (await readmodels.counts(self.reader, [id])).get(id, {})

    async def thread(
        self, post: str, *, organization: str, reading: str | None, after: int, limit: int
    ) -> tuple[Sequence[readmodels.CommentRow], Mapping[str, Counts]]:
        """Comments of a post that stands, by floor, and what is counted of them. `reading`: as for `comment`."""
        await self.standing_post(post, organization, reading)
        rows = await readmodels.thread(self.reader, UUID(post), after=after, limit=limit)
        return rows, await readmodels.counts(self.reader, [str(row.comment) for row in rows])

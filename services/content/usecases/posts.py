"""Posts: publish, edit, withdraw and restore, read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils import uuid7

from services.content import post, readmodels, resources, withdrawal
from services.content.events import Draft, PostEdited, PostFact, PostPublished
from services.content.standing import Standing
from services.content.tallies import Counts
from services.content.usecases.desk import STANDINGS, TALLIES, Desk, answer, counts_of, post_stream, standing_of
from shared.commands.command import Answer, Decision, Done, IdempotencyKey, Known
from shared.http.callers import Person

PATH = "/content/v1/posts"

_VERSIONS = tuple(str(kind.__struct_config__.tag) for kind in (PostPublished, PostEdited))


class Posts(Desk):
    """The use cases of posts."""

    async def publish(
        self, community: str, draft: Draft, *, kind: str, by: Person, occurred_at: datetime | None, key: IdempotencyKey
    ) -> Done:
        """Publish a post."""
        id = str(uuid7())
        own = post_stream(id)

        def decide(known: Known) -> Decision:
            command = post.Publish(
                post=id,
                author=by.person,
                kind=kind,
                draft=draft,
                occurred_at=occurred_at,
                importing=by.importing,
                now=known.recorded_at,
            )
            published = post.publish(command, standing_of(known, community, by.person, by.organization))
            state = post.existing(post.FOLD.of(published))
            resource = resources.Post.of(state, version=len(published), counts={})
            shown = answer(201, resource, version=resource.version, location=f"{PATH}/{id}")
            return Decision(shown, {own: published})

        return await self.run(decide, writes=(own,), lookups=((STANDINGS, (community, by.person)),), key=key)

    async def edit(self, id: str, *, by: Person, expected: int, changes: Mapping[str, Any]) -> Done:
        """Change what `changes` names of a post, if it is still at version `expected`."""

        def edit(known: Known, standing: Standing, state: post.State, version: int) -> list[PostFact]:
            command = post.Edit(person=by.person, expected=expected, now=known.recorded_at, **changes)
            return post.edit(command, standing, state, version=version)

        return await self._change(id, by, edit, key=None)

    async def remove(self, id: str, *, by: Person, expected: int) -> Done:
        """Take a post back, if it is still at version `expected`."""

        def remove(known: Known, standing: Standing, state: post.State, version: int) -> list[PostFact]:
            command = withdrawal.Remove(person=by.person, expected=expected, now=known.recorded_at)
            return withdrawal.remove(command, standing, state, version=version)

        return await self._change(id, by, remove, key=None, shown=False)

    async def restore(self, id: str, *, by: Person, key: IdempotencyKey) -> Done:
        """Take a removal back."""

        def restore(known: Known, standing: Standing, state: post.State, _: int) -> list[PostFact]:
            command = withdrawal.Restore(person=by.person, now=known.recorded_at)
            return withdrawal.restore(command, standing, state)

        return await self._change(id, by, restore, key=key)

    async def hide(self, id: str, *, by: Person, key: IdempotencyKey) -> Done:
        """Hide a post."""

        def hide(known: Known, standing: Standing, state: post.State, _: int) -> list[PostFact]:
            return withdrawal.hide(withdrawal.Hide(person=by.person, now=known.recorded_at), standing, state)

        return await self._change(id, by, hide, key=key)

    async def unhide(self, id: str, *, by: Person, key: IdempotencyKey) -> Done:
        """Stop hiding a post."""

        def unhide(known: Known, standing: Standing, state: post.State, _: int) -> list[PostFact]:
            return withdrawal.unhide(withdrawal.Unhide(person=by.person, now=known.recorded_at), standing, state)

        return await self._change(id, by, unhide, key=key)

    async def _change(
        self,
        id: str,
        by: Person,
        rule: Callable[[Known, Standing, post.State, int], list[PostFact]],
        *,
        key: IdempotencyKey | None,
        shown: bool = True,
    ) -> Done:
        """Let a rule change a post; answer the post as it is then, or, if it is not `shown`, nothing."""
        own, home = post_stream(id), await self.homes.of_post(id, by.organization)

        def decide(known: Known) -> Decision:
            state, version = known.state(own), known.version(own)
            changes = rule(known, standing_of(known, home.community, by.person, by.organization), state, version)
            if not shown:
                return Decision(Answer(204), {own: changes})
            after, version = post.existing(post.FOLD.of(changes, state)), version + len(changes)
            resource = resources.Post.of(after, version=version, counts=counts_of(known, id))
            return Decision(answer(200, resource, version=version), {own: changes})

        lookups = ((STANDINGS, (home.community, by.person)), (TALLIES, id))
        return await self.run(decide, writes=(own,), lookups=lookups, key=key)

    async def read(self, id: str, *, organization: str, reading: str | None) -> tuple[readmodels.PostRow, Counts]:
        """One post that stands, and what is counted of it. `reading`: as for `standing_post`."""
        row = await self.standing_post(id, organization, reading)
        return row, (await readmodels.counts(self.reader, [id])).get(id, {})

    async def feed(
        self,
        community: str,
        *,
        organization: str,
        reading: str | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> tuple[Sequence[readmodels.PostRow], Mapping[str, Counts]]:
        """Posts of a community that stand, newest first, and what is counted of them. `reading`: as for `standing_post`."""
        await self.require_reader(community, organization, reading)
        rows = await readmodels.feed(self.reader, UUID(community), before=before, limit=limit)
        return rows, await readmodels.counts(self.reader, [str(row.post) for row in rows])

    async def history(
        self, id: str, *, organization: str, reading: str | None, after: int, limit: int
    ) -> Sequence[tuple[int, PostPublished | PostEdited]]:
        """What the author wrote, version by version; also of a post that is withdrawn.

        Args:
            reading: the person who asks, who must be the author or staff; None: a machine.
        """
        row = await self.post_row(id, organization)
        if reading is not None:
            where = await self.standing(str(row.community), organization, reading)
            withdrawal.require_author_or_staff(reading, where, row.author)
        stream = post_stream(id)
        stored = await readmodels.stored(self.reader, stream.id, _VERSIONS, after=after, limit=limit)
        return [(version, post.FOLD.codec.decode(kind, data)) for version, kind, data in stored]  # type: ignore[misc]

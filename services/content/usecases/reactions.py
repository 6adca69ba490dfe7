"""Reactions to posts and comments: add, and take back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from uuid_utils import uuid7

from services.content import comment, reaction, resources
from services.content.homes import Home
from services.content.usecases.desk import (
    STANDINGS,
    Desk,
    answer,
    comment_stream,
    post_stream,
    reactions_stream,
    standing_of,
)
from shared.commands.command import Answer, Decision, Done, IdempotencyKey, Known, Stream
from shared.http.callers import Person

TargetKind: TypeAlias = Literal["post", "comment"]


class Reactions(Desk):
    """The use cases of reactions."""

    async def react(
        self,
        target_kind: TargetKind,
        target: str,
        kind: str,
        *,
        by: Person,
        occurred_at: datetime | None,
        key: IdempotencyKey,
    ) -> Done:
        """React to a post or comment; a reaction of this kind that stands is answered as it is."""
        id, home = str(uuid7()), await self._home(target_kind, target, by.organization)
        own, on = reactions_stream(target, by.person), post_stream(home.post)
        to: Stream[comment.State] | None = comment_stream(target) if target_kind == "comment" else None

        def decide(known: Known) -> Decision:
            command = reaction.React(
                reaction=id,
                person=by.person,
                kind=kind,
                occurred_at=occurred_at,
                importing=by.importing,
                now=known.recorded_at,
            )
            standing = standing_of(known, home.community, by.person, by.organization)
            before = known.state(own)
            added = reaction.react(
                command, standing, known.state(on), known.state(to) if to is not None else None, before
            )
            stands = reaction.FOLD.of(added, before).standing[kind]
            return Decision(answer(201 if added else 200, resources.Reaction.of(stands)), {own: added})

        reads: Sequence[Stream[Any]] = (on,) if to is None else (on, to)
        return await self.run(
            decide, writes=(own,), reads=reads, lookups=((STANDINGS, (home.community, by.person)),), key=key
        )

    async def withdraw(self, target_kind: TargetKind, target: str, kind: str, *, by: Person) -> Done:
        """Take a reaction back."""
        await self._home(target_kind, target, by.organization)
        own = reactions_stream(target, by.person)

        def decide(known: Known) -> Decision:
            withdrawn = reaction.withdraw(reaction.Withdraw(kind=kind, now=known.recorded_at), known.state(own))
            return Decision(Answer(204), {own: withdrawn})

        return await self.run(decide, writes=(own,), key=None)

    async def _home(self, target_kind: TargetKind, target: str, organization: str) -> Home:
        find = self.homes.of_post if target_kind == "post" else self.homes.of_comment
        return await find(target, organization)

"""A tiny domain for tests of the kernel: accounts with a balance, and names that must be unique."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import msgspec

from shared.codec import Codec, Fact
from shared.commands.command import (
    Answer,
    Command,
    Decision,
    Guard,
    IdempotencyKey,
    Known,
    Stream,
)
from shared.commands.recorded import Message, Recorded
from shared.commands.writing import Writing
from shared.decider import Fold
from shared.errors import Conflict

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Added(Fact, frozen=True, kw_only=True, tag="added.v1"):
    amount: int
    occurred_at: datetime = NOW


class Noted(Fact, frozen=True, kw_only=True, tag="noted.v1"):
    """Stays in the house."""

    text: str
    occurred_at: datetime = NOW


class Balance(msgspec.Struct, frozen=True):
    total: int = 0
    facts: int = 0


class AddedMessage(msgspec.Struct, frozen=True):
    account: str
    amount: int


def evolve(state: Balance, event: Added | Noted) -> Balance:
    return Balance(state.total + (event.amount if isinstance(event, Added) else 0), state.facts + 1)


FOLD: Fold[Balance, Any] = Fold(Balance(), evolve, Codec[Any]([Added, Noted]), Balance)
LONG: Fold[Balance, Any] = Fold(Balance(), evolve, Codec[Any]([Added, Noted]), Balance, snapshot_every=10)


def account(name: str, fold: Fold[Balance, Any] = FOLD) -> Stream[Balance]:
    return Stream(f"account-{name}", fold)


def publish(fact: Recorded) -> Message | None:
    if isinstance(fact.event, Noted):
        return None
    name = fact.stream_id.removeprefix("account-")
    return Message("ledger.added.v1", name, name, AddedMessage(name, fact.event.amount))


async def project(connection: asyncpg.Connection, facts: Any) -> None:
    await connection.execute(
        "insert into added select * from unnest($1::text[], $2::bigint[], $3::int[])",
        [fact.stream_id for fact in facts],
        [fact.version for fact in facts],
        [getattr(fact.event, "amount", 0) for fact in facts],
    )


READ_MODEL = """
create table added (stream_id text, version bigint, amount integer check (amount <> 666));
create function refuse_late() returns trigger language plpgsql as $$
begin
    if new.amount = 667 then
        raise check_violation;
    end if;
    return new;
end
$$;
create constraint trigger refused_at_commit after insert on added
    deferrable initially deferred for each row execute function refuse_late();
"""

WRITING = Writing("ledger", "ledger.events", 12, publish, project)


def key(name: str, body: bytes = b"{}", caller: str = "acme/ana") -> IdempotencyKey:
    return IdempotencyKey(caller, name, "POST /v1/additions", body)


def add(
    stream: Stream[Balance],
    amount: int = 1,
    *,
    idempotency: IdempotencyKey | None = None,
    at_most: int | None = None,
    also: tuple[Stream[Balance], ...] = (),
    reads: tuple[Stream[Balance], ...] = (),
    decided: list[int] | None = None,
) -> Command:
    """Add `amount` to an account (and to those of `also`); 0 is nothing to do; above `at_most` it is refused."""

    def decide(known: Known) -> Decision:
        total = known.state(stream).total
        if decided is not None:
            decided.append(total)
        if at_most is not None and total + amount > at_most:
            raise Conflict("full", "No room.")
        answer = Answer(
            201,
            msgspec.json.encode({"total": total + amount}),
            {"ETag": f'"{known.version(stream) + 1}"'},
        )
        if amount == 0:
            return Decision(Answer(200, answer.body))
        return Decision(answer, {each: [Added(amount=amount)] for each in (stream, *also)})

    return Command(decide, writes=(stream, *also), reads=reads, idempotency=idempotency)


class Owners:
    """Who owns a name: a look-up that guards uniqueness across accounts."""

    name = "owners"

    async def load(self, connection: Any, keys: Collection[str]) -> Mapping[str, str]:
        rows = await cast(asyncpg.Connection, connection).fetch(
            """
            select distinct on (event.data ->> 'text') event.data ->> 'text', stream_id
              from events as event
             where type = 'noted.v1' and event.data ->> 'text' = any($1)
             order by event.data ->> 'text', sequence
            """,
            list(keys),
        )
        return {row[0]: row[1] for row in rows}


OWNERS = Owners()


def claim(stream: Stream[Balance], name: str, *, carry: bool = True) -> Command:
    """Claim a name that only one account may hold."""

    def decide(known: Known) -> Decision:
        if known.found(OWNERS, name) is not None:
            raise Conflict("name-taken", "Choose another name.")
        learned = {(OWNERS, name): stream.id} if carry else {}
        return Decision(Answer(201), {stream: [Noted(text=name)]}, learned)

    return Command(
        decide,
        writes=(stream,),
        guards=(Guard(f"name-{name}"),),
        lookups=((OWNERS, name),),
    )

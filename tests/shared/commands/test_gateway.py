"""Group commit: what shares a transaction, what fails alone, who waits for whom, what a repeat gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import asyncpg
import msgspec
import pytest

from shared.commands import batch, locks
from shared.commands.command import Answer, Command, Decision, Done, Known
from shared.commands.gateway import Gateway
from shared.commands.groups import lock_number
from shared.database import Pool
from shared.errors import Conflict, Invalid, Refusal, Unavailable
from tests.support.ledger import LONG, Added, account, add, claim, key

pytestmark = pytest.mark.usefixtures("postgres")

A, B = account("a"), account("b")


async def total(pool: Pool, name: str = "a") -> int:
    return (
        await pool.fetchval(
            "select coalesce(sum((data ->> 'amount')::int), 0) from events where stream_id = $1",
            f"account-{name}",
        )
        or 0
    )


async def outcomes(*runs: Any) -> list[Done | BaseException]:
    done: list[Done | BaseException] = await asyncio.gather(*runs, return_exceptions=True)
    return done


@pytest.mark.parametrize(("streams", "batches"), [(40, [20, 20]), (1, [40])], ids=["a stream each", "one stream"])
async def test_commands_that_arrive_together_share_two_transactions_or_one_if_they_conflict(
    gateway: Gateway, pool: Pool, streams: int, batches: list[int]
) -> None:
    await asyncio.gather(*(gateway.run(add(account(f"of-{number % streams}"))) for number in range(40)))
    written = await pool.fetch("select count(*) from events group by transaction_id")
    assert [row["count"] for row in written] == batches
    assert await pool.fetchval("select count(*) from added") == 40


async def test_a_lone_command_commits_at_once(gateway: Gateway) -> None:
    async with asyncio.timeout(1):
        done = await gateway.run(add(A, 5))
    assert msgspec.json.decode(done.answer.body) == {"total": 5}


async def test_commands_on_one_stream_are_decided_in_turn_within_a_batch(gateway: Gateway, pool: Pool) -> None:
    decided: list[int] = []
    done = await outcomes(*(gateway.run(add(A, at_most=10, decided=decided)) for _ in range(25)))
    assert sum(isinstance(each, Done) for each in done) == 10
    assert sum(isinstance(each, Conflict) for each in done) == 15
    assert await total(pool) == 10


async def test_two_processes_on_one_hot_stream_lose_nothing_and_keep_the_limit(
    gateway: Gateway, other: Gateway, pool: Pool
) -> None:
    runs = [each.run(add(A, at_most=300)) for _ in range(200) for each in (gateway, other)]
    done = await outcomes(*runs)
    assert [each for each in done if not isinstance(each, Done | Conflict)] == []
    assert sum(isinstance(each, Done) for each in done) == await total(pool) == 300
    versions = await pool.fetchval("select array_agg(version order by version) from events")
    assert versions == list(range(1, 301))


async def test_a_command_over_several_streams_is_written_whole(gateway: Gateway, pool: Pool) -> None:
    await gateway.run(add(A, 2, also=(B,)))
    assert (await total(pool, "a"), await total(pool, "b")) == (2, 2)


async def test_while_a_batch_is_under_way_others_commit_and_what_conflicts_with_it_waits_in_order(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stop_the_first(point: str) -> None:
        if point == "gateway.before-commit" and not reached.is_set():
            reached.set()
            await go_on.wait()

    monkeypatch.setattr(batch, "failpoint", stop_the_first)
    met_a_lock = Mock(side_effect=gateway._start_waiting)
    monkeypatch.setattr(gateway, "_start_waiting", met_a_lock)
    decided: list[int] = []
    first = asyncio.create_task(gateway.run(add(A, 1, decided=decided)))
    await asyncio.wait_for(reached.wait(), 5)
    second = asyncio.create_task(gateway.run(add(A, 2, also=(B,), decided=decided)))
    behind_it = asyncio.create_task(gateway.run(add(B, 4)))
    try:
        async with asyncio.timeout(5):
            await gateway.run(add(account("c")))
            await gateway.run(add(account("c")))
        assert not any(each.done() for each in (first, second, behind_it))
    finally:
        go_on.set()
    done = await asyncio.gather(first, second, behind_it)
    assert [msgspec.json.decode(each.answer.body)["total"] for each in done] == [1, 3, 6]
    assert decided == [0, 1]
    met_a_lock.assert_not_called()


@asynccontextmanager
async def overtaken(pool: Pool, stream: str, *, version: int, amount: int) -> AsyncIterator[None]:
    """Somebody writes between the first read and its append, as a script without the gateway might."""
    from shared import eventstore

    load, times = eventstore.load, 0

    async def load_and_be_overtaken(connection: asyncpg.Connection, streams: Any, known: Any) -> Any:
        nonlocal times
        loaded = await load(connection, streams, known)
        times += 1
        if times == 1:
            await pool.execute(
                """
                insert into events
                select $1, $2, gen_random_uuid(), 'added.v1',
                       jsonb_build_object('amount', $3::integer, 'occurred_at', '2026-03-01T12:00:00Z'),
                       now(), now(), 1, pg_current_xact_id(), nextval('position_sequence'), 3
                """,
                stream,
                version,
                amount,
            )
        return loaded

    eventstore.load = load_and_be_overtaken
    try:
        yield
    finally:
        eventstore.load = load


async def test_a_conflict_with_a_writer_without_locks_is_decided_anew_and_neighbours_are_not(
    gateway: Gateway, pool: Pool
) -> None:
    decided: list[int] = []
    neighbour: list[int] = []
    async with overtaken(pool, A.id, version=1, amount=7):
        done, _ = await asyncio.gather(
            gateway.run(add(A, 1, also=(B,), decided=decided)),
            gateway.run(add(account("c"), decided=neighbour)),
        )
    assert decided == [0, 7]
    assert neighbour == [0]
    assert msgspec.json.decode(done.answer.body) == {"total": 8}
    assert (await total(pool, "a"), await total(pool, "b"), await total(pool, "c")) == (
        8,
        1,
        1,
    )
    assert await pool.fetchval("select count(distinct transaction_id) from events where stream_id = 'account-a'") == 2


async def test_a_refusal_on_what_has_changed_meanwhile_is_decided_anew(gateway: Gateway, pool: Pool) -> None:
    """It was refused beside a command that wrote to the same stream, and whose heads had moved."""
    await gateway.run(add(A, 9))
    async with overtaken(pool, A.id, version=2, amount=-9):
        refused_at_first, _ = await asyncio.gather(
            gateway.run(add(A, 5, at_most=10)),
            gateway.run(add(A, 1)),
        )
    assert msgspec.json.decode(refused_at_first.answer.body) == {"total": 5}
    assert await total(pool) == 6


async def test_a_commit_whose_answer_is_lost_is_not_run_again(
    gateway: Gateway, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = asyncpg.transaction.Transaction.commit

    async def commit_and_lose_the_answer(self: Any) -> None:
        monkeypatch.undo()
        await commit(self)
        raise ConnectionResetError

    monkeypatch.setattr(asyncpg.transaction.Transaction, "commit", commit_and_lose_the_answer)
    with pytest.raises(Unavailable) as refusal:
        await gateway.run(add(A, idempotency=key("k")))
    assert refusal.value.reason == "outcome-unknown"
    assert (await gateway.run(add(A, idempotency=key("k")))).repeated
    monkeypatch.setattr(asyncpg.transaction.Transaction, "commit", commit_and_lose_the_answer)
    with pytest.raises(Unavailable):
        await gateway.run(add(A))
    assert await total(pool) == 2


async def test_a_cached_state_is_never_trusted_without_reading_the_head(gateway: Gateway, other: Gateway) -> None:
    """What writes nothing compares no heads at the append: a stale state would answer it wrongly for good."""
    await gateway.run(add(A, 10, at_most=10))
    await other.run(add(A, -5))
    done = await gateway.run(add(A, 0))
    assert msgspec.json.decode(done.answer.body) == {"total": 5}
    await other.run(add(A, -5))
    await gateway.run(add(A, 10, at_most=10))
    await other.run(add(A, 1))
    with pytest.raises(Conflict):
        await gateway.run(add(A, -1, at_most=9))


async def test_two_guards_of_one_batch_see_what_the_other_learned(gateway: Gateway, pool: Pool) -> None:
    done = await outcomes(
        gateway.run(claim(A, "sun")),
        gateway.run(claim(B, "sun")),
        gateway.run(claim(B, "moon")),
    )
    assert [type(each) for each in done] == [Done, Conflict, Done]
    assert await pool.fetchval("select count(*) from events") == 2


async def test_a_guard_holds_across_processes(gateway: Gateway, other: Gateway, pool: Pool) -> None:
    for turn in range(20):
        name = f"name-{turn}"
        done = await outcomes(gateway.run(claim(A, name)), other.run(claim(B, name)))
        assert sorted(type(each).__name__ for each in done) == ["Conflict", "Done"]


async def test_nobody_waits_for_a_stranger(gateway: Gateway, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A's stream is locked elsewhere: a command on A waits, one on B that arrived with it does not."""
    monkeypatch.setattr(locks, "LOCK_SECONDS", 40)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch("select pg_advisory_xact_lock($1)", lock_number(f"stream:{A.id}"))
        waiting = asyncio.create_task(gateway.run(add(A)))
        async with asyncio.timeout(20):
            await gateway.run(add(B))
            await gateway.run(add(B))
        assert not waiting.done()
        await transaction.rollback()
    async with asyncio.timeout(20):
        await waiting
    assert (await total(pool, "a"), await total(pool, "b")) == (1, 2)


async def test_a_lock_that_stays_held_is_answered_503(gateway: Gateway, pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetch("select pg_advisory_xact_lock($1)", lock_number(f"stream:{A.id}"))
        with pytest.raises(Unavailable) as caught:
            await gateway.run(add(A))
    assert caught.value.reason == "busy"
    assert await total(pool) == 0


async def test_reading_a_stream_keeps_it_from_changing_under_the_command(gateway: Gateway, pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetch("select pg_advisory_xact_lock_shared($1)", lock_number(f"stream:{A.id}"))
        async with asyncio.timeout(0.5):
            await gateway.run(add(B, reads=(A,)))  # two readers do not disturb each other
        with pytest.raises(Unavailable):
            await gateway.run(add(A))  # a writer waits for the reader


async def test_a_key_held_elsewhere_is_answered_409(gateway: Gateway, pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetch("select pg_advisory_xact_lock($1)", lock_number("key:acme/ana:k"))
        done = await outcomes(gateway.run(add(A, idempotency=key("k"))), gateway.run(add(B)))
    assert isinstance(done[0], Conflict)
    assert done[0].reason == "idempotency-key-in-use"
    assert isinstance(done[1], Done)


async def test_a_bad_command_fails_alone(gateway: Gateway, pool: Pool) -> None:
    """The read model's table refuses 666: the database, not the decider, says no."""
    done = await outcomes(*(gateway.run(add(account(str(n)), 666 if n == 3 else 1)) for n in range(8)))
    assert [isinstance(each, Done) for each in done] == [n != 3 for n in range(8)]
    assert isinstance(done[3], asyncpg.CheckViolationError)
    assert await pool.fetchval("select count(*) from events") == 7
    assert await pool.fetchval("select count(*) from added") == 7


async def test_nobody_is_answered_before_the_commit(gateway: Gateway, pool: Pool) -> None:
    """The database takes every statement and refuses 667 at COMMIT: that command, and only that, fails."""
    done = await outcomes(gateway.run(add(A, 667)), gateway.run(add(B)))
    assert [type(each) for each in done] == [asyncpg.CheckViolationError, Done]
    assert (await total(pool, "a"), await total(pool, "b")) == (0, 1)
    after = await gateway.run(add(A))  # what was not committed is not remembered either
    assert msgspec.json.decode(after.answer.body) == {"total": 1}


async def test_a_decider_that_breaks_fails_alone(gateway: Gateway, pool: Pool) -> None:
    def broken(_: Known) -> Decision:
        raise ZeroDivisionError

    done = await outcomes(gateway.run(Command(broken, writes=(A,))), gateway.run(add(B)))
    assert [type(each) for each in done] == [ZeroDivisionError, Done]
    assert await pool.fetchval("select count(*) from events") == 1


async def test_a_command_may_only_write_to_the_streams_it_names(gateway: Gateway, pool: Pool) -> None:
    def decide(_: Known) -> Decision:
        return Decision(Answer(201), {B: [Added(amount=1)]})

    with pytest.raises(ValueError, match="account-b"):
        await gateway.run(Command(decide, writes=(A,)))
    assert await pool.fetchval("select count(*) from events") == 0


async def test_a_repeat_gets_the_same_answer_byte_for_byte_token_included(
    gateway: Gateway, other: Gateway, pool: Pool
) -> None:
    first = await gateway.run(add(A, 3, idempotency=key("k")))
    for each in (gateway, other):
        again = await each.run(add(A, 3, idempotency=key("k")))
        assert (again.answer, again.token, again.repeated) == (
            first.answer,
            first.token,
            True,
        )
    assert first.token.startswith("ledger.")
    assert await total(pool) == 3


async def test_the_same_key_many_times_at_once_is_done_once(gateway: Gateway, other: Gateway, pool: Pool) -> None:
    done = await outcomes(*(each.run(add(A, 3, idempotency=key("k"))) for _ in range(20) for each in (gateway, other)))
    answers = {(each.answer.body, each.token) for each in done if isinstance(each, Done)}
    assert len(answers) == 1
    assert {each.reason for each in done if isinstance(each, Refusal)} <= {"idempotency-key-in-use"}
    assert await total(pool) == 3


async def test_a_key_used_for_another_body_or_route_is_refused(gateway: Gateway, pool: Pool) -> None:
    await gateway.run(add(A, 3, idempotency=key("k")))
    with pytest.raises(Invalid, match="idempotency-key-reused"):
        await gateway.run(add(A, 4, idempotency=key("k", b'{"other": 1}')))
    together = await outcomes(
        gateway.run(add(A, 1, idempotency=key("j"))),
        gateway.run(add(A, 1, idempotency=key("j", b"other"))),
    )
    assert [type(each) for each in together] == [Done, Invalid]
    assert await total(pool) == 4


async def test_keys_belong_to_their_caller(gateway: Gateway, pool: Pool) -> None:
    await gateway.run(add(A, 1, idempotency=key("k")))
    await gateway.run(add(A, 1, idempotency=key("k", caller="acme/ben")))
    assert await total(pool) == 2


async def test_a_refusal_is_not_kept_under_its_key(gateway: Gateway, pool: Pool) -> None:
    with pytest.raises(Conflict):
        await gateway.run(add(A, 5, at_most=4, idempotency=key("k")))
    await gateway.run(add(A, 5, at_most=5, idempotency=key("k")))
    assert await total(pool) == 5


async def test_what_writes_nothing_carries_the_positions_it_was_decided_on(gateway: Gateway, other: Gateway) -> None:
    written = await gateway.run(add(A, 5))
    nothing = await other.run(add(A, 0))
    assert nothing.token == written.token
    with pytest.raises(Conflict) as caught:
        await other.run(add(A, 5, at_most=5))
    assert caught.value.token == written.token


async def test_what_is_decided_on_facts_of_its_own_batch_carries_their_positions(
    gateway: Gateway,
) -> None:
    written, kept, nothing, refused = await outcomes(
        gateway.run(add(A, 5)),
        gateway.run(add(A, 0, idempotency=key("k"))),
        gateway.run(add(A, 0)),
        gateway.run(add(A, 5, at_most=5)),
    )
    assert isinstance(written, Done)
    assert isinstance(kept, Done)
    assert isinstance(nothing, Done)
    assert isinstance(refused, Conflict)
    assert written.token == kept.token == nothing.token == refused.token
    repeated = await gateway.run(add(A, 0, idempotency=key("k")))
    assert repeated.token == written.token


async def test_long_streams_are_snapshotted_and_loaded_from_there(gateway: Gateway, other: Gateway, pool: Pool) -> None:
    stream = account("long", LONG)
    for _ in range(25):
        await gateway.run(add(stream))
    row = await pool.fetchrow("select version, fold_version from snapshots")
    assert tuple(row) == (20, 1)
    await pool.execute("delete from events where version <= 20")  # only the snapshot can know them now
    done = await other.run(add(stream))
    assert msgspec.json.decode(done.answer.body) == {"total": 26}


async def test_the_locks_of_a_batch_are_bounded(gateway: Gateway, pool: Pool) -> None:
    wide = [add(account(f"{n}-0"), also=tuple(account(f"{n}-{m}") for m in range(1, 30))) for n in range(100)]
    await asyncio.gather(*(gateway.run(command) for command in wide))
    rows = await pool.fetch("select count(*) as facts from events group by transaction_id")
    assert sum(row["facts"] for row in rows) == 3000
    assert max(row["facts"] for row in rows) <= 1000


async def test_a_command_whose_caller_has_gone_before_its_turn_is_dropped(gateway: Gateway, pool: Pool) -> None:
    first = asyncio.create_task(gateway.run(add(A)))
    await asyncio.sleep(0)
    gone = asyncio.create_task(gateway.run(add(B)))
    await asyncio.sleep(0)
    gone.cancel()
    await first
    await gateway.close()
    assert await total(pool, "a") == 1


async def test_while_the_database_is_away_commands_are_refused_and_work_again_after(
    private_postgres: Any,
) -> None:
    from shared.database import open_writer
    from shared.migrate import KERNEL, migrate
    from tests.support.ledger import READ_MODEL, WRITING

    await private_postgres.ensure_database("ledger")
    dsn = private_postgres.dsn("ledger")
    await migrate(dsn, KERNEL)
    pool = await open_writer(dsn, name="test", size=4)
    await pool.execute(READ_MODEL)
    gateway = Gateway(pool, WRITING)
    try:
        await gateway.run(add(A))
        private_postgres.stop_immediately()
        for _ in range(3):
            async with asyncio.timeout(4):
                with pytest.raises(Unavailable):
                    await gateway.run(add(A))
        private_postgres.start()
        async with asyncio.timeout(10):
            while True:
                try:
                    await gateway.run(add(A))
                except Unavailable:
                    await asyncio.sleep(0.05)
                else:
                    break
        assert await total(pool) == 2
    finally:
        await gateway.close()
        pool.terminate()

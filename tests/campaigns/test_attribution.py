"""Chains are the same, whether the replica is fast, slow or was restarted; and are fixed once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from services.campaigns.attribution import Attribution
from services.campaigns.definition import CAMPAIGNS
from shared.lifecycle import running
from shared.messaging.facts import InboundFact
from shared.messaging.log import TopicPartition
from shared.service import open_kernel
from tests.campaigns.facts import CODE, NOW
from tests.campaigns.heard import absent, bound, joined, shared
from tests.campaigns.stage import Chain, Stage
from tests.support.relaying import until
from tests.support.unsettled import until_waiting, watched

SECOND = timedelta(seconds=1)
LEAST = timedelta(microseconds=1)
DAY = timedelta(days=1)
LIMIT = NOW + 2 * SECOND
"""What is recorded later does not count for a purchase recorded at NOW."""

PASSED = LIMIT + LEAST
"""A watermark of this time covers all that counts."""

BEN_CODE = (1, "ben", "share_code")
ANNA_FIRST = (1, "anna", "binding")
ANNA_SECOND = (2, "anna", "binding")
DAN_SECOND = (2, "dan", "binding")


def by_ben(*, age: timedelta = DAY, **changes: Any) -> InboundFact:
    """ben shared the code, so long before the purchase."""
    return shared("ben", CODE, **{"occurred_at": NOW - age, "recorded_at": NOW - age, **changes})


class Case(NamedTuple):
    facts: Sequence[InboundFact]
    chain: Chain
    code: str | None = CODE


CASES: dict[str, Case] = {
    "nobody": Case([], [], None),
    "nobody, code unknown": Case([joined("cy")], []),
    "code": Case([by_ben()], [BEN_CODE]),
    "code of this very instant": Case([by_ben(age=timedelta(0))], [BEN_CODE]),
    "code of 30 days": Case([by_ben(age=30 * DAY)], [BEN_CODE]),
    "code of 30 days and a bit": Case([by_ben(age=30 * DAY + LEAST), joined("cy", "anna")], [ANNA_FIRST]),
    "code of 31 days": Case([by_ben(age=31 * DAY), joined("cy", "anna")], [ANNA_FIRST]),
    "code of the future": Case([by_ben(age=-LEAST)], []),
    "code recorded at the limit": Case([by_ben(recorded_at=LIMIT)], [BEN_CODE]),
    "code recorded after the limit": Case([by_ben(recorded_at=LIMIT + LEAST), joined("cy", "anna")], [ANNA_FIRST]),
    "own code": Case([shared("cy", CODE), joined("cy", "anna")], [ANNA_FIRST]),
    "own code, unbound": Case([shared("cy", CODE)], []),
    "code of another organization": Case([by_ben(organization="umbrella"), joined("cy", "anna")], [ANNA_FIRST]),
    "another code": Case([shared("ben", "7K3M9Q2X"), joined("cy", "anna")], [ANNA_FIRST]),
    "code and binding of the buyer": Case([by_ben(), joined("cy", "anna")], [BEN_CODE]),
    "code and binding of the sharer": Case([by_ben(), joined("ben", "anna")], [BEN_CODE, ANNA_SECOND]),
    "code, sharer bound at the limit": Case(
        [by_ben(), joined("ben", "anna", recorded_at=LIMIT)], [BEN_CODE, ANNA_SECOND]
    ),
    "code, sharer bound too late": Case([by_ben(), joined("ben", "anna", recorded_at=LIMIT + LEAST)], [BEN_CODE]),
    "code, sharer bound by the buyer": Case([by_ben(), joined("ben", "cy")], [BEN_CODE]),
    "code, sharer bound elsewhere": Case([by_ben(), joined("ben", "anna", organization="umbrella")], [BEN_CODE]),
    "binding": Case([joined("cy", "anna")], [ANNA_FIRST], None),
    "binding at the limit": Case([joined("cy", "anna", recorded_at=LIMIT)], [ANNA_FIRST], None),
    "binding too late": Case([joined("cy", "anna", recorded_at=LIMIT + LEAST)], [], None),
    "binding elsewhere": Case([joined("cy", "anna", organization="umbrella")], [], None),
    "binding, then joined again": Case(
        [joined("cy", "anna"), joined("cy", "anna", recorded_at=NOW + DAY)], [ANNA_FIRST], None
    ),
    "two levels of bindings": Case([joined("cy", "anna"), joined("anna", "dan")], [ANNA_FIRST, DAN_SECOND], None),
    "three levels of bindings": Case(
        [joined("cy", "anna"), joined("anna", "dan"), joined("dan", "eve")], [ANNA_FIRST, DAN_SECOND], None
    ),
    "bindings in a loop of two": Case([joined("cy", "anna"), joined("anna", "cy")], [ANNA_FIRST], None),
    "bound to oneself": Case([joined("cy", "cy")], [], None),
    "referrer bound to itself": Case([joined("cy", "anna"), joined("anna", "anna")], [ANNA_FIRST], None),
    "pending, then bound": Case(
        [joined("cy", pending="1"), bound("cy", "1", "anna", since=NOW, recorded_at=NOW + DAY)], [ANNA_FIRST], None
    ),
    "pending, then absent": Case([joined("cy", pending="1"), absent("cy", "1", recorded_at=NOW + DAY)], [], None),
    "pending after the limit, then bound": Case(
        [
            joined("cy", pending="1", recorded_at=LIMIT + LEAST),
            bound("cy", "1", "anna", since=LIMIT + LEAST),
        ],
        [],
        None,
    ),
    "one pending in time is absent, one too late is bound": Case(
        [
            joined("cy", pending="1", recorded_at=LIMIT),
            joined("cy", pending="2", recorded_at=LIMIT + SECOND),
            absent("cy", "1", recorded_at=NOW + DAY),
            bound("cy", "2", "anna", since=LIMIT + SECOND),
        ],
        [],
        None,
    ),
    "sharer pending, then bound": Case(
        [by_ben(), joined("ben", pending="1"), bound("ben", "1", "anna", since=NOW)], [BEN_CODE, ANNA_SECOND]
    ),
}


REFUSED = {
    "nobody, code unknown": "unknown",
    "code of 30 days and a bit": "too_old",
    "code of 31 days": "too_old",
    "code of the future": "shared_later",
    "code recorded after the limit": "unknown",
    "own code": "own",
    "own code, unbound": "own",
    "code of another organization": "unknown",
    "another code": "unknown",
}
"""Why the code does not count, by case."""


async def test_a_fast_replica(stage: Stage) -> None:
    """All is heard before the purchase."""
    for name, case in CASES.items():
        await stage.forget()
        stage.commit(*case.facts)
        await stage.hear()
        id = await stage.buy(order_id=name, share_code=case.code)
        await settle(stage, id, name)
        assert await said_of_code(stage, id) == (case.code and REFUSED.get(name, "counts")), name


async def said_of_code(stage: Stage, id: str) -> str | None:
    """What readers are told of the code of a purchase."""
    answer = await stage.campaigns.machine("purchases:write").get(f"/v1/purchases/{id}/attribution")
    said: str | None = answer.json()["code"]
    return said


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
async def test_a_slow_replica(stage: Stage, restarted: bool) -> None:
    """Nothing was heard before the purchase, then one fact at a time; watermarks come before the facts they cover."""
    for name, case in CASES.items():
        await stage.forget()
        id = await stage.buy(order_id=name, share_code=case.code)
        await stage.mark_all(LIMIT)
        assert await stage.attribute() == 1, name
        stage.commit(*case.facts)
        if case.facts:
            await stage.mark_all(PASSED)
        for partition in stage.committed:
            while await stage.hear([partition], most=1):
                assert await stage.chain(id) in (None, case.chain), name
                if restarted:
                    stage.restart()
                await stage.attribute()
        await settle(stage, id, name)


async def settle(stage: Stage, id: str, name: str) -> None:
    """With all heard and the watermarks passed, the chain is fixed, and stays."""
    await stage.mark_all(PASSED)
    assert await stage.attribute() == 0, name
    assert await stage.chain(id) == CASES[name].chain, name
    stage.commit(joined("cy", "zoe"), shared("zoe", CODE), joined("zoe", "yan"))
    await stage.hear()
    stage.restart()
    assert await stage.attribute() == 0, name
    assert await stage.chain(id) == CASES[name].chain, name


async def test_what_is_known_needs_no_watermark(stage: Stage) -> None:
    stage.commit(by_ben(), joined("ben", "anna"))
    await stage.hear()
    id = await stage.buy(share_code=CODE)
    assert await stage.attribution.attribute_all() == 0
    assert await stage.chain(id) == [BEN_CODE, ANNA_SECOND]


async def test_absence_needs_a_watermark_that_is_younger_than_the_purchase(stage: Stage) -> None:
    """However late the clock of the service that made it is."""
    for service in ("membership", "content"):
        await stage.mark(service, NOW + DAY)
    id = await stage.buy()
    assert await stage.attribute() == 1
    await stage.mark("campaigns", NOW + DAY)
    assert await stage.attribute() == 1, "begun before it was known that the purchase stood in the log"
    await stage.mark("membership", NOW + DAY)
    assert await stage.attribute() == 0
    assert await stage.chain(id) == []


async def test_absence_needs_a_watermark_past_the_margin(stage: Stage) -> None:
    """However young it is."""
    await stage.buy()
    await stage.mark_all(LIMIT)
    assert await stage.attribute() == 1
    await stage.mark_all(PASSED)
    assert await stage.attribute() == 0


async def test_a_code_may_stand_in_any_partition_a_binding_in_one(stage: Stage) -> None:
    """The facts committed last are not heard: of a code it is unknown where it would be, of a binding it is not."""
    stage.commit(*(shared(f"p{number}", f"0000000{number}") for number in range(5)), joined("cy"))
    with_code, without = await stage.buy(share_code=CODE), await stage.buy(order_id="o-2")
    await stage.mark_all(PASSED)
    assert await stage.attribute() == 2
    membership = [partition for partition in stage.committed if partition.topic == "membership.events"]
    await stage.hear(membership)
    assert await stage.attribute() == 1
    assert (await stage.chain(with_code), await stage.chain(without)) == (None, [])
    shares = [partition for partition in stage.committed if partition.topic == "content.events"]
    for partition in shares:
        assert await stage.attribute() == 1
        await stage.hear([partition])
    assert await stage.attribute() == 0
    assert await stage.chain(with_code) == []


@pytest.mark.parametrize("person", ["cy", "ben"])
async def test_a_pending_join_is_waited_for_however_long_it_takes(stage: Stage, person: str) -> None:
    """Of the buyer, or of the person at level 1."""
    stage.commit(joined(person, pending="1", recorded_at=LIMIT), joined("dan"))
    stage.commit(*([by_ben()] if person == "ben" else []))
    await stage.hear()
    id = await stage.buy(share_code=CODE if person == "ben" else None)
    await stage.mark_all(NOW + DAY)
    assert await stage.attribute() == 1
    stage.commit(bound(person, "1", "anna", since=LIMIT, recorded_at=NOW + DAY))
    await stage.mark_all(NOW + 2 * DAY)
    assert await stage.attribute() == 1, "committed, not heard"
    await stage.hear()
    assert await stage.attribute() == 0
    assert await stage.chain(id) == ([ANNA_FIRST] if person == "cy" else [BEN_CODE, ANNA_SECOND])


async def test_a_parked_fact_that_could_bind_is_waited_for(stage: Stage) -> None:
    broken = joined("cy", "anna")
    right, broken.value = broken.value, b"{}"
    stage.commit(broken)
    await stage.hear()
    id = await stage.buy()
    await stage.mark_all(PASSED)
    assert await stage.attribute() == 1
    writer = stage.campaigns.kernel.writer
    assert await writer.fetchval("select count(*) from dead_letters") == 1
    await writer.execute("delete from dead_letters")
    fixed = joined("cy", "anna")
    assert fixed.value == right
    stage.commit(fixed)
    await stage.hear()
    await stage.mark_all(PASSED)
    assert await stage.attribute() == 0
    assert await stage.chain(id) == [ANNA_FIRST]


async def test_a_refund_before_the_attribution_changes_nothing_of_it(stage: Stage) -> None:
    stage.commit(joined("cy", "anna"))
    id = await stage.buy()
    shop = stage.campaigns.machine("purchases:write")
    answer = await shop.post(f"/v1/purchases/{id}/refunds", {"refund_id": "r-1", "amount_minor": 100})
    assert answer.status_code == 201
    await stage.hear()
    await stage.mark_all(PASSED)
    assert await stage.attribute() == 0
    read = (await shop.get(f"/v1/purchases/{id}")).json()
    assert (read["version"], read["refunded_minor"], read["attribution"]) == (3, 100, "attributed")
    assert await stage.chain(id) == [ANNA_FIRST]


async def test_the_oldest_are_attributed_first_and_those_that_wait_hold_nobody_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.attribution.PAGE", 2)
    stage.commit(joined("ben", "anna"))
    await stage.hear()
    waiting = [await stage.buy(order_id=f"w-{number}", buyer="cy") for number in range(5)]
    known = [await stage.buy(order_id=f"k-{number}", buyer="ben", recorded_at=NOW + SECOND) for number in range(5)]
    await stage.mark("campaigns", NOW)
    await stage.mark("membership", PASSED)
    stage.commit(joined("cy", "dan"))
    await stage.mark("membership", PASSED + SECOND)  # cy's lane is behind, anna's is not
    assert await stage.attribute() == 5
    assert [await stage.chain(id) for id in waiting] == [None] * 5
    assert [await stage.chain(id) for id in known] == [[ANNA_FIRST]] * 5


async def test_two_workers_attribute_each_purchase_once(stage: Stage) -> None:
    stage.commit(by_ben(), joined("ben", "anna"))
    await stage.hear()
    for number in range(60):
        await stage.buy(order_id=f"o-{number}", share_code=CODE)
    async with open_kernel(CAMPAIGNS, stage.campaigns.kernel.settings) as another:
        workers = [stage.attribution, Attribution(another, stage.reader)]
        for _ in range(20):
            if not any(await asyncio.gather(*(worker.attribute_all() for worker in workers))):
                break
    rows = await stage.campaigns.kernel.writer.fetch(
        "select stream_id, count(*) as times from events where type = 'purchase-attributed.v1' group by stream_id"
    )
    assert [row["times"] for row in rows] == [1] * 60
    assert await stage.campaigns.kernel.writer.fetchval("select count(*) from unattributed") == 0


async def test_the_task_looks_for_watermarks_only_while_something_waits(stage: Stage) -> None:
    asked: list[None] = []
    stage.reader._asked = lambda: asked.append(None)
    async with running({"attribution": stage.attribution.run}):
        await asyncio.sleep(0.6)
        assert asked == []
        id = await stage.buy()
        await until(lambda: _is(len(asked) > 1))
        await stage.mark_all(PASSED)
        await until(lambda: _attributed(stage, id))
        await asyncio.sleep(0.3)
        before = len(asked)
        await asyncio.sleep(0.6)
        assert len(asked) == before


async def test_what_is_known_is_attributed_while_the_log_is_away(stage: Stage) -> None:
    stage.commit(joined("cy", "anna"), joined("anna", "dan"))
    await stage.hear()
    waiting = await stage.buy(order_id="o-2", buyer="eve")
    await stage.log.close()
    async with running({"attribution": stage.attribution.run}):
        await asyncio.sleep(0.5)
        known = await stage.buy()
        await until(lambda: _attributed(stage, known))
    assert await stage.chain(known) == [ANNA_FIRST, DAN_SECOND]
    assert await stage.chain(waiting) is None


async def _is(value: bool) -> bool:
    return value


async def _attributed(stage: Stage, id: str) -> bool:
    return await stage.chain(id) is not None


def test_the_cases_stand_in_more_than_one_lane() -> None:
    partitions = {TopicPartition(fact.topic, fact.partition) for case in CASES.values() for fact in case.facts}
    assert len(partitions) >= 5


async def test_metrics_say_how_many_purchases_wait_and_for_how_long(stage: Stage) -> None:
    await stage.buy()
    await stage.buy(recorded_at=datetime.now(UTC))
    async with watched(CAMPAIGNS, stage.campaigns):
        assert await until_waiting("campaigns", 2) > DAY.total_seconds()
    await stage.mark_all(datetime.now(UTC) + DAY)
    assert await stage.attribute() == 0
    async with watched(CAMPAIGNS, stage.campaigns):
        assert await until_waiting("campaigns", 0) == 0

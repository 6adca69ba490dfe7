"""Whatever was joined, shared and bought, and however late this service hears of it: the chain is that of the whole history."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.http.models import format_instant
from shared.messaging.facts import InboundFact
from tests.campaigns.facts import NOW
from tests.campaigns.heard import absent, joined
from tests.campaigns.histories import CODES, PERSONS, Told, as_published, histories
from tests.campaigns.stage import SERVICES, Chain, Stage

MARGIN = timedelta(seconds=2)
END = NOW + timedelta(days=1)
"""When joins that are still pending are settled."""

AFTER_ALL = END + timedelta(days=1)


class Bought(NamedTuple):
    """A purchase, so long after the last fact that was committed before."""

    buyer: str
    code: str | None
    after: timedelta


class Heard(NamedTuple):
    """This service hears up to `most` facts more of one of the partitions that hold any."""

    partition: int
    most: int


class Did(NamedTuple):
    """commit: the next fact of the others; mark: every relay publishes a watermark; restart: of the consumer."""

    what: str


Step = Bought | Heard | Did


def steps() -> st.SearchStrategy[list[Step]]:
    bought = st.builds(
        Bought,
        st.sampled_from(PERSONS),
        st.sampled_from([None, *CODES]),
        st.integers(0, 25).map(lambda tenths: timedelta(milliseconds=100 * tenths)),
    )
    heard = st.builds(Heard, st.integers(0, 20), st.integers(1, 5))
    did = st.sampled_from(["commit", "commit", "mark", "mark", "restart"]).map(Did)
    return st.lists(st.one_of(bought, did, did, heard), max_size=40)


def chain_of(buyer: str, code: str | None, at: datetime, facts: list[InboundFact]) -> Chain:
    """Computed from the complete history, of a purchase that occurred and was recorded at `at`."""
    referrers: dict[str, str] = {}
    sharer = None
    for fact in facts:
        data: dict[str, Any] = msgspec.json.decode(fact.value)
        since = datetime.fromisoformat(data.get("joined_recorded_at", data["recorded_at"]))
        if since > at + MARGIN:
            continue
        if data.get("referrer"):
            referrers.setdefault(data["person"], data["referrer"])
        age = at - datetime.fromisoformat(data["occurred_at"])
        if data.get("code") == code is not None and timedelta(0) <= age <= timedelta(days=30):
            sharer = data["sharer"]
    if sharer not in (None, buyer):
        first, by = sharer, "share_code"
    elif buyer in referrers:
        first, by = referrers[buyer], "binding"
    else:
        return []
    second = referrers.get(first)
    return [(1, first, by)] + ([(2, second, "binding")] if second not in (None, buyer, first) else [])


def settled(facts: list[InboundFact]) -> list[InboundFact]:
    """The history with every join settled in the end."""
    pending = {}
    for fact in facts:
        data = msgspec.json.decode(fact.value)
        if data.get("referral") == "pending":
            pending[data["join"]] = data["person"]
        elif fact.type.startswith("membership.referral-"):
            del pending[data["join"]]
    return [*facts, *(_absent(person, join) for join, person in pending.items())]


def _absent(person: str, join: str) -> InboundFact:
    fact = absent(person, "", recorded_at=END)
    fact.value = msgspec.json.encode(msgspec.json.decode(fact.value) | {"join": join})
    return fact


class Play:
    """One history, played on the stage step by step."""

    def __init__(self, stage: Stage, facts: list[InboundFact]) -> None:
        self.stage = stage
        self.facts = facts
        self.committed = 0
        self.bought: dict[str, Chain] = {}

    def recorded_at(self, number: int) -> datetime:
        return datetime.fromisoformat(msgspec.json.decode(self.facts[number].value)["recorded_at"])

    async def step(self, step: Step) -> None:
        """Take it; then attribute what can be."""
        await self._take(step)
        await self.stage.attribute()
        chains = await self.stage.chains()
        assert chains == {id: self.bought[id] for id in chains}

    async def _take(self, step: Step) -> None:
        match step:
            case Did("commit") if self.committed < len(self.facts):
                self.stage.commit(self.facts[self.committed])
                self.committed += 1
            case Did("restart"):
                self.stage.restart()
            case Did("mark"):
                for service in SERVICES:
                    await self.stage.mark(service, self._clock(service))
            case Heard(partition, most) if self.stage.committed:
                partitions = sorted(self.stage.committed)
                await self.stage.hear([partitions[partition % len(partitions)]], most=most)
            case Bought(buyer, code, after):
                at = (self.recorded_at(self.committed - 1) if self.committed else NOW) + after
                id = await self.stage.buy(
                    buyer=buyer,
                    share_code=code,
                    occurred_at=format_instant(at),
                    recorded_at=at,
                )
                self.bought[id] = chain_of(buyer, code, at, self.facts)

    def _clock(self, service: str) -> datetime:
        """The latest that a clock may show while the next fact of the service is not committed."""
        coming = range(self.committed, len(self.facts))
        times = (self.recorded_at(number) for number in coming if self.facts[number].topic == f"{service}.events")
        return next(times, AFTER_ALL)

    async def end(self) -> None:
        """All is committed, heard and covered."""
        self.stage.commit(*self.facts[self.committed :])
        await self.stage.hear()
        await self.stage.mark_all(AFTER_ALL)
        assert await self.stage.attribute() == 0
        assert await self.stage.chains() == self.bought


SECOND_LATER = timedelta(seconds=1)
BUY_AND_MARK: list[Step] = [Bought("p1", None, timedelta(0)), Did("mark")]


@pytest.mark.timeout(240)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=histories(), steps=steps())
@example(told=[Told("join", "p1", "p0", SECOND_LATER)], steps=BUY_AND_MARK)
@example(told=[Told("join", "p1", "p0", MARGIN)], steps=BUY_AND_MARK)
async def test_the_chain_is_that_of_the_whole_history(stage: Stage, told: list[Told], steps: list[Step]) -> None:
    await stage.forget()
    stage.restart()
    play = Play(stage, settled(as_published(told)))
    for step in steps:
        await play.step(step)
    await play.end()


def test_the_reference_knows_the_rules() -> None:
    """So that both cannot be wrong in the same way."""
    facts = [joined("p1", "p0"), joined("p0", "p2"), joined("p3", "p3")]
    assert chain_of("p1", None, NOW, facts) == [(1, "p0", "binding"), (2, "p2", "binding")]
    assert chain_of("p4", None, NOW, facts) == []
    assert chain_of("p1", None, NOW - MARGIN - timedelta(microseconds=1), facts) == []

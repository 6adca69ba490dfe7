"""The promise about bindings, for all histories: a forest, and first come first bound, in commit order."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.membership.definition import MEMBERSHIP
from services.membership.referral import FOLD, Refer, Referral, Sponsor, refer
from tests.membership.acts import data_of, invited, launched
from tests.membership.facts import JOIN, NOW, RUNNERS
from tests.support.serving import Served, serving

PEOPLE = 5
Wave = Sequence[tuple[int, int]]
"""Who joins through whom at the same moment; somebody may join through several at once."""


@dataclass(frozen=True)
class Two:
    """Two processes on one database."""

    served: tuple[Served, Served]
    organizations: Any


@pytest.fixture
async def two(membership: Served, tmp_path: Path) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(serving(MEMBERSHIP, membership.dsn, tmp_path))
        yield Two((membership, other), (f"org-{number}" for number in itertools.count()))


def replayed(joins: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Who must have which referrer, by the rule as domain.md words it: joins one after another, no locks, no roots."""
    referrers: dict[str, str] = {}
    for join in joins:
        person, inviter = join["person"], join["inviter"]
        if inviter is None or person in referrers or person in above(inviter, referrers):
            continue
        referrers[person] = inviter
    return referrers


def above(person: str, referrers: dict[str, str]) -> list[str]:
    """The person and everybody above; raises where that never ends."""
    chain = [person]
    while (person := referrers.get(person, "")) != "":
        assert person not in chain, "a loop"
        chain.append(person)
    return chain


@st.composite
def histories(draw: st.DrawFn) -> list[Wave]:
    """Some waves; in each, people join through anybody, themselves included."""
    person = st.integers(0, PEOPLE - 1)
    wave = st.lists(st.tuples(person, person), min_size=1, max_size=2 * PEOPLE, unique=True)
    return draw(st.lists(wave, min_size=1, max_size=4))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_bindings_are_a_forest_and_the_first_in_commit_order_holds(two: Two, history: list[Wave]) -> None:
    organization = next(two.organizations)
    clients = [[served.person(f"p{number}", organization) for number in range(PEOPLE)] for served in two.served]
    owners = clients[0]
    homes = await asyncio.gather(*(launched(owner) for owner in owners))
    codes = await asyncio.gather(*(invited(*pair) for pair in zip(owners, homes, strict=True)))
    for wave in history:
        # Through the own code one enters the community that one owns: answered 200, and nothing changes.
        answers = await asyncio.gather(
            *(
                clients[place % 2][joiner].post(f"{homes[inviter]}/members", {"invitation": codes[inviter]})
                for place, (joiner, inviter) in enumerate(wave)
            )
        )
        assert {answer.status_code for answer in answers} <= {200, 201}
        for joiner, inviter in wave:
            if joiner != inviter:
                assert (await owners[joiner].post(f"{homes[inviter]}/members/me/leave")).status_code == 200
    joins = [
        join
        for join in await data_of(two.served[0], "membership.member-joined.v1")
        if join["organization"] == organization
    ]
    expected = replayed(joins)
    for person in expected:
        above(person, expected)
    for number, join in enumerate(joins):
        referrer = replayed(joins[: number + 1]).get(join["person"])
        assert (join["referral"], join["referrer"]) == ("none" if referrer is None else "bound", referrer)
    for number, owner in enumerate(owners):
        body = (await owner.get(f"/v1/people/p{number}/referral")).json()
        assert body["referrer"] == expected.get(f"p{number}")


@settings(max_examples=300)
@given(history=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40))
def test_the_rule_with_roots_is_the_rule_with_chains(history: list[tuple[int, int]]) -> None:
    """The decider sees only the root above an inviter; that is as good as seeing the whole chain."""
    states: dict[str, Referral] = {}
    joins = [{"person": f"p{joiner}", "inviter": f"p{inviter}"} for joiner, inviter in history]
    for number, join in enumerate(joins):
        person, inviter = join["person"], join["inviter"]
        referrers = {name: state.referrer for name, state in states.items() if state.referrer is not None}
        root = above(inviter, referrers)[-1]
        command = Refer(
            organization="acme",
            community=RUNNERS,
            zone="Asia/Shanghai",
            currency="CNY",
            person=person,
            join=JOIN,
            sponsor=Sponsor(inviter, root),
            share_code=None,
            now=NOW,
        )
        before = states.get(person, Referral())
        states[person] = FOLD.of(refer(command, before, {root: states.get(root, Referral())}), before)
        expected = replayed(joins[: number + 1])
        assert {name: state.referrer for name, state in states.items() if state.referrer is not None} == expected

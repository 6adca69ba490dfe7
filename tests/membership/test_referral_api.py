"""Who brought whom, as callers see it, also when everybody joins at once."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from services.membership.definition import MEMBERSHIP
from services.membership.joining import Asked, Joining
from shared.commands.command import Decision, Done, IdempotencyKey, Known
from tests.membership.acts import data_of, founded, invited, joined, launched, reason, referral, rows
from tests.support.serving import Served, serving

TOUCHPOINT = {"layer": "touchpoint", "channel": "flyer", "scene": "outdoor", "space": "physical"}


async def test_the_inviter_of_the_first_join_is_the_referrer_for_good(membership: Served) -> None:
    ana, bo, cy = (membership.person(name) for name in ("ana", "bo", "cy"))
    first, second = await launched(ana), await launched(cy)
    code = await invited(ana, first)
    await joined(bo, first, invitation=code, touchpoint=TOUCHPOINT)
    await joined(bo, second, invitation=await invited(cy, second))
    assert await referral(bo, "bo") == ("bound", "ana")
    assert await referral(ana, "ana") == ("none", None)
    await bo.post(f"{first}/members/me/leave")
    await joined(bo, first)
    assert await referral(bo, "bo") == ("bound", "ana")

    _, _, *joins = await data_of(membership, "membership.member-joined.v1")
    seen = [
        (join["invitation"], join["inviter"], join["touchpoint"], join["referral"], join["referrer"]) for join in joins
    ]
    assert seen == [
        (code, "ana", TOUCHPOINT, "bound", "ana"),
        (joins[1]["invitation"], "cy", None, "bound", "ana"),
        (None, None, None, "bound", "ana"),
    ]
    assert len({join["join"] for join in joins}) == 3


async def test_a_founder_s_first_membership_says_the_binding_as_well(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community, invitation=await invited(ana, community))
    await launched(bo)
    *_, founding = await data_of(membership, "membership.member-joined.v1")
    assert (founding["person"], founding["referral"], founding["referrer"]) == ("bo", "bound", "ana")


async def test_the_own_invitation_binds_nobody(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community)
    code = await invited(bo, community)
    await bo.post(f"{community}/members/me/leave")
    await joined(bo, community, invitation=code)
    assert await referral(bo, "bo") == ("none", None)
    # The next inviter still can.
    other = await launched(ana)
    await joined(bo, other, invitation=await invited(ana, other))
    assert await referral(bo, "bo") == ("bound", "ana")


@pytest.mark.parametrize("length", [2, 5])
async def test_a_binding_that_would_close_a_loop_is_refused_and_the_join_stands(
    membership: Served, length: int
) -> None:
    people = [f"p{number}" for number in range(length)]
    homes = [await launched(membership.person(person)) for person in people]
    codes = [await invited(membership.person(person), home) for person, home in zip(people, homes, strict=True)]
    for number, person in enumerate(people):  # each by the one before; the first by the last
        await joined(membership.person(person), homes[number - 1], invitation=codes[number - 1])
    bindings = [await referral(membership.person(person), person) for person in people]
    *all_but_last, last = bindings
    assert all_but_last == [("bound", people[number - 1]) for number in range(length - 1)]
    assert last == ("none", None)
    assert len(await data_of(membership, "membership.member-joined.v1")) == 2 * length


async def test_me_is_the_caller(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community, invitation=await invited(ana, community))
    assert await referral(bo, "me") == ("bound", "ana")
    own = (await bo.get(f"{community}/members/me")).json()
    assert own == (await bo.get(f"{community}/members/bo")).json()
    assert await referral(membership.machine("import", acting="bo"), "me") == ("bound", "ana")


async def test_a_binding_is_private(membership: Served) -> None:
    ana, bo = membership.person("ana"), membership.person("bo")
    community = await launched(ana)
    await joined(bo, community, invitation=await invited(ana, community))
    assert reason(await ana.get("/v1/people/bo/referral")) == (403, "not-your-own")
    assert reason(await membership.machine("scores:read").get("/v1/people/bo/referral")) == (403, "scope-missing")
    assert await referral(membership.machine("import"), "bo") == ("bound", "ana")
    assert await referral(membership.machine("import", "umbrella"), "bo") == ("none", None)
    assert await referral(membership.person("bo", "umbrella"), "bo") == ("none", None)


async def test_organizations_and_persons_with_hyphens_are_not_mixed_up(membership: Served) -> None:
    for organization, person in (("a", "b-c"), ("a-b", "c"), ("a%2Db", "c")):
        owner = membership.person(f"owner of {organization}", organization)
        community = await launched(owner)
        await joined(membership.person(person, organization), community, invitation=await invited(owner, community))
    for organization, person in (("a", "b-c"), ("a-b", "c"), ("a%2Db", "c")):
        found = await referral(membership.person(person, organization), person)
        assert found == ("bound", f"owner of {organization}")


async def forest(served: Served) -> dict[str, str]:
    """Who has which referrer, in the read model, which the facts agree with."""
    kept: dict[str, str] = dict(await rows(served, "select person, referrer from referrals"))
    told = {
        message["person"]: message["referrer"]
        for message in await data_of(served, "membership.member-joined.v1")
        if message["referral"] == "bound"
    }
    assert told == kept
    return kept


def has_loop(referrers: dict[str, str]) -> bool:
    for start in referrers:
        seen, person = {start}, start
        while (person := referrers.get(person, "")) != "":
            if person in seen:
                return True
            seen.add(person)
    return False


def test_loops_are_seen() -> None:
    assert has_loop({"a": "b", "b": "a"}) and has_loop({"a": "b", "b": "c", "c": "b"})
    assert not has_loop({"a": "b", "b": "c", "d": "c"})


@pytest.mark.parametrize(("length", "rounds"), [(2, 25), (5, 12)])
@pytest.mark.parametrize("processes", [1, 2])
async def test_loops_that_race_are_never_closed(
    membership: Served, tmp_path: Path, length: int, rounds: int, processes: int
) -> None:
    """Everybody joins through the next one at the same moment: all but one are bound, whoever is last is not."""
    async with serving(MEMBERSHIP, membership.dsn, tmp_path) as other:
        served = [membership, other][:processes]
        for number in range(rounds):
            people = [f"r{number}p{place}" for place in range(length)]
            homes = await asyncio.gather(*(launched(membership.person(person)) for person in people))
            codes = await asyncio.gather(
                *(invited(membership.person(person), home) for person, home in zip(people, homes, strict=True))
            )
            answers = await asyncio.gather(
                *(
                    served[place % processes]
                    .person(person)
                    .post(f"{homes[place - 1]}/members", {"invitation": codes[place - 1]})
                    for place, person in enumerate(people)
                )
            )
            assert [answer.status_code for answer in answers] == [201] * length
    referrers = await forest(membership)
    assert not has_loop(referrers)
    bound = Counter(person.partition("p")[0] for person in referrers)
    assert bound == {f"r{number}": length - 1 for number in range(rounds)}


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_thousand_join_through_one_inviter_at_once(
    membership: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """The root above the inviter is held shared: joiners neither refuse nor repeat each other, even while that root
    founds communities, for which it holds its own binding alone.
    """
    ana, bo = membership.person("ana"), membership.person("bo")
    homes = [await launched(ana) for _ in range(4)]
    await joined(bo, homes[0], invitation=await invited(ana, homes[0]))
    for home in homes[1:]:
        await joined(bo, home)
    codes = [await invited(bo, home) for home in homes]
    people = [f"p{number}" for number in range(1_000)]
    decided = 0
    decide = Joining.decide

    def counted(self: Joining, known: Known) -> Decision:
        nonlocal decided
        decided += 1
        return decide(self, known)

    monkeypatch.setattr(Joining, "decide", counted)
    async with serving(MEMBERSHIP, membership.dsn, tmp_path) as other:
        services = [MEMBERSHIP.open(served.kernel) for served in (membership, other)][:processes]

        async def join(number: int, person: str) -> Done:
            return await services[number % processes].join(  # without the edge, whose deadline is for single requests
                homes[number % 4].rpartition("/")[2],
                Asked(invitation=codes[number % 4]),
                organization="acme",
                person=person,
                importing=False,
                key=IdempotencyKey(person, "join", "POST", b""),
            )

        answers = await asyncio.gather(
            *(join(number, person) for number, person in enumerate(people)),
            *(founded(ana) for _ in range(20)),
        )
    assert Counter(done.answer.status for done in answers if isinstance(done, Done)) == {201: 1_000}
    assert decided < 1_100
    assert await forest(membership) == {"bo": "ana", **dict.fromkeys(people, "bo")}

"""Versions follow each other in time, and none ever changes what an act was worth."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.ruleset import Published, Rule, Rules, Ruleset, Rulesets
from services.scoring.versions import Publish, Versions, evolve, publish
from shared.errors import Conflict, Invalid

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rules(points: int = 1) -> Rules:
    return Rules(
        acts={"post_published": Rule(weight=1, points=points)}, commission_basis_points=[], commission_hold_days=0
    )


def command(valid_from: datetime, *, now: datetime = NOW, empty: bool | None = False, number: int = 2) -> Publish:
    return Publish(
        organization="acme",
        community=None,
        ruleset=number,
        valid_from=valid_from,
        rules=rules(number),
        published_by="rules-desk",
        journal_empty=empty,
        now=now,
    )


def test_versions_are_numbered_in_turn() -> None:
    first = publish(command(NOW + 6 * MINUTE), Versions())
    second = publish(command(NOW + 7 * MINUTE), evolve(Versions(), first[0]))
    assert [first[0].version, second[0].version] == [1, 2]


@pytest.mark.parametrize("minutes", [-1000, 0, 4.99, 5])
@pytest.mark.parametrize("empty", [False, None])
def test_a_version_for_times_of_which_facts_may_exist_is_refused(minutes: float, empty: bool | None) -> None:
    with pytest.raises(Invalid) as refused:
        publish(command(NOW + minutes * MINUTE, empty=empty), Versions())
    assert refused.value.reason == "valid-from-too-early"


@pytest.mark.parametrize("minutes", [-10_000_000, 0, 5])
def test_before_anything_is_scored_any_time_will_do(minutes: float) -> None:
    assert publish(command(NOW + minutes * MINUTE, empty=True), Versions())


@pytest.mark.parametrize("minutes", [-1, 0])
def test_a_version_from_before_the_last_one_is_refused(minutes: float) -> None:
    start = NOW + timedelta(days=1)
    with pytest.raises(Conflict) as refused:
        publish(command(start + minutes * MINUTE), Versions(1, start))
    assert refused.value.reason == "valid-from-before-the-last-version"


@given(steps=st.lists(st.tuples(st.integers(0, 30), st.integers(-20, 60), st.booleans()), max_size=12))
def test_what_an_act_is_worth_never_changes_once_it_may_have_happened(steps: list[tuple[int, int, bool]]) -> None:
    """Minutes pass, somebody tries to publish for so many minutes from then, for all or for one community."""
    now, number = NOW, 1
    streams = {None: Versions(), "one": Versions()}
    published: list[Published] = []
    fixed: dict[tuple[str, datetime], int] = {}
    for passed, ahead, own in steps:
        now += passed * MINUTE
        community, number = ("one" if own else None), number + 1
        try:
            (event,) = publish(command(now + ahead * MINUTE, now=now, number=number), streams[community])
        except (Invalid, Conflict):
            continue
        streams[community] = evolve(streams[community], event)
        ruleset = Ruleset.of(number, event.version, event.valid_from, event.rules)
        published.append(Published("acme", community, ruleset))
        in_force = Rulesets(published)
        instants = [NOW + minute * MINUTE for minute in range(-5, 400, 5) if NOW + minute * MINUTE <= now + 5 * MINUTE]
        for instant in instants:
            for where in ("one", "another"):
                version = in_force.version_at("acme", where, instant).number
                assert fixed.setdefault((where, instant), version) == version
        # What could have happened by now was priced before this version, too.
        for (where, instant), version in fixed.items():
            assert in_force.version_at("acme", where, instant).number == version

"""Which version of which rules applies to an act, and how versions are stored."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.scoring.ruleset import DEFAULT, NOTHING, Act, Published, Rule, Rules, Ruleset, Rulesets

MAY, JUNE, JULY = (datetime(2026, month, 1, tzinfo=UTC) for month in (5, 6, 7))
BEFORE = timedelta(microseconds=1)


def rules(points: int) -> Rules:
    return Rules(
        acts={"post_published": Rule(weight=1, points=points)}, commission_basis_points=[500], commission_hold_days=3
    )


def version(number: int, valid_from: datetime | None, *, of: str | None = None, version: int = 1) -> Published:
    return Published("acme", of, Ruleset.of(number, version, valid_from, rules(number)))


def in_force(rulesets: Rulesets, *asked: tuple[str, datetime]) -> list[int]:
    return [rulesets.version_at("acme", community, at).number for community, at in asked]


def test_the_shipped_ruleset_applies_where_nothing_is_published_yet() -> None:
    longest_ago = datetime(1931, 5, 1, tzinfo=UTC)
    assert Rulesets().version_at("acme", "c", longest_ago) is DEFAULT
    rulesets = Rulesets([version(2, MAY)])
    assert in_force(rulesets, ("c", longest_ago), ("c", MAY - BEFORE)) == [1, 1]
    assert rulesets.version_at("zenith", "c", JULY) is DEFAULT


def test_a_version_applies_from_its_instant_until_the_next_one() -> None:
    rulesets = Rulesets([version(3, JULY, version=2), version(2, MAY)])
    assert in_force(rulesets, ("c", MAY), ("c", JULY - BEFORE), ("c", JULY)) == [2, 2, 3]


def test_what_is_published_later_for_an_earlier_time_ends_where_the_other_begins() -> None:
    rulesets = Rulesets([version(2, JULY), version(3, JUNE, version=2), version(4, JUNE, version=3)])
    assert in_force(rulesets, ("c", JUNE), ("c", JULY)) == [4, 2]


def test_a_communitys_own_replaces_the_organizations_once_it_is_in_force() -> None:
    rulesets = Rulesets([version(2, MAY), version(3, JUNE, of="c"), version(4, JULY, version=2)])
    assert in_force(rulesets, ("c", JUNE - BEFORE), ("c", JUNE), ("c", JULY)) == [2, 3, 3]
    assert in_force(rulesets, ("d", JUNE), ("d", JULY)) == [2, 4]


def test_a_version_is_found_by_its_number() -> None:
    rulesets = Rulesets([version(2, MAY)])
    assert (rulesets.numbered(1), rulesets.numbered(2).commission_hold_days) == (DEFAULT, 3)
    with pytest.raises(KeyError):
        rulesets.numbered(3)


def test_only_the_shipped_ruleset_has_no_beginning() -> None:
    with pytest.raises(ValueError, match="beginning of time"):
        Rulesets([version(2, None)])


def test_rules_are_stored_and_read_alike_and_what_they_leave_out_is_worth_nothing() -> None:
    assert Rules.decode(rules(7).encode()) == rules(7)
    ruleset = Ruleset.of(2, 1, MAY, rules(7))
    assert ruleset.rules[Act.POST_PUBLISHED].points == 7
    assert ruleset.rules[Act.PURCHASE] == NOTHING


@pytest.mark.parametrize(
    "wrong",
    [
        '{"acts": {"sneezed": {"weight": 1, "points": 1}}, "commission_basis_points": [], "commission_hold_days": 0}',
        '{"acts": {}, "commission_basis_points": [1, 2, 3], "commission_hold_days": 0}',
        '{"acts": {}, "commission_basis_points": [10001], "commission_hold_days": 0}',
        '{"acts": {}, "commission_basis_points": [-1], "commission_hold_days": 0}',
        '{"acts": {}, "commission_basis_points": [], "commission_hold_days": -1}',
        '{"acts": {"purchase": {"weight": -1, "points": 1}}, "commission_basis_points": [], "commission_hold_days": 0}',
    ],
)
def test_rules_out_of_bounds_are_refused(wrong: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        Rules.decode(wrong)

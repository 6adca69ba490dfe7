"""Why a fact changed nothing, or less than the rules wanted: told from the journal and the version in force then."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from services.scoring.inbound import Kind
from services.scoring.ruleset import Act, Ruleset

Nothing: TypeAlias = Literal[
    "about_a_community",
    "joined_before",
    "left",
    "own_content",
    "not_priced",
    "nothing_paid",
    "below_one_point",
    "for_others",
    "undone",
]
"""
about_a_community: it is about nobody.
joined_before: only the first join of a community counts.
left: who leaves is off the boards, and keeps what was earned.
own_content: a reaction to something of one's own.
not_priced: the version in force wants nothing for such an act.
nothing_paid: a purchase of 0 is no activity.
below_one_point: the money makes no whole point more or less.
for_others: it says who earns commission, and changes nothing for the buyer.
undone: a restore of the database that published it has undone it.
"""

LevelReason: TypeAlias = Literal["nobody", "not_priced", "below_one_unit", "refunded_before"]
"""
nobody: the level is empty; nobody moves up.
not_priced: the version in force pays no commission to this level.
below_one_unit: the rate makes no whole minor unit of it.
refunded_before: what was paid back before the purchase was attributed earns nothing.
"""

_ACTS: Mapping[Kind, Act] = {
    Kind.MEMBER_JOINED: Act.MEMBER_JOINED,
    Kind.POST_PUBLISHED: Act.POST_PUBLISHED,
    Kind.POST_REMOVED: Act.POST_PUBLISHED,
    Kind.POST_RESTORED: Act.POST_PUBLISHED,
    Kind.COMMENT_ADDED: Act.COMMENT_ADDED,
    Kind.COMMENT_REMOVED: Act.COMMENT_ADDED,
    Kind.REACTION_ADDED: Act.REACTION_ADDED,
    Kind.REACTION_WITHDRAWN: Act.REACTION_ADDED,
    Kind.CONTENT_SHARED: Act.CONTENT_SHARED,
    Kind.PURCHASE_RECORDED: Act.PURCHASE,
    Kind.PURCHASE_REFUNDED: Act.PURCHASE,
}
"""What is priced by a fact of each kind; others are none of an act."""


class Level(NamedTuple):
    """What one level of a chain got by the attribution.

    Attributes:
        person: who stands there; None: nobody.
        rate: basis points.
        wanted: commission on the whole purchase, minor units.
        given: what was booked.
        reason: why less; None: as wanted.
    """

    level: int
    person: str | None
    rate: int
    wanted: int
    given: int
    reason: LevelReason | None


def why_nothing(kind: Kind, ruleset: Ruleset | None, amount: int | None, *, void: bool = False) -> Nothing:
    """Why a fact without an entry has none.

    Args:
        ruleset: in force when the act occurred, as journaled; None: there was no act to price.
        amount: minor units, of a fact about money.
        void: a restore has undone it.
    """
    if void:
        return "undone"
    match kind:
        case Kind.COMMUNITY_FOUNDED | Kind.COMMUNITY_LAUNCHED:
            return "about_a_community"
        case Kind.MEMBER_LEFT:
            return "left"
        case Kind.PURCHASE_ATTRIBUTED:
            return "for_others"
        case Kind.REACTION_ADDED | Kind.REACTION_WITHDRAWN if ruleset is None:
            return "own_content"
        case Kind.MEMBER_JOINED if ruleset is None:
            return "joined_before"
    assert ruleset is not None, "what is left are acts"
    rule = ruleset.rules[_ACTS[kind]]
    if rule.minor_units_per_point is None and not (rule.points or rule.weight):
        return "not_priced"
    return "below_one_point" if amount else "nothing_paid"


def levels(ruleset: Ruleset, commissionable: int, chain: Sequence[str | None], booked: dict[int, int]) -> list[Level]:
    """What each level of a chain got by the attribution, and why less than the rate says.

    Args:
        ruleset: in force at the purchase.
        commissionable: of the purchase, before any refund; minor units.
        chain: who stands at level 1, 2; shorter where nobody does.
        booked: by level, the amount that the attribution booked.
    """
    rates = list(ruleset.commission_basis_points)
    found = []
    for number in range(1, max(len(rates), len(chain)) + 1):
        person = chain[number - 1] if number <= len(chain) else None
        rate = rates[number - 1] if number <= len(rates) else 0
        wanted, given = commissionable * rate // 10_000, booked.get(number, 0)
        found.append(Level(number, person, rate, wanted, given, _less(person, rate, wanted, given)))
    return found


def _less(person: str | None, rate: int, wanted: int, given: int) -> LevelReason | None:
    if person is None:
        return "nobody"
    if rate == 0:
        return "not_priced"
    if wanted == 0:
        return "below_one_unit"
    return "refunded_before" if given < wanted else None

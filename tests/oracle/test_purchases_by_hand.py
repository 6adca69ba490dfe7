"""Tables of purchases, refunds and commission, worked by hand: asked of the oracle and of the service's projection."""

from datetime import UTC, datetime, timedelta

from tests.oracle.conftest import WorkOut
from tests.oracle.oracle import DEFAULT, Booking, Ruleset, Scores, Version
from tests.oracle.told import MARCH_1, activity, later, points
from tests.scoring.story import NOON, Story

HOLD_ENDS = datetime(2026, 3, 16, 12, tzinfo=UTC)
"""15 days after NOON."""
CHEAP = Ruleset(2, DEFAULT.prices, divisor=1000, levels=(800, 250), hold_days=0)
TWO_LEVELS = Ruleset(2, DEFAULT.prices, levels=(1000, 250))
BEFORE = NOON - timedelta(days=1)


async def test_points_of_a_purchase_and_of_its_refunds(work_out: WorkOut, story: Story, town: str) -> None:
    """10.50 paid back in three equal parts. Each part alone is floor(3.5) = 3 points, 9 in all: one would be left."""
    bought = story.bought("ana", town, 1050)
    facts = [bought, *(story.refunded(bought, 350, at=later(n)) for n in (1, 2, 3))]
    scores = await work_out(facts)
    # Left: 1050, 700, 350, 0; points 10, 7, 3, 0.
    assert points(scores, facts) == [(10, 10), (-3, -3), (-4, -4), (-3, -3)]
    assert activity(scores, facts) == [20, 0, 0, -20]
    assert (scores.points, scores.day_scores) == ({}, {})


async def test_a_purchase_counts_as_activity_until_its_last_cent_is_paid_back(
    work_out: WorkOut, story: Story, town: str
) -> None:
    bought = story.bought("ana", town, 1_000)
    refund = story.refunded(bought, 999, at=NOON + timedelta(days=40))
    scores = await work_out([bought, refund])
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 20}}
    assert points(scores, [bought, refund]) == [(10, 10), (-10, -10)]


async def test_purchases_have_no_cap_and_round_down_each(work_out: WorkOut, story: Story, town: str) -> None:
    facts = [story.bought("ana", town, 199, at=later(n)) for n in range(7)]
    scores = await work_out(facts)
    assert scores.points == {("acme", "ana", town): 7}
    assert scores.day_scores == {("acme", "ana", town): {MARCH_1: 140}}


async def test_an_order_of_nothing(work_out: WorkOut, story: Story, town: str) -> None:
    bought = story.bought("ana", town, 0)
    assert await work_out([bought, story.attributed(bought, "bo", "cai")]) == Scores()


async def test_the_largest_order(work_out: WorkOut, story: Story, town: str) -> None:
    """10¹² minor units, all but one commissionable: products of more than 64 bits on the way."""
    bought = story.bought("ana", town, 1_000_000_000_000, commissionable=999_999_999_999)
    facts = [bought, story.attributed(bought, "bo"), story.refunded(bought, 999_999_999_999, at=later(9))]
    scores = await work_out(facts)
    assert points(scores, facts) == [(10**10, 10**10), (0, 0), (-(10**10), -(10**10))]
    # 999,999,999,999 / 10 = 99,999,999,999.9; one minor unit is left of which 0.999… is commissionable: nothing.
    assert [booking.amount for booking in scores.commission.values()] == [99_999_999_999, -99_999_999_999]
    assert scores.earned == {}


async def test_a_refund_is_priced_as_the_purchase_was(work_out: WorkOut, story: Story, town: str) -> None:
    versions = [Version("acme", None, later(5), CHEAP)]
    bought = story.bought("ana", town, 1_000)
    facts = [bought, story.attributed(bought, "bo", at=later(6)), story.refunded(bought, 500, at=later(7))]
    scores = await work_out(facts, versions)
    assert points(scores, facts) == [(10, 10), (0, 0), (-5, -5)]
    assert {booking.rate for booking in scores.commission.values()} == {1000}
    assert {effect.ruleset for effect in scores.effects.values()} == {1}
    assert scores.earned == {("acme", "bo", town): 50}


# --- Commission ---


async def test_three_refunds_whose_floors_differ(work_out: WorkOut, story: Story, town: str) -> None:
    """1050 paid, 1007 of it commissionable, 10 % and 2.5 %, paid back in three equal parts.

    | left | commissionable          | level 1 | level 2             |
    |-----:|-------------------------|--------:|--------------------:|
    | 1050 | 1007                    |     100 | floor(25.175) = 25  |
    |  700 | floor(671.33…) = 671    |      67 | floor(16.775) = 16  |
    |  350 | floor(335.66…) = 335    |      33 | floor( 8.375) =  8  |
    |    0 | 0                       |       0 | 0                   |

    Each part alone would be floor(33.5) = 33 and floor(8.375) = 8: 99 and 24 taken back, one minor unit left at either.
    """
    versions = [Version("acme", None, BEFORE, TWO_LEVELS)]
    bought = story.bought("cai", town, 1050, commissionable=1007, purchase=(purchase := story.community()))
    refunds = ["0193a5b2-0c11-7d0e-8a55-000000000001", "0193a5b2-0c11-7d0e-8a55-000000000002"]
    refunds += ["0193a5b2-0c11-7d0e-8a55-000000000003"]
    facts = [bought, story.attributed(bought, "bo", "ana")]
    facts += [story.refunded(bought, 350, refund=refund, at=later(2 + n)) for n, refund in enumerate(refunds)]
    scores = await work_out(facts, versions)
    assert scores.commission == {
        (purchase, None, 1): Booking("bo", 100, 1000, HOLD_ENDS),
        (purchase, None, 2): Booking("ana", 25, 250, HOLD_ENDS),
        (purchase, refunds[0], 1): Booking("bo", -33, 1000, HOLD_ENDS),
        (purchase, refunds[0], 2): Booking("ana", -9, 250, HOLD_ENDS),
        (purchase, refunds[1], 1): Booking("bo", -34, 1000, HOLD_ENDS),
        (purchase, refunds[1], 2): Booking("ana", -8, 250, HOLD_ENDS),
        (purchase, refunds[2], 1): Booking("bo", -33, 1000, HOLD_ENDS),
        (purchase, refunds[2], 2): Booking("ana", -8, 250, HOLD_ENDS),
    }
    assert scores.earned == {}


async def test_what_is_commissionable_is_rounded_before_the_rate_is_applied(
    work_out: WorkOut, story: Story, town: str
) -> None:
    """5 of 9 commissionable at 30 %: 1.5. After a refund of 3: floor(3.33…) = 3, of which 0.9. Unrounded it were 1."""
    versions = [Version("acme", None, BEFORE, Ruleset(2, DEFAULT.prices, levels=(3000,)))]
    bought = story.bought("cai", town, 9, commissionable=5)
    facts = [bought, story.attributed(bought, "bo"), story.refunded(bought, 3, at=later(2))]
    scores = await work_out(facts, versions)
    assert [booking.amount for booking in scores.commission.values()] == [1, -1]


async def test_a_refund_before_the_attribution(work_out: WorkOut, story: Story, town: str) -> None:
    """10.01 of which 3.34 were paid back when the chain is fixed; another 3.34 afterwards."""
    bought = story.bought("cai", town, 1001, purchase=(purchase := story.community()))
    refund = "0193a5b2-0c11-7d0e-8a55-000000000001"
    facts = [
        bought,
        story.refunded(bought, 334, at=later(1)),
        story.attributed(bought, "bo", at=later(2)),
        story.refunded(bought, 334, refund=refund, at=later(3)),
    ]
    scores = await work_out(facts)
    # Left 1001, 667, 333: 10 % are 100, 66, 33. Nobody was due anything at the first refund.
    assert scores.commission == {
        (purchase, None, 1): Booking("bo", 66, 1000, HOLD_ENDS),
        (purchase, refund, 1): Booking("bo", -33, 1000, HOLD_ENDS),
    }
    assert scores.earned == {("acme", "bo", town): 33}


async def test_everything_was_paid_back_before_the_attribution(work_out: WorkOut, story: Story, town: str) -> None:
    bought = story.bought("cai", town, 1000)
    facts = [bought, story.refunded(bought, 1000, at=later(1)), story.attributed(bought, "bo", at=later(2))]
    scores = await work_out(facts)
    assert (scores.commission, scores.earned) == ({}, {})


async def test_a_level_without_a_rate_earns_nothing(work_out: WorkOut, story: Story, town: str) -> None:
    bought = story.bought("cai", town, 1000)
    scores = await work_out([bought, story.attributed(bought, "bo", "ana")])
    assert scores.earned == {("acme", "bo", town): 100}


async def test_commission_is_of_the_community_of_the_purchase(work_out: WorkOut, story: Story) -> None:
    one, other = story.community(), story.community()
    first, second = story.bought("cai", one, 1000), story.bought("dee", other, 2000)
    facts = [first, story.attributed(first, "bo"), second, story.attributed(second, "bo")]
    scores = await work_out(facts)
    assert scores.earned == {("acme", "bo", one): 100, ("acme", "bo", other): 200}


async def test_commission_is_payable_fifteen_days_after_the_purchase_to_the_second(
    work_out: WorkOut, story: Story, town: str
) -> None:
    early = story.bought("cai", town, 1000, at=datetime(2026, 2, 14, 23, 59, 59, tzinfo=UTC))
    late = story.bought("cai", town, 500, at=datetime(2026, 2, 15, tzinfo=UTC))
    facts = [early, late, story.attributed(early, "bo"), story.attributed(late, "bo")]
    facts += [story.refunded(early, 300, at=datetime(2026, 3, 5, tzinfo=UTC))]
    scores = await work_out(facts)
    # February has 28 days: 15 days after the 14th, 23:59:59, is the 1st of March, 23:59:59.
    assert scores.commission_at(datetime(2026, 3, 1, 23, 59, 58, 999_999, tzinfo=UTC), "bo") == (120, 0)
    assert scores.commission_at(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), "bo") == (50, 70)
    assert scores.commission_at(datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC), "bo") == (50, 70)
    assert scores.commission_at(datetime(2026, 3, 2, tzinfo=UTC), "bo") == (0, 120)


async def test_when_everything_is_taken_back_nothing_is_left_and_nothing_owed(
    work_out: WorkOut, story: Story, town: str
) -> None:
    """Prices are not negative and nothing can be spent yet: a balance ends at zero, not below."""
    posts = [story.published("ana", town, at=later(n)) for n in range(7)]
    comments = [story.commented("ana", town, at=later(n)) for n in range(11)]
    reactions = [story.reacted("ana", town, at=later(n)) for n in range(21)]
    bought = story.bought("ana", town, 12_345)
    done = [*posts, *comments, *reactions, bought, story.attributed(bought, "bo")]
    back = [story.removed(post, at=later(60)) for post in posts]
    back += [story.comment_removed(comment, at=later(60)) for comment in comments]
    back += [story.reaction_withdrawn(reaction, at=later(60)) for reaction in reactions]
    back += [story.refunded(bought, 12_345, at=later(60))]
    scores = await work_out([*done, *back])
    assert sum(given for _, given in points(scores, done)) == 243  # 50 + 50 + 20 + 123
    assert sum(given for _, given in points(scores, back)) == -243
    assert (scores.points, scores.day_scores, scores.earned) == ({}, {}, {})

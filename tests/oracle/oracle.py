"""The scoring rules once more, written from their text alone: plain facts in, every number out.

Nothing here is shared with the service, nothing is kept between calls, and nothing is fast. A fact is a dict as in the
published messages, with its `type` and event `id`; times are aware datetimes, days are dates. Only what one fact
changes (`Scores.effects`, `Scores.commission`) depends on the order of the facts; totals do not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Fact = Mapping[str, Any]
Member = tuple[str, str, str]
"""Organization, person, community."""

ACTS = {
    "membership.member-joined.v1": ("member_joined", "person", "join", 1),
    "content.post-published.v1": ("post_published", "author", "post", 1),
    "content.post-removed.v1": ("post_published", "author", "post", -1),
    "content.post-restored.v1": ("post_published", "author", "post", 1),
    "content.comment-added.v1": ("comment_added", "author", "comment", 1),
    "content.comment-removed.v1": ("comment_added", "author", "comment", -1),
    "content.reaction-added.v1": ("reaction_added", "person", "reaction", 1),
    "content.reaction-withdrawn.v1": ("reaction_added", "person", "reaction", -1),
    "content.content-shared.v1": ("content_shared", "sharer", "share", 1),
}
"""Type of fact: which act, whose, what names it, and whether it stands (1) or is taken back (-1) from then on."""

RECORDED = "campaigns.purchase-recorded.v1"
ATTRIBUTED = "campaigns.purchase-attributed.v1"
REFUNDED = "campaigns.purchase-refunded.v1"


Price = tuple[int, int, int | None]
"""Of an act: activity weight, points, daily cap."""


@dataclass(frozen=True)
class Ruleset:
    """One version; `divisor`: minor units for a point, `levels`: basis points of each."""

    number: int
    prices: Mapping[str, Price]
    divisor: int = 100
    levels: tuple[int, ...] = (1000,)
    hold_days: int = 15


DEFAULT = Ruleset(
    1,
    {
        "post_published": (10, 10, 5),
        "comment_added": (5, 5, 10),
        "reaction_added": (1, 1, 20),
        "content_shared": (8, 8, 5),
        "member_joined": (5, 0, None),
        "purchase": (20, 0, None),
    },
)


class Version(NamedTuple):
    """A ruleset of an organization, or of one of its communities, and since when it is valid."""

    organization: str
    community: str | None
    valid_from: datetime
    ruleset: Ruleset


def in_force(versions: Iterable[Version], organization: str, community: str, at: datetime) -> Ruleset:
    """The ruleset for an act at that time: the community's own, else the organization's, else the default."""
    for scope in (community, None):
        started = [v for v in versions if v[:2] == (organization, scope) and v.valid_from <= at]
        if started:
            return max(started, key=lambda version: (version.valid_from, version.ruleset.number)).ruleset
    return DEFAULT


class Effect(NamedTuple):
    """What one fact changed in a person's points and day scores; wanted: without the cap."""

    person: str
    act: str
    ruleset: int
    points_wanted: int
    points_given: int
    weight_wanted: int
    weight_given: int

    @property
    def reason(self) -> str | None:
        return None if (self[3], self[5]) == (self[4], self[6]) else "daily_cap"


class Booking(NamedTuple):
    """An entry of commission, minor units."""

    person: str
    amount: int
    rate: int
    payable_at: datetime


@dataclass
class Order:
    """A purchase as far as it has come."""

    paid: int
    commissionable: int
    day: date
    ruleset: Ruleset
    payable_at: datetime
    refunded: int = 0
    chain: tuple[tuple[int, str], ...] = ()

    @property
    def points(self) -> int:
        return (self.paid - self.refunded) // self.ruleset.divisor

    @property
    def stands(self) -> bool:
        return self.refunded < self.paid

    def due(self, level: int) -> int:
        net = self.commissionable * (self.paid - self.refunded) // self.paid if self.paid else 0
        return net * self.rate(level) // 10_000

    def rate(self, level: int) -> int:
        return self.ruleset.levels[level - 1] if level <= len(self.ruleset.levels) else 0


class Tally:
    """What one person did in one community; its numbers are computed anew whenever they are asked for."""

    def __init__(self) -> None:
        self.acts: dict[tuple[str, str], tuple[date, Ruleset]] = {}
        self.standing: Counter[tuple[str, str]] = Counter()
        self.orders: dict[str, Order] = {}

    def counted(self) -> dict[tuple[date, str, int], tuple[Ruleset, int]]:
        """Day, act and version to (ruleset, how many count)."""
        done = [(day, act, rules) for (act, name), (day, rules) in self.acts.items() if self.standing[act, name] > 0]
        done += [(order.day, "purchase", order.ruleset) for order in self.orders.values() if order.stands]
        numbers = Counter((day, act, rules.number) for day, act, rules in done)
        rules_of = {rules.number: rules for _, _, rules in done}
        return {
            key: (rules_of[key[2]], n if (cap := rules_of[key[2]].prices[key[1]][2]) is None else min(n, cap))
            for key, n in numbers.items()
        }

    def day_scores(self) -> dict[date, int]:
        scores: Counter[date] = Counter()
        for (day, act, _), (rules, effective) in self.counted().items():
            scores[day] += rules.prices[act][0] * effective
        return {day: score for day, score in scores.items() if score}

    def points(self) -> int:
        priced = sum(rules.prices[act][1] * effective for (_, act, _), (rules, effective) in self.counted().items())
        return priced + sum(order.points for order in self.orders.values())


@dataclass
class Scores:
    """All numbers. Facts without an effect have no entry in `effects`.

    Attributes:
        effects: by event id.
        commission: by purchase, refund (None: the attribution) and level.
    """

    day_scores: dict[Member, dict[date, int]] = field(default_factory=dict)
    points: dict[Member, int] = field(default_factory=dict)
    effects: dict[str, Effect] = field(default_factory=dict)
    commission: dict[tuple[str, str | None, int], Booking] = field(default_factory=dict)
    earned: dict[Member, int] = field(default_factory=dict)

    def without_zeros(self) -> "Scores":
        """The same, without what is nothing: whether nothing has a row is not a question of the rules."""
        return Scores(
            self.day_scores,
            {member: points for member, points in self.points.items() if points},
            {event: effect for event, effect in self.effects.items() if any(effect[3:])},
            {key: booking for key, booking in self.commission.items() if booking.amount},
            {member: amount for member, amount in self.earned.items() if amount},
        )

    def balance(self, organization: str, person: str) -> int:
        return sum(points for member, points in self.points.items() if member[:2] == (organization, person))

    def commission_at(self, now: datetime, person: str) -> tuple[int, int]:
        """(pending, payable) of a person."""
        own = [booking for booking in self.commission.values() if booking.person == person]
        payable = sum(booking.amount for booking in own if booking.payable_at <= now)
        return sum(booking.amount for booking in own) - payable, payable


def score(facts: Iterable[Fact], versions: Sequence[Version] = ()) -> Scores:
    """Everything that follows from these facts, taken in this order."""
    tallies: defaultdict[Member, Tally] = defaultdict(Tally)
    scores, earned = Scores(), Counter[Member]()
    for fact in facts:
        place = fact["organization"], fact["community"]
        acted_at = fact.get("act_occurred_at", fact["occurred_at"])
        rules = in_force(versions, *place, acted_at)
        if fact["type"] in ACTS:
            act, whose, name, sign = ACTS[fact["type"]]
            if not fact.get("counts", True) or not fact.get("first_in_community", True):
                continue
            member = place[0], fact[whose], place[1]
            tally = tallies[member]
            before = tally.points(), sum(tally.day_scores().values())
            done = act, fact.get(name) or fact["id"]
            tally.acts.setdefault(done, (fact.get("act_local_day", fact["local_day"]), rules))
            tally.standing[done] += sign
            weight, points, _ = rules.prices[act]
            scores.effects[fact["id"]] = effect(fact[whose], act, rules, before, tally, (sign * points, sign * weight))
        elif fact["type"] in (RECORDED, REFUNDED, ATTRIBUTED):
            member = place[0], fact["buyer"], place[1]
            tally = tallies[member]
            before = tally.points(), sum(tally.day_scores().values())
            weight, points, _ = rules.prices["purchase"]
            orders, purchase = tally.orders, fact["purchase"]
            if fact["type"] == RECORDED:
                payable_at = acted_at + timedelta(days=rules.hold_days)
                orders[purchase] = Order(
                    fact["paid_minor"], fact["commissionable_minor"], fact["local_day"], rules, payable_at
                )
                stands = orders[purchase].stands
                wanted = orders[purchase].points + stands * points, stands * weight
                scores.effects[fact["id"]] = effect(fact["buyer"], "purchase", rules, before, tally, wanted)
            elif fact["type"] == REFUNDED:
                order = orders[purchase]
                due, had = {level: order.due(level) for level, _ in order.chain}, order.points
                order.refunded += fact["amount_minor"]
                gone = not order.stands
                wanted = order.points - had - gone * points, -gone * weight
                scores.effects[fact["id"]] = effect(fact["buyer"], "purchase", rules, before, tally, wanted)
                book(scores, earned, fact, order, {level: order.due(level) - due[level] for level in due})
            else:
                order = orders[purchase]
                order.chain = tuple((link["level"], link["person"]) for link in fact["chain"])
                book(scores, earned, fact, order, {level: order.due(level) for level, _ in order.chain})
    scores.day_scores = {member: days for member, tally in tallies.items() if (days := tally.day_scores())}
    scores.points = {member: tally.points() for member, tally in tallies.items()}
    scores.earned = dict(earned)
    return scores


def effect(
    person: str, act: str, rules: Ruleset, before: tuple[int, int], tally: Tally, wanted: tuple[int, int]
) -> Effect:
    """The difference between the numbers before and now."""
    given = tally.points() - before[0], sum(tally.day_scores().values()) - before[1]
    return Effect(person, act, rules.number, wanted[0], given[0], wanted[1], given[1])


def book(scores: Scores, earned: Counter[Member], fact: Fact, order: Order, amounts: Mapping[int, int]) -> None:
    """Enter what a purchase brings to those in its chain, or takes from them; nothing where no rate is set."""
    for level, person in order.chain:
        if rate := order.rate(level):
            key = fact["purchase"], fact.get("refund"), level
            scores.commission[key] = Booking(person, amounts[level], rate, order.payable_at)
            earned[fact["organization"], person, fact["community"]] += amounts[level]


# --- Activity ---


@cache
def root(number: int, degree: int) -> int:
    """The largest integer whose power of that degree is not above the number."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= number else (low, middle)
    return low


def rank_key(day_scores: Mapping[date, int], half_life: int = 7) -> tuple[int, int] | None:
    """(exponent, mantissa) such that activity on 1970-01-01 would be about mantissa × 2^exponent; None: no score."""
    days = {(day - date(1970, 1, 1)).days: score for day, score in day_scores.items() if score}
    if not days:
        return None
    newest = max(day // half_life for day in days)
    total = sum(
        score * root(2 ** (62 * half_life + day % half_life), half_life) * 2 ** (day // half_life - newest + 60)
        for day, score in days.items()
        if day // half_life >= newest - 60
    )
    dropped = total.bit_length() - 40
    mantissa = (total + (1 << (dropped - 1))) >> dropped
    if mantissa == 1 << 40:
        mantissa, dropped = 1 << 39, dropped + 1
    return dropped + newest - 60 - 62, mantissa


def exact_activity(day_scores: Mapping[date, int], day: date, half_life: int = 7, bits: int = 80) -> Fraction:
    """Activity on a local day, right to `bits` binary digits behind the point of each day's share."""
    total = Fraction(0)
    for scored, score in day_scores.items():
        age = (day - scored).days
        if age >= 0:
            # 2^(-age/h) = the h-th root of 2^(bits×h - age), bits digits further left
            total += Fraction(score * root(2 ** max(bits * half_life - age, 0), half_life), 2**bits)
    return total


def board(values: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Competition ranks (1, 2, 2, 4) by value from the top, equal ones by person id."""
    people = sorted(sorted(values), key=lambda person: values[person], reverse=True)
    return [(1 + sum(values[other] > values[person] for other in people), person) for person in people]


def local_day(occurred_at: datetime, now: datetime, zone: str) -> date:
    """The day that is stamped into a fact which is recorded now."""
    return min(occurred_at, now).astimezone(ZoneInfo(zone)).date()

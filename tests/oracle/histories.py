"""Random histories that go where the rules have corners: few days, low caps, versions within a day, floors."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.messaging.facts import InboundFact
from tests.oracle.oracle import DEFAULT, Price, Ruleset, Version
from tests.scoring.story import Story

PLACES = [("acme", "UTC"), ("acme", "Asia/Shanghai"), ("rivals", "America/Los_Angeles")]
"""Organization and zone of three communities."""

PEOPLE = ["ana", "bo", "cai", "dee"]
_START = datetime(2026, 3, 1, 14, tzinfo=UTC)
INSTANTS = [_START + timedelta(minutes=30 * n, microseconds=n % 2) for n in range(40)]
"""Within them it is midnight once in each zone. What takes an act back may be told to occur before it: no matter."""

TAKES_BACK = {"published": "removed", "commented": "comment_removed", "reacted": "reaction_withdrawn"}


@dataclass
class Act:
    fact: InboundFact
    kind: str
    stands: bool = True


@dataclass
class Purchase:
    fact: InboundFact
    left: int
    attributed: bool = False


@dataclass
class History:
    """Facts in the order in which they are told; `versions` as they were published before."""

    story: Story
    communities: list[str]
    versions: list[Version] = field(default_factory=list)
    facts: list[InboundFact] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    members: dict[tuple[str, int], bool] = field(default_factory=dict)

    def in_full(self) -> str:
        """For who reads a counterexample."""
        lines = [f"{version}" for version in self.versions]
        lines += [f"{fact.event_id} {fact.type} {fact.value.decode()}" for fact in self.facts]
        return "\n".join(["", *lines])

    def at(self, place: int) -> str:
        """The story goes on in that community."""
        self.story.organization, self.story.zone = PLACES[place]
        return self.communities[place]

    def tell(self, fact: InboundFact) -> InboundFact:
        self.facts.append(fact)
        return fact

    def act(self, kind: str, person: str, place: int, at: datetime, **other: Any) -> None:
        fact = self.tell(getattr(self.story, kind)(person, self.at(place), at=at, **other))
        self.acts.append(Act(fact, kind))

    def join_or_leave(self, person: str, place: int, at: datetime) -> None:
        town, active = self.at(place), self.members.get((person, place))
        fact = self.story.left(person, town, at=at) if active else None
        self.tell(fact or self.story.joined(person, town, at=at, first=active is None))
        self.members[person, place] = not active

    def take_back_or_restore(self, number: int, at: datetime) -> None:
        act = self.acts[number % len(self.acts)]
        self.same_place(act.fact)
        if act.stands and act.kind in TAKES_BACK:
            self.tell(getattr(self.story, TAKES_BACK[act.kind])(act.fact, at=at))
            act.stands = False
        elif act.kind == "published":
            self.tell(self.story.restored(act.fact, at=at))
            act.stands = True

    def buy(self, person: str, place: int, at: datetime, paid: int, commissionable: int) -> None:
        bought = self.story.bought(person, self.at(place), paid, commissionable=commissionable, at=at)
        self.purchases.append(Purchase(self.tell(bought), paid))

    def refund(self, number: int, part: int, at: datetime) -> None:
        """Pay back what is left divided by so much: by 3, 2 and 1 in turn are three equal parts."""
        purchase = self.purchases[number % len(self.purchases)]
        self.same_place(purchase.fact)
        if amount := purchase.left // part:
            self.tell(self.story.refunded(purchase.fact, amount, at=at))
            purchase.left -= amount

    def attribute(self, number: int, chain: list[str]) -> None:
        purchase = self.purchases[number % len(self.purchases)]
        self.same_place(purchase.fact)
        if not purchase.attributed:
            links = [person for person in chain if person != purchase.fact.key][:2]
            self.tell(self.story.attributed(purchase.fact, *links))
            purchase.attributed = True

    def same_place(self, fact: InboundFact) -> None:
        """The story goes on where the fact happened."""
        self.at(next(n for n, community in enumerate(self.communities) if community.encode() in fact.value))


prices: st.SearchStrategy[Price] = st.tuples(
    st.sampled_from([0, 1, 3, 10, 1_000_000]),
    st.sampled_from([0, 1, 7, 1_000_000]),
    st.sampled_from([None, 0, 1, 2, 3]),
)
purchase_prices: st.SearchStrategy[Price] = st.tuples(
    st.sampled_from([0, 20]), st.sampled_from([0, 3]), st.sampled_from([None, 1, 2])
)


@st.composite
def rulesets(draw: st.DrawFn, number: int) -> Ruleset:
    low = {act: (weight, points, 2) for act, (weight, points, _) in DEFAULT.prices.items()}
    drawn = {act: draw(st.sampled_from([low[act]]) | prices) for act in low}
    return Ruleset(
        number,
        drawn | {"purchase": draw(purchase_prices)},
        divisor=draw(st.sampled_from([1, 7, 100, 10**12])),
        levels=draw(st.sampled_from([(333, 777), (1000, 250), (9999, 3000), (1000,), (10_000, 10_000), (0, 500), ()])),
        hold_days=draw(st.sampled_from([0, 15, 3650])),
    )


@st.composite
def follow(draw: st.DrawFn, history: History, step: str, number: st.SearchStrategy[int]) -> None:
    """Refund a purchase, or attribute it."""
    purchase = draw(number)
    if step == "e":
        for part in draw(st.sampled_from([(1,), (2,), (3, 2, 1), (3, 2, 1)])):
            history.refund(purchase, part, draw(st.sampled_from(INSTANTS)))
    else:
        history.attribute(
            purchase, draw(st.permutations([*PEOPLE, "a stranger"]))[: draw(st.sampled_from([0, 1, 3, 3, 3]))]
        )


@st.composite
def histories(draw: st.DrawFn, steps: str = "aaabbcdddef") -> History:
    """A history of such steps: a: acts, b: takes back, c: joins and leaves, d: buys, e: refunds, f: attributes."""
    story = Story()
    history = History(story, [story.community() for _ in PLACES])
    scopes = [("acme", None), ("rivals", None), *((org, history.communities[n]) for n, (org, _) in enumerate(PLACES))]
    early = INSTANTS[0] - timedelta(days=9)
    starts = st.sampled_from([early, *INSTANTS[::10]])
    published = draw(st.lists(st.tuples(st.sampled_from(scopes), starts), max_size=4))
    if draw(st.booleans()):
        published.append((scopes[0], early))
    for number, (scope, start) in enumerate(dict.fromkeys(published), start=2):
        history.versions.append(Version(*scope, start, draw(rulesets(number))))
    who, where, when = st.sampled_from(PEOPLE), st.integers(0, len(PLACES) - 1), st.sampled_from(INSTANTS)
    paid = st.sampled_from([0, 1, 9, 999, 1050, 10**12]) | st.integers(1, 100_000)
    for step in draw(st.lists(st.sampled_from(steps), min_size=4, max_size=25)):
        match step:
            case "a":
                kind = draw(st.sampled_from(["published", "commented", "reacted", "shared"]))
                person, place, instants = draw(who), draw(where), [draw(when), draw(when)]
                for n in range(draw(st.sampled_from([1, 2, 3, 6]))):
                    history.act(kind, person, place, instants[n % 2])
            case "b" if history.acts:
                history.take_back_or_restore(draw(st.integers(0, 100)), draw(when))
            case "c":
                history.act("reacted", draw(who), draw(where), draw(when), counts=False)
                history.join_or_leave(draw(who), draw(where), draw(when))
            case "d":
                amount = draw(paid)
                history.buy(
                    draw(who),
                    draw(where),
                    draw(when),
                    amount,
                    draw(st.sampled_from([amount, amount // 3, amount * 5 // 9])),
                )
                for follows in draw(st.sampled_from(["", "f", "fe", "fe", "ef", "efe", "efe"])):
                    draw(follow(history, follows, st.just(-1)))
            case "e" | "f" if history.purchases:
                draw(follow(history, step, st.integers(0, 100)))
    return history


@st.composite
def deliveries(draw: st.DrawFn, facts: list[InboundFact]) -> list[list[InboundFact]]:
    """The facts in batches; one lane may be far ahead of another, each keeps its own order."""
    lanes = draw(st.permutations(sorted({fact.partition for fact in facts})))
    if draw(st.booleans()):
        facts = sorted(facts, key=lambda fact: lanes.index(fact.partition))
    size = draw(st.sampled_from([1, 3, len(facts) or 1]))
    return [facts[n : n + size] for n in range(0, len(facts), size)]

"""Fold the facts of one lane in journal order, in memory: scorecards change, and the rows that tell of it come out."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from services.scoring.inbound import (
    CommentAdded,
    CommentRemoved,
    CommunityFact,
    CommunityFounded,
    CommunityLaunched,
    ContentShared,
    Done,
    MemberJoined,
    MemberLeft,
    Message,
    PostPublished,
    PostRemoved,
    PostRestored,
    PurchaseAttributed,
    PurchaseFact,
    PurchaseRecorded,
    PurchaseRefunded,
    ReactionAdded,
    ReactionWithdrawn,
    TakenBack,
    Undone,
)
from services.scoring.meeting import Met
from services.scoring.memory import LaneMemory
from services.scoring.orders import OrderBook
from services.scoring.rows import entry_row, journal_row
from services.scoring.ruleset import NO_PURCHASE, Act, Effect, Ruleset, Rulesets
from services.scoring.scorecard import NeverDone, Standing, Touched
from shared.messaging.facts import Poison

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class LaneFold:
    """One batch of one lane. Everybody whom it is about is known to the memory, and has a number.

    Args:
        orders: after all purchase facts of the batch.

    Attributes:
        journal: the rows of `journal`, one per fact, in order.
        entries: the rows of `point_entries`.
        touched: standings that changed.
    """

    def __init__(self, memory: LaneMemory, rulesets: Rulesets, orders: OrderBook) -> None:
        self.memory = memory
        self.orders = orders
        self.journal: list[bytes] = []
        self.entries: list[bytes] = []
        self.touched: dict[Standing, Touched] = {}
        self._rulesets = rulesets

    def add(self, batch: Iterable[Met]) -> None:
        """Fold the next facts.

        Raises:
            Poison: one takes back what was never done, or an id in it is none.
        """
        memory = self.memory
        for met in batch:
            message = met.message
            _FOLDS[type(message)](self, met, message)
            memory.next_seq += 1

    def finish(self) -> None:
        """Bring the rank keys of what was touched up to date."""
        for standing, touch in self.touched.items():
            if touch.counts:
                standing.rekey()

    def _undone(self, met: Met, message: Undone) -> None:
        """It keeps its number, and nothing else."""

    def _nothing(self, met: Met, message: CommunityFact) -> None:
        self._note(met)

    def _joined(self, met: Met, message: MemberJoined) -> None:
        standing, touch = self._touch(met)
        standing.active = touch.membership = True
        if message.first_in_community:
            self._count(met, Act.MEMBER_JOINED, None, message.local_day, message.occurred_at, 1)
        else:
            self._note(met)

    def _left(self, met: Met, message: MemberLeft) -> None:
        standing, touch = self._touch(met)
        standing.active, touch.membership = False, True
        self._note(met)

    def _done(self, met: Met, message: Done) -> None:
        self._count(met, message.act, message.act_id, message.local_day, message.occurred_at, 1)

    def _taken_back(self, met: Met, message: TakenBack) -> None:
        self._count(met, message.act, message.act_id, message.act_local_day, message.act_occurred_at, -1)

    def _restored(self, met: Met, message: PostRestored) -> None:
        self._count(met, message.act, message.act_id, message.act_local_day, message.act_occurred_at, 1)

    def _reacted(self, met: Met, message: ReactionAdded) -> None:
        if message.counts:
            self._done(met, message)
        else:
            self._note(met, message.act_id)

    def _reaction_withdrawn(self, met: Met, message: ReactionWithdrawn) -> None:
        if message.counts:
            self._taken_back(met, message)
        else:
            self._note(met, message.act_id)

    def _purchase(self, met: Met, message: PurchaseFact) -> None:
        worth = self.orders.worth[met.fact.event_id]
        order, effect = worth.order, NO_PURCHASE
        self._note(met, order.purchase, order.day, order.ruleset.number, message.amount, message.details)
        if worth.step:
            effect = self._stand(met, Act.PURCHASE, order.day, order.ruleset, worth.step)
        if worth.points:
            standing, _ = self._touch(met)
            standing.points += worth.points
            effect = effect.plus(worth.points)
        self._enter(met, effect)

    def _count(
        self, met: Met, act: Act, act_id: str | None, act_day: date, act_occurred_at: datetime, step: int
    ) -> None:
        """Let one more or one less act of that day stand, under the version in force when it occurred."""
        ruleset = met.version(self._rulesets, act_occurred_at)
        effect = self._stand(met, act, act_day, ruleset, step)
        self._note(met, act_id, act_day, ruleset.number)
        self._enter(met, effect)

    def _stand(self, met: Met, act: Act, act_day: date, ruleset: Ruleset, step: int) -> Effect:
        standing, touch = self._touch(met)
        day = act_day.toordinal() - EPOCH_ORDINAL
        try:
            effect = standing.count(day, act, ruleset, step)
        except NeverDone:
            reason = f"{touch.person.person} has no {act.label} of {act_day} left to take back"
            raise Poison(met.fact, reason) from None
        touch.counts[day, act, ruleset.number] = ruleset.rules[act]
        return effect

    def _touch(self, met: Met) -> tuple[Standing, Touched]:
        person, community = met.person, met.community
        assert person is not None
        standing = person.standings.get(community.id)
        if standing is None:
            standing = person.standings[community.id] = Standing(community)
        touch = self.touched.get(standing)
        if touch is None:
            touch = self.touched[standing] = Touched(person, standing.place, len(standing.counts))
        return standing, touch

    def _enter(self, met: Met, effect: Effect) -> None:
        """Keep what the fact changed; nothing where the rule wanted nothing."""
        if met.person is not None and (effect.points_wanted or effect.weight_wanted):
            self.entries.append(entry_row(met.person.number, self.memory.next_seq, met.community.number, effect))

    def _note(
        self,
        met: Met,
        act_id: str | None = None,
        act_day: date | None = None,
        ruleset: int | None = None,
        amount: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Journal the fact; day and ruleset are None where nothing was done."""
        memory = self.memory
        try:
            row = journal_row(
                memory.lane,
                memory.next_seq,
                met.fact.event_id,
                met.message,
                met.community.number,
                met.person.number if met.person is not None else None,
                act_id,
                act_day,
                ruleset,
                amount,
                details,
            )
        except ValueError as error:
            raise Poison(met.fact, str(error)) from error
        self.journal.append(row)


_FOLDS: Mapping[type[Message], Callable[[LaneFold, Met, Any], None]] = {
    Undone: LaneFold._undone,
    CommunityFounded: LaneFold._nothing,
    CommunityLaunched: LaneFold._nothing,
    MemberJoined: LaneFold._joined,
    MemberLeft: LaneFold._left,
    PostPublished: LaneFold._done,
    PostRemoved: LaneFold._taken_back,
    PostRestored: LaneFold._restored,
    CommentAdded: LaneFold._done,
    CommentRemoved: LaneFold._taken_back,
    ReactionAdded: LaneFold._reacted,
    ReactionWithdrawn: LaneFold._reaction_withdrawn,
    ContentShared: LaneFold._done,
    PurchaseRecorded: LaneFold._purchase,
    PurchaseAttributed: LaneFold._purchase,
    PurchaseRefunded: LaneFold._purchase,
}

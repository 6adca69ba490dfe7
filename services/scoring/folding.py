"""The steps of folding a batch of some lanes, whether its facts come from the log or from the journal."""

from collections.abc import Sequence
from typing import Any

from services.scoring.fold import LaneFold
from services.scoring.meeting import Met
from services.scoring.memory import LaneMemory
from services.scoring.orders import OrderBook, needed, purchases_of
from services.scoring.recall import look_up, recall_orders
from services.scoring.ruleset import Rulesets
from services.scoring.rulesetreads import PublishedRulesets


async def begin(
    connection: Any, memories: Sequence[LaneMemory], batches: Sequence[Sequence[Met]], published: PublishedRulesets
) -> list[LaneFold]:
    """Read what is stored of whom the batches are about, and fold the purchases: what follows from them is to be
    published before anything is written. Writes nothing.

    Raises:
        Poison: a fact about a purchase does not fit to what was folded before.
    """
    await look_up(connection, memories)
    rulesets = await published.of(connection, {met.message.organization for batch in batches for met in batch})
    folds = [LaneFold(memory, rulesets, OrderBook(rulesets)) for memory in memories]
    await _fold_orders(connection, folds, batches, rulesets)
    return folds


def complete(folds: Sequence[LaneFold], batches: Sequence[Sequence[Met]]) -> None:
    """Fold everything else. Everybody has a number now.

    Raises:
        Poison: a fact takes back what was never done, or an id in it is none.
    """
    for fold, batch in zip(folds, batches, strict=True):
        fold.add(batch)
        fold.finish()


def communities_of(folds: Sequence[LaneFold]) -> set[int]:
    """The numbers of those whose boards may change."""
    touched = {standing.community.number for fold in folds for standing in fold.touched}
    return touched | {booking.community.number for fold in folds for booking in fold.orders.bookings}


async def _fold_orders(
    connection: Any, folds: Sequence[LaneFold], batches: Sequence[Sequence[Met]], rulesets: Rulesets
) -> None:
    purchases = [purchases_of(batch, fold.memory.next_seq) for fold, batch in zip(folds, batches, strict=True)]
    wanted = {key: fold for fold, facts in zip(folds, purchases, strict=True) for key in needed(facts)}
    stored = await recall_orders(connection, {key: fold.memory for key, fold in wanted.items()}, rulesets)
    for key, order in stored.items():
        wanted[key].orders.known[key] = order
    for fold, facts in zip(folds, purchases, strict=True):
        for fact in facts:
            fold.orders.fold(*fact)

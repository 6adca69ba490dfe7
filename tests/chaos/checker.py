"""Whether what is stored can have come from what clients were told: every promise, as a pure function of both.

Each function of `CHECKS` returns what speaks against its promise, as sentences; nothing, if it is kept.
"""

from collections.abc import Callable, Sequence

from tests.chaos.command_checks import applied_twice, keys_apart_from_facts, lost, unseen_writes, wrong_referrals
from tests.chaos.history import Evidence, History
from tests.chaos.order_checks import broken_floors, broken_partitions, broken_streams, left_behind, wrong_clocks
from tests.chaos.scoring_checks import wrong_journal, wrong_sums

SHOWN = 5
"""Of one kind of violation, so many are told in full."""

CHECKS: Sequence[Callable[[History, Evidence], list[str]]] = (
    lost,
    applied_twice,
    keys_apart_from_facts,
    broken_streams,
    broken_floors,
    broken_partitions,
    left_behind,
    wrong_journal,
    wrong_sums,
    wrong_referrals,
    wrong_clocks,
    unseen_writes,
)


def violations(history: History, evidence: Evidence) -> list[str]:
    """Everything that breaks a promise; of each kind the first few."""
    found = [_some(history.otherwise), *(_some(check(history, evidence)) for check in CHECKS), evidence.parked]
    return [violation for kind in found for violation in kind]


def _some(found: list[str]) -> list[str]:
    """The first few, and how many more there are."""
    return found if len(found) <= SHOWN else [*found[:SHOWN], f"… and {len(found) - SHOWN} more like these"]

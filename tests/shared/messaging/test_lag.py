"""How far behind, for how long, and whether it still moves."""

from shared.messaging.lag import Lag
from shared.messaging.log import TopicPartition

P0, P1 = TopicPartition("toy.events", 0), TopicPartition("toy.events", 1)


def lag() -> Lag:
    measured = Lag()
    measured.start({P0: 0, P1: 5}, now=100)
    return measured


def test_without_records_there_is_no_lag() -> None:
    measured = lag()
    measured.seen({P0: 0, P1: 5}, now=101)
    assert (measured.events(), measured.seconds(now=500), measured.stalled(1, now=500)) == (0, 0.0, None)


def test_lag_counts_records_and_the_age_of_the_oldest() -> None:
    measured = lag()
    measured.seen({P0: 10, P1: 5}, now=101)
    measured.seen({P0: 30, P1: 6}, now=103)
    assert (measured.events(), measured.seconds(now=110)) == (31, 9.0)
    measured.folded({P0: 12}, now=111)
    assert (measured.events(), measured.seconds(now=111)) == (19, 8.0)
    measured.folded({P0: 30, P1: 6}, now=112)
    assert (measured.events(), measured.seconds(now=112)) == (0, 0.0)


def test_lag_without_advance_is_a_stall() -> None:
    measured = lag()
    measured.seen({P0: 10}, now=110)
    assert measured.stalled(30, now=139) is None
    assert measured.stalled(30, now=141) == ("toy.events, partition 0: 10 records wait, and none was folded for 31 s")
    assert measured.stalled(30, now=141, but=[P0]) is None


def test_lag_that_advances_is_none() -> None:
    measured = lag()
    measured.seen({P0: 1000}, now=110)
    for second in range(10):
        measured.folded({P0: 10 * second + 10}, now=120 + second)
    assert measured.stalled(5, now=133) is None
    assert measured.seconds(now=133) == 23.0


def test_being_told_the_same_again_is_no_advance() -> None:
    measured = lag()
    measured.seen({P0: 10}, now=110)
    measured.folded({P0: 4}, now=111)
    measured.folded({P0: 4}, now=170)
    assert measured.stalled(30, now=170) is not None


def test_partitions_of_others_do_not_count() -> None:
    measured = lag()
    measured.seen({P0: 10, P1: 10}, now=110)
    measured.keep([P1])
    measured.folded({P0: 3}, now=111)
    assert measured.events() == 5

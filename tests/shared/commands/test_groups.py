from shared.commands.command import Command, Decision, Guard
from shared.commands.groups import Held, groups_of_conflict, locks_of, names
from tests.support.ledger import account, key


def command(
    *writes: str,
    reads: tuple[str, ...] = (),
    guards: tuple[Guard, ...] = (),
    name: str | None = None,
) -> Command:
    def decide(_: object) -> Decision:
        raise AssertionError

    return Command(
        decide,
        writes=tuple(map(account, writes)),
        reads=tuple(map(account, reads)),
        guards=guards,
        idempotency=key(name) if name else None,
    )


def partition(*commands: Command) -> list[set[int]]:
    groups: dict[int, set[int]] = {}
    for number, group in enumerate(groups_of_conflict(commands)):
        groups.setdefault(group, set()).add(number)
    return sorted(groups.values(), key=min)


def test_commands_on_different_streams_stand_alone() -> None:
    assert partition(command("a"), command("b")) == [{0}, {1}]


def test_a_shared_stream_joins_also_through_others() -> None:
    assert partition(command("a", "b"), command("c"), command("b", "c"), command("d")) == [{0, 1, 2}, {3}]


def test_a_key_joins() -> None:
    assert partition(command("a", name="k"), command("b", name="k")) == [{0, 1}]


def test_reading_the_same_stream_does_not_join_but_reading_a_written_one_does() -> None:
    assert partition(command("a", reads=("c",)), command("b", reads=("c",))) == [
        {0},
        {1},
    ]
    assert partition(command("a", reads=("c",)), command("b", reads=("c",)), command("c")) == [{0, 1, 2}]


def test_a_guard_held_shared_by_both_does_not_join() -> None:
    shared, exclusive = Guard("root", shared=True), Guard("root")
    assert partition(command("a", guards=(shared,)), command("b", guards=(shared,))) == [{0}, {1}]
    assert partition(command("a", guards=(shared,)), command("b", guards=(exclusive,))) == [{0, 1}]


def test_the_stronger_lock_wins() -> None:
    locks = locks_of([command(reads=("a",)), command("a")])
    assert list(locks.values()) == [False]
    assert list(locks_of([command(reads=("a",))]).values()) == [True]


def test_what_is_held_shared_goes_beside_what_holds_it_shared_only() -> None:
    held = Held()
    reading, writing, stranger = (tuple(names(each)) for each in (command(reads=("a",)), command("a"), command("b")))
    held.add(reading)
    held.add(reading)
    assert [held.conflicts(each) for each in (reading, writing, stranger)] == [False, True, False]
    held.remove(reading)
    assert held.conflicts(writing)
    held.remove(reading)
    assert not held.conflicts(writing)
    held.add(writing)
    assert [held.conflicts(each) for each in (reading, writing, stranger)] == [True, True, False]

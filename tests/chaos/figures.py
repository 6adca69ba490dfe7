"""What a run of episodes amounts to, as Markdown tables."""

from collections import Counter
from collections.abc import Sequence

from tests.chaos.episode import Episode


def figures(played: Sequence[Episode]) -> str:
    """Episodes per fault and log, and the sums of what clients did and the checker found."""
    logs = sorted({episode.log for episode in played})
    by_log = {log: [episode for episode in played if episode.log == log] for log in logs}
    faults = {log: Counter(fault.kind for episode in by_log[log] for fault in episode.faults) for log in logs}
    kinds = sorted({kind for counted in faults.values() for kind in counted})
    rows = [(kind, *(faults[log][kind] for log in logs)) for kind in kinds]
    rows.append(("drawn, and without effect", *(sum(len(episode.missed) for episode in by_log[log]) for log in logs)))
    sums = [
        ("episodes", *(len(by_log[log]) for log in logs)),
        ("faults", *(sum(faults[log].values()) for log in logs)),
        *(
            (name, *(sum(getattr(episode, name) for episode in by_log[log]) for log in logs))
            for name in ("acknowledged", "retries", "reads")
        ),
        ("violations", *(sum(len(episode.violations) for episode in by_log[log]) for log in logs)),
        ("seconds", *(round(sum(episode.seconds for episode in by_log[log])) for log in logs)),
    ]
    return "\n\n".join(("", _table(("fault", *logs), rows), _table(("", *logs), sums)))


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)

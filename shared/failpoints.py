"""Named points at which a test stops, delays or breaks a process. Without `QUNLI_FAILPOINTS` each costs one dictionary look-up.

`QUNLI_FAILPOINTS="relay.after-send=kill@3,gateway.before-commit=sleep:0.5"`: on the third hit of the first point the
process is killed by SIGKILL; at the second point every hit sleeps half a second. Actions: `kill`, `raise`, `sleep:S`,
`stop` (SIGSTOP); `@N` means the Nth hit only. Every hit of a named point is appended to `QUNLI_FAILPOINTS_LOG`, if
set, so that a test can tell that its point was reached.
"""

import asyncio
import os
import signal
from dataclasses import dataclass

POINTS = frozenset(
    {
        # gateway, in the order of a batch
        "gateway.after-locks",
        "gateway.after-load",
        "gateway.before-append",
        "gateway.after-append",
        "gateway.before-commit",
        "gateway.after-commit",
        "gateway.before-answers",
        # relay, in the order of a round
        "relay.after-read",
        "relay.after-send",
        "relay.after-first-ack",
        "relay.after-all-acks",
        "relay.after-checkpoint",
        "relay.before-watermark",
        "relay.after-prune",
        # consumer, in the order of a batch
        "consumer.after-fetch",
        "consumer.after-lock",
        "consumer.mid-apply",
        "consumer.before-lane-row",
        "consumer.before-commit",
        "consumer.after-commit",
        "consumer.before-advisory-commit",
        "consumer.in-revoke",
        # dead letters
        "deadletters.after-park",
        "deadletters.before-replay-commit",
        "deadletters.after-replay-commit",
        # scoring
        "scoring.after-journal",
        "scoring.after-entries",
        "scoring.before-split-commit",
        # rebuilds, in the order in which they are reached
        "rebuild.before-undo-commit",
        "rebuild.before-page-commit",
        "rebuild.after-page",
        "rebuild.before-swap-commit",
    }
)
"""Every point that is compiled in. The kill suite runs through this set, so a point that is never reached fails it."""


class FailpointError(Exception):
    """Raised by the action `raise`."""


@dataclass
class _Armed:
    action: str
    only_hit: int | None
    hits: int = 0


def _parse(text: str) -> dict[str, _Armed]:
    armed = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition("=")
        action, _, hit = action.partition("@")
        if name not in POINTS:
            raise ValueError(f"QUNLI_FAILPOINTS names no such point: {name!r}")
        if action not in {"kill", "raise", "stop"} and not action.startswith("sleep:"):
            raise ValueError(f"QUNLI_FAILPOINTS: unknown action {action!r}; use kill, raise, stop or sleep:SECONDS")
        armed[name] = _Armed(action, int(hit) if hit else None)
    return armed


_armed = _parse(os.environ.get("QUNLI_FAILPOINTS", ""))


def armed(name: str) -> bool:
    """Whether `QUNLI_FAILPOINTS` names this point: some need code around them to be reached at all."""
    return name in _armed


async def failpoint(name: str) -> None:
    """Do what `QUNLI_FAILPOINTS` asks for at this point; nothing otherwise."""
    if name not in _armed:
        return
    point = _armed[name]
    point.hits += 1
    if point.only_hit is not None and point.hits != point.only_hit:
        return
    if log := os.environ.get("QUNLI_FAILPOINTS_LOG"):
        with open(log, "a") as file:  # noqa: ASYNC230  only in tests
            file.write(f"{name}\n")
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif point.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif point.action == "raise":
        raise FailpointError(name)
    else:
        await asyncio.sleep(float(point.action.removeprefix("sleep:")))

"""The campaigns service, declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.service import Definition, Kernel


def _routers() -> Sequence[Any]:
    return ()


def _open(kernel: Kernel) -> Kernel:
    return kernel


CAMPAIGNS = Definition(
    name="campaigns",
    title="Qunli campaigns",
    description="Purchases and campaigns. No endpoints in this release: purchases and refunds come first.",
    folder=Path(__file__).parent,
    open=_open,
    routers=_routers,
)

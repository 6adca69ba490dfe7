"""The content service, declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.content import comment, floors, post, reaction, share, visit
from services.content.projections import project
from services.content.publishing import publish
from services.content.replica import TABLES, Replica
from services.content.service import Content
from shared.service import Definition
from shared.settings import Settings


def _routers() -> Sequence[Any]:
    from services.content.api import ROUTERS  # only the role `api` needs FastAPI

    return ROUTERS


def _projection(_settings: Settings) -> Replica:
    return Replica()


CONTENT = Definition(
    name="content",
    title="Qunli content",
    description="What members publish: posts, comments, reactions, and shares with their short links.",
    folder=Path(__file__).parent,
    open=Content.of,
    routers=_routers,
    roots=("s",),
    publish=publish,
    project=project,
    codecs=tuple(kind.FOLD.codec for kind in (post, floors, comment, reaction, share, visit)),
    projection=_projection,
    replica=TABLES,
)

"""The few fields of content's messages that membership uses; the rest is ignored."""

from datetime import datetime
from typing import Annotated

import msgspec

from shared.messaging.facts import InboundFact, Poison

TOPIC = "content.events"
CONTENT_SHARED = "content.content-shared.v1"


class ContentShared(msgspec.Struct, frozen=True):
    organization: str
    community: str
    code: str
    sharer: str
    recorded_at: Annotated[datetime, msgspec.Meta(tz=True)]


_DECODER = msgspec.json.Decoder(ContentShared)


def read(fact: InboundFact) -> ContentShared:
    """The message in this record.

    Raises:
        Poison: it does not have the shape of its type.
    """
    try:
        return _DECODER.decode(fact.value)
    except msgspec.DecodeError as error:
        raise Poison(fact, f"{fact.type} cannot be read: {error}") from error

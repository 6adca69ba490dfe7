"""A story told over HTTP to the whole system on a real Kafka: all that it declares is published, and just as declared."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import ConsumerRecord
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from deploy.local.kafka import EmbeddedKafka
from tests.support.published import (
    WATERMARK,
    Topics,
    check,
    check_all,
    every_declared_message,
    every_record,
    name_of,
    only_after_a_restore,
    read_declared_topics,
)
from tests.support.system import System, run_tool, running_system
from tests.system.callers import FOUNDING, Callers, ruleset_from_tomorrow

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

SEEN_SECONDS = 30.0
UNKNOWN_CODE = "2Q8ZM4TC"
TRIES = 20
"""To join with a share code that membership has not heard of yet, which takes it some milliseconds to."""


@pytest.fixture(scope="module")
def topics(server_folder: Path) -> Iterator[Topics]:
    """All that stands on Kafka after the demo and what it leaves out, as soon as every declared message is there."""
    with EmbeddedKafka(server_folder / "kafka-published", heap="384m") as broker:
        with running_system(kafka=broker.bootstrap_servers) as system:
            code, said = run_tool("deploy.local.demo", "--url", system.url)
            assert code == 0, said
            what_the_demo_leaves_out(system)
            until_all_is_seen(broker.bootstrap_servers)
        yield asyncio.run(read_declared_topics(broker.bootstrap_servers))


def what_the_demo_leaves_out(system: System) -> None:
    """Ownership is passed on, a ruleset published, and two joins are settled later: one to somebody, one to nobody."""
    with httpx.Client(base_url=system.url, timeout=20) as http:
        callers = Callers(http)

        def done(path: str, person: str, **sent: Any) -> httpx.Response:
            answer = callers.send("POST", path, person, **sent)
            assert answer.is_success, answer.text
            return answer

        own = done("/membership/v1/communities", "ana", json=FOUNDING).headers["location"]
        done(f"{own}/launch", "ana")
        done(f"{own}/members", "ben")
        heard = done(f"{own}/ownership", "ana", json={"to": "ben"}).headers["consistency-token"]
        done("/scoring/v1/rulesets", "desk", scope="rules:write", json=ruleset_from_tomorrow())
        done(f"{own}/members", "nobodys", json={"share_code": UNKNOWN_CODE})

        community = own.rpartition("/")[2]
        sharing = {"target_kind": "community", "target": community, "channel": "weibo"}
        shares = f"/content/v1/communities/{community}/shares"
        for number in range(TRIES):
            share = done(shares, "ben", json=sharing, headers={"Consistency-Token": heard})
            done(f"{own}/members", f"bens-{number}", json={"share_code": share.json()["code"]})


def until_all_is_seen(bootstrap_servers: str) -> None:
    """Wait until every declared message stands on Kafka; what is missing in the end, a test tells."""
    deadline = time.monotonic() + SEEN_SECONDS
    while time.monotonic() < deadline:
        topics = asyncio.run(read_declared_topics(bootstrap_servers))
        seen = {(record.topic, name_of(record)) for record in every_record(topics)}
        if all(each in seen or only_after_a_restore(each) for each in every_declared_message()):
            return
        time.sleep(0.5)


def facts(topics: Topics) -> list[ConsumerRecord]:
    return [record for record in every_record(topics) if record.topic.endswith(".events")]


def test_every_declared_message_was_published_as_it_is_declared(topics: Topics) -> None:
    """Those that only a restore brings about are seen in `test_restore.py`."""
    assert check_all(topics).keys() == {each for each in every_declared_message() if not only_after_a_restore(each)}


def test_the_cloudevents_package_reads_every_fact(topics: Topics) -> None:
    for record in facts(topics):
        headers = dict(record.headers)
        message = KafkaMessage(headers=headers, key=record.key.decode(), value=record.value)
        event = from_kafka(message, JSONFormat(), CloudEvent)
        said = {name.removeprefix("ce_"): value.decode() for name, value in headers.items()}
        assert (event.get_id(), event.get_type(), event.get_source()) == (said["id"], said["type"], said["source"])
        assert (event.get_subject(), event.get_dataschema()) == (said["subject"], said["dataschema"])
        assert event.get_time() == datetime.fromisoformat(said["time"])
        assert (event.get_datacontenttype(), event.get_specversion()) == ("application/json", "1.0")
        assert (event.get_extension("position"), event.get_extension("previous")) == (
            said["position"],
            said["previous"],
        )
        assert event.get_data() == json.loads(record.value)


def with_header(record: ConsumerRecord, name: str, value: str | None) -> ConsumerRecord:
    kept = [pair for pair in record.headers if pair[0] != name]
    return dataclasses.replace(record, headers=(*kept, (name, value.encode())) if value is not None else tuple(kept))


def with_value(record: ConsumerRecord, **changed: Any) -> ConsumerRecord:
    value = {name: one for name, one in {**json.loads(record.value), **changed}.items() if one is not ...}
    return dataclasses.replace(record, value=json.dumps(value).encode())


def test_the_check_of_a_record_can_fail(topics: Topics) -> None:
    post = next(record for record in facts(topics) if name_of(record) == "content.post-published.v1")
    partitions = len(topics["content.events"])
    assert check(post, partitions=partitions) == ("content.events", "content.post-published.v1")
    mark = topics["membership.watermarks"][0][-1]
    assert check(mark, partitions=1) == ("membership.watermarks", WATERMARK)
    for spoilt, wrong in (
        (with_header(post, "ce_type", "content.post-shouted.v1"), "is not declared"),
        (with_header(post, "ce_id", "7"), '"7" is not a "uuid"'),
        (with_header(post, "ce_source", "/scoring"), '"/content" was expected'),
        (with_header(post, "ce_previous", None), '"ce_previous" is a required property'),
        (with_header(post, "ce_mood", "glad"), "'ce_mood' was unexpected"),
        (with_value(post, organization=...), '"organization" is a required property'),
        (with_value(post, occurred_at="yesterday"), 'is not a "date-time"'),
        (with_value(post, mood="glad"), "'mood' was unexpected"),
        (dataclasses.replace(post, key=b"somebody else entirely"), "not the partition"),
        (dataclasses.replace(mark, key=b"content"), "the key is content"),
        (with_value(mark, epoch=0), "less than the minimum"),
    ):
        with pytest.raises(AssertionError, match=wrong):
            check(spoilt, partitions=partitions if spoilt.topic == post.topic else 1)

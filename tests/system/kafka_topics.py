"""Kafka's own `kafka-topics.sh`, as far as the runbook needs it: its classes are not among the jars that tests fetch."""

import argparse
import asyncio

from aiokafka.admin import AIOKafkaAdminClient


async def delete(bootstrap_servers: str, topic: str) -> None:
    """Delete a topic, and wait until it is gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        if topic in await admin.list_topics():
            await admin.delete_topics([topic])
    finally:
        await admin.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="kafka-topics.sh")
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--delete", action="store_true", required=True)
    parser.add_argument("--if-exists", action="store_true", required=True)
    parser.add_argument("--topic", required=True)
    given = parser.parse_args()
    asyncio.run(delete(given.bootstrap_server, given.topic))


if __name__ == "__main__":
    main()

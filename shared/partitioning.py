"""Which partition a key belongs to: the same number in every topic, for good."""

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65536)
def partition_of(key: str, partitions: int) -> int:
    """The partition of `key` among `partitions`, as Kafka's own default partitioner computes it.

    Other systems that repartition by the same key (Kafka Streams, ksqlDB) therefore stay co-partitioned with us.
    """
    return (int(murmur2(key.encode())) & 0x7FFFFFFF) % partitions

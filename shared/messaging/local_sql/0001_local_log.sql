-- A log in PostgreSQL: topics of partitions, offsets without gaps, groups of readers. In a database of its own.

create table topics (
    topic_id   smallint generated always as identity primary key,
    name       text     not null unique,
    partitions smallint not null check (partitions >= 1),
    compacted  boolean  not null
);

create table records (
    topic_id    smallint    not null references topics on delete cascade,
    partition   smallint    not null,
    "offset"    bigint      not null,
    appended_at timestamptz not null default clock_timestamp(),
    key         bytea,
    headers     bytea       not null,   -- MessagePack: array of [name, bytes]
    value       bytea,
    primary key (topic_id, partition, "offset")
);

create table group_members (
    group_name   text        not null,
    member       text        not null,
    topics       text[]      not null,
    heartbeat_at timestamptz not null,
    primary key (group_name, member)
);

-- Append records to partitions; one transaction, one trip. Record i goes to the partition at index targets[i] of
-- (topic_ids, partition_numbers), as its ordinals[i]-th (from 0) new record.
create function append_records(
    topic_ids         smallint[],
    partition_numbers smallint[],
    targets           integer[],
    ordinals          integer[],
    keys              bytea[],
    header_lists      bytea[],
    bodies            bytea[]
) returns void
language plpgsql as $$
begin
    -- In one order for everybody, so that two publishers cannot wait for each other in a ring; held until the commit,
    -- so that offsets become visible in their order.
    perform pg_advisory_xact_lock(lane.topic_id, lane.partition)
       from (select t as topic_id, p as partition from unnest(topic_ids, partition_numbers) as u (t, p) order by 1, 2) lane;

    insert into records (topic_id, partition, "offset", key, headers, value)
    select lane.topic_id, lane.partition, lane.next_offset + fresh.ordinal, fresh.key, fresh.headers, fresh.value
      from unnest(targets, ordinals, keys, header_lists, bodies) as fresh (target, ordinal, key, headers, value)
      join (
            select u.n as target, u.t as topic_id, u.p as partition,
                   coalesce(
                       (select r."offset" + 1
                          from records r
                         where r.topic_id = u.t
                           and r.partition = u.p
                         order by r."offset" desc
                         limit 1),
                       0
                   ) as next_offset
              from unnest(topic_ids, partition_numbers) with ordinality as u (t, p, n)
           ) lane using (target);

    -- Compacted topics are small: they keep the last record of a key, at once.
    if exists (select from topics t where t.topic_id = any (topic_ids) and t.compacted) then
        delete from records older
         using topics t
         where t.topic_id = any (topic_ids)
           and t.compacted
           and older.topic_id = t.topic_id
           and exists (
               select
                 from records newer
                where newer.topic_id = older.topic_id
                  and newer.partition = older.partition
                  and newer.key = older.key
                  and newer."offset" > older."offset"
           );
    end if;
end
$$;

-- Why a fact was recorded (shared/commands/cause.py), and finding a fact by its id.
alter table events add column cause jsonb;   -- null: not known
create index on events (event_id);           -- right-growing: event ids are UUIDs of version 7

-- The append, as in 0002_append.sql, with causes.
drop function append_batch;
create function append_batch(
    service          text,
    topic            text,
    recorded_at      timestamptz,
    commands         integer,
    head_streams     text[],
    head_versions    bigint[],
    head_groups      integer[],
    fact_groups      integer[],
    fact_commands    integer[],
    fact_streams     text[],
    fact_versions    bigint[],
    fact_ids         uuid[],
    fact_types       text[],
    fact_data        text[],
    fact_occurred    timestamptz[],
    fact_partitions  smallint[],       -- null: not published
    fact_keys        text[],
    fact_headers     text[],
    fact_values      bytea[],
    fact_causes      text[],
    key_groups       integer[],
    key_commands     integer[],
    key_callers      text[],
    key_keys         text[],
    key_routes       text[],
    key_body_hashes  bytea[],
    key_statuses     smallint[],
    key_headers      text[],
    key_bodies       bytea[],
    key_tokens       text[],           -- the token of a command that writes no published fact
    key_expires      timestamptz[],
    out epoch           integer,
    out transaction_id  text,
    out conflicts       integer[],
    out sequences       bigint[],
    out tokens          text[]
) language plpgsql as $$
#variable_conflict use_column
begin
    if pg_current_xact_id_if_assigned() is not null then
        raise exception 'append_batch must be the first write of its transaction' using errcode = 'QL001';
    end if;

    select coalesce(array_agg(distinct stale.number), '{}') into conflicts
      from (select head.number
              from unnest(head_streams, head_versions, head_groups) as head (stream_id, version, number)
             where head.version <> coalesce((select max(events.version) from events where events.stream_id = head.stream_id), 0)
            union all
            select used.number
              from unnest(key_callers, key_keys, key_groups) as used (caller, key, number)
             where exists (select from idempotency_keys where (idempotency_keys.caller, idempotency_keys.key) = (used.caller, used.key))
           ) as stale;

    select database_epoch.epoch into epoch from database_epoch;

    with fact as materialized (
        select ordered.*, nextval('position_sequence') as sequence
          from (select *
                  from unnest(fact_groups, fact_commands, fact_streams, fact_versions, fact_ids, fact_types, fact_data,
                              fact_occurred, fact_partitions, fact_keys, fact_headers, fact_values, fact_causes)
                       with ordinality
                       as given (number, command, stream_id, version, event_id, type, data, occurred_at, partition,
                                 key, headers, value, cause, place)
                 where given.number <> all (append_batch.conflicts)
                 order by given.place) as ordered
    ), event as (
        insert into events (stream_id, version, event_id, type, data, occurred_at, recorded_at,
                            epoch, transaction_id, sequence, partition, cause)
        select fact.stream_id, fact.version, fact.event_id, fact.type, fact.data::jsonb, fact.occurred_at,
               append_batch.recorded_at, append_batch.epoch, pg_current_xact_id(), fact.sequence, fact.partition,
               fact.cause::jsonb
          from fact
         order by fact.place
    ), published as (
        insert into outbox (epoch, transaction_id, sequence, topic, partition, key, headers, value)
        select append_batch.epoch, pg_current_xact_id(), fact.sequence, append_batch.topic, fact.partition, fact.key,
               fact.headers::jsonb, fact.value
          from fact
         where fact.partition is not null
         order by fact.place
    ), token as (
        select last.command,
               string_agg(format('%s.%s.%s-%s-%s', append_batch.service, last.partition, append_batch.epoch,
                                 pg_current_xact_id(), last.sequence), ',' order by last.partition) as text
          from (select fact.command, fact.partition, max(fact.sequence) as sequence
                  from fact
                 where fact.partition is not null
                 group by fact.command, fact.partition) as last
         group by last.command
    ), answer as (
        insert into idempotency_keys (caller, key, route, body_hash, status, headers, body, token, expires_at, created_at)
        select given.caller, given.key, given.route, given.body_hash, given.status, given.headers::jsonb, given.body,
               coalesce(token.text, given.token), given.expires_at, append_batch.recorded_at
          from unnest(key_groups, key_commands, key_callers, key_keys, key_routes, key_body_hashes, key_statuses,
                      key_headers, key_bodies, key_tokens, key_expires)
               as given (number, command, caller, key, route, body_hash, status, headers, body, token, expires_at)
          left join token on token.command = given.command
         where given.number <> all (append_batch.conflicts)
    )
    select (select array_agg(fact.sequence order by given.place)
              from generate_series(1, cardinality(fact_groups)) as given (place)
              left join fact on fact.place = given.place),
           (select array_agg(token.text order by given.command)
              from generate_series(0, append_batch.commands - 1) as given (command)
              left join token on token.command = given.command)
      into sequences, tokens;

    transaction_id := coalesce(pg_current_xact_id_if_assigned()::text, '0');
    if exists (select from unnest(sequences, fact_partitions) as written (sequence, partition)
                where written.sequence is not null and written.partition is not null) then
        perform pg_notify('outbox', '');
    end if;
end
$$;

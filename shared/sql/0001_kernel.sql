-- Facts, outbox, idempotency, relay checkpoint. Applied to the database of every service.

-- Raised by an operator after any restore: transaction ids are then handed out again, and only a higher epoch
-- keeps positions rising (shared/position.py).
create table database_epoch (
    singleton boolean primary key default true check (singleton),
    epoch     integer not null default 1 check (epoch >= 1)
);
insert into database_epoch default values;

create sequence position_sequence;

create table events (
    stream_id      text        not null,
    version        bigint      not null check (version >= 1),
    event_id       uuid        not null,
    type           text        not null,
    data           jsonb       not null,
    occurred_at    timestamptz not null,
    recorded_at    timestamptz not null,
    -- the position of the fact; `partition` is null where nothing was published of it
    epoch          integer     not null,
    transaction_id xid8        not null,
    sequence       bigint      not null,
    partition      smallint,
    primary key (stream_id, version)
);

-- The folded state of a long stream, to spare reading it from the start. Never the truth: thrown away where
-- `fold_version` is not the code's.
create table snapshots (
    stream_id      text     primary key,
    version        bigint   not null,
    fold_version   integer  not null,
    state          bytea    not null,
    epoch          integer  not null,
    transaction_id xid8     not null,
    sequence       bigint   not null,
    partition      smallint
);

-- What was answered to a command with an Idempotency-Key, written in the transaction of the facts.
create table idempotency_keys (
    caller     text        not null,
    key        text        not null,
    route      text        not null,
    body_hash  bytea       not null,
    status     smallint    not null,
    headers    jsonb       not null,
    body       bytea       not null,
    token      text        not null,
    expires_at timestamptz,             -- null: kept for good (money, imports)
    created_at timestamptz not null,
    primary key (caller, key)
);
create index on idempotency_keys (expires_at) where expires_at is not null;

create table outbox (
    epoch          integer  not null,
    transaction_id xid8     not null,
    sequence       bigint   not null,
    topic          text     not null,
    partition      smallint not null,
    key            text     not null,
    headers        jsonb    not null,   -- CloudEvents attributes as Kafka headers, but for position and previous
    value          bytea    not null,
    primary key (epoch, transaction_id, sequence)
);

-- How far the relay is: everything at or below (epoch, transaction_id, sequence) is acknowledged by the log.
create table relay_checkpoint (
    topic          text    primary key,
    epoch          integer not null default 0,
    transaction_id xid8    not null default '0',
    sequence       bigint  not null default 0,
    last_positions jsonb   not null default '{}',   -- partition -> position of its last record
    revision       bigint  not null default 0       -- compare-and-set
);

-- What a consumer has folded, lane by lane (a lane is one partition number across all topics it reads), and what it
-- could not fold. Rows change under the lane's advisory lock only (shared/messaging/lanes.py).

create table lanes (
    consumer text     not null,
    lane     smallint not null,
    stamp    uuid     not null,         -- new in every transaction that changes the lane or its tables
    primary key (consumer, lane)
) with (fillfactor = 40);

-- How far each topic of a lane is: the truth about offsets, and the position up to which facts are applied or parked.
create table lane_topics (
    consumer       text     not null,
    lane           smallint not null,
    topic          text     not null,
    next_offset    bigint   not null,
    epoch          integer  not null,
    transaction_id bigint   not null,   -- of another database
    sequence       bigint   not null,
    primary key (consumer, lane, topic)
) with (fillfactor = 40);

-- Epochs that an operator has accepted for a consumer that had facts of an earlier one.
create table accepted_epochs (
    consumer    text        not null,
    topic       text        not null,
    epoch       integer     not null,
    accepted_at timestamptz not null default clock_timestamp(),
    primary key (consumer, topic)
);

-- Facts of parked keys. Of each key the first (lowest id) could not be applied and carries the reason; the others
-- queue behind it, in order.
create table dead_letters (
    id             bigint      generated always as identity primary key,
    consumer       text        not null,
    lane           smallint    not null,
    key            text        not null,
    topic          text        not null,
    log_offset     bigint      not null,
    epoch          integer     not null,
    transaction_id bigint      not null,
    sequence       bigint      not null,
    type           text        not null,
    event_id       text        not null,
    traceparent    text,
    value          bytea       not null,
    reason         text,
    parked_at      timestamptz not null default clock_timestamp()
);
create unique index on dead_letters (consumer, lane, key) where reason is not null;
create index on dead_letters (consumer, lane, key, id);
create unique index on dead_letters (consumer, lane, topic, epoch, transaction_id, sequence);

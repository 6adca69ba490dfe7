-- One-use tickets that open a stream, for browsers' EventSource cannot send a token.

-- Not logged: after a crash there are none, and readers ask for new ones.
create unlogged table stream_tickets (
    ticket       bytea       primary key,        -- SHA-256 of what the reader has
    caller       text        not null,           -- who asked for it, under
    key          text        not null,           -- this idempotency key
    organization text        not null,           -- as whom it lets read
    person       text,                           -- null: a machine
    all_scores   boolean     not null,
    community    uuid        not null,           -- what it lets read
    metric       smallint    not null,
    reads_until  double precision not null,      -- when the token of who asked expires, seconds since 1970
    expires_at   timestamptz not null,
    unique (caller, key)
);
create index on stream_tickets (expires_at);

-- What restores of other services' databases have undone, as their topics tell (shared/messaging/voids.py): of one
-- partition, every fact between two positions, these not included. Lanes pass over these facts.

create table void_ranges (
    topic                 text     not null,
    lane                  smallint not null,
    epoch                 integer  not null,   -- the first one after the restore
    after_epoch           integer  not null,
    after_transaction_id  bigint   not null,   -- of another database; so the other one
    after_sequence        bigint   not null,
    before_epoch          integer  not null,
    before_transaction_id bigint   not null,
    before_sequence       bigint   not null,
    primary key (topic, lane, epoch, after_epoch, after_transaction_id, after_sequence)
);

-- Whether a position is of a fact that was undone.
create function is_void(topic text, lane smallint, epoch integer, transaction_id bigint, sequence bigint) returns boolean
language sql stable as $$
select exists (
    select
      from void_ranges as void
     where (void.topic, void.lane) = (is_void.topic, is_void.lane)
       and (is_void.epoch, is_void.transaction_id, is_void.sequence)
         > (void.after_epoch, void.after_transaction_id, void.after_sequence)
       and (is_void.epoch, is_void.transaction_id, is_void.sequence)
         < (void.before_epoch, void.before_transaction_id, void.before_sequence)
)
$$;

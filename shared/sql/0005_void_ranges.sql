-- What restores of other services' databases have undone, as their topics tell (shared/messaging/voids.py): of one
-- partition, every fact after a position that is of a lower epoch. Lanes pass over these facts.

create table void_ranges (
    topic                text     not null,
    lane                 smallint not null,
    epoch                integer  not null,   -- the first one after the restore
    after_epoch          integer  not null,
    after_transaction_id bigint   not null,   -- of another database
    after_sequence       bigint   not null,
    primary key (topic, lane, epoch)
);

-- Whether a position is of a fact that was undone. An earlier one than `after` of any epoch never is.
create function is_void(topic text, lane smallint, epoch integer, transaction_id bigint, sequence bigint) returns boolean
language sql stable as $$
select exists (
    select
      from void_ranges as void
     where (void.topic, void.lane) = (is_void.topic, is_void.lane)
       and is_void.epoch < void.epoch
       and (is_void.epoch, is_void.transaction_id, is_void.sequence)
         > (void.after_epoch, void.after_transaction_id, void.after_sequence)
)
$$;

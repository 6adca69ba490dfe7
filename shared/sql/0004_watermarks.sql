-- Whether a consumer has folded these lanes of a topic at least up to a watermark's positions, and no fact of these
-- types is parked in them: then what its tables do not hold had not happened when the watermark was begun. To be called
-- in the very statement that looks into those tables (it is stable: it sees that statement's snapshot).
create function folded_through(
    consumer        text,
    topic           text,
    watermark_epoch integer,
    lanes           smallint[],
    epochs          integer[],
    transaction_ids bigint[],
    sequences       bigint[],
    types           text[]
) returns boolean
language sql stable as $$
select not exists (
           select
             from unnest(lanes, epochs, transaction_ids, sequences) as wanted (lane, epoch, transaction_id, sequence)
             left join lane_topics as place
                    on place.consumer = folded_through.consumer
                   and place.topic = folded_through.topic
                   and place.lane = wanted.lane
            where (coalesce(place.epoch, 0), coalesce(place.transaction_id, 0), coalesce(place.sequence, 0))
                < (wanted.epoch, wanted.transaction_id, wanted.sequence)
               -- A watermark of an epoch before a restore says nothing about what was read since.
               or place.epoch > watermark_epoch
       )
   and not exists (
           select
             from dead_letters as parked
            where parked.consumer = folded_through.consumer
              and parked.topic = folded_through.topic
              and parked.lane = any (lanes)
              and parked.type = any (types)
       )
$$;

-- In a copy of a database, as it comes out of a backup, nothing is recorded before an operator has raised the epoch: its
-- positions are those that facts have which this database has forgotten (shared/messaging/epochs.py).
alter table database_epoch add column home text;   -- the database whose epoch this is; null: any

-- Which database this is: a cluster, a database in it, and a table in that, which a dump makes anew even in its old place.
-- A standby that takes over is the same one.
create function this_database() returns text language sql stable as $$
    select format('%s/%s/%s', cluster.system_identifier, own.oid, 'database_epoch'::regclass::oid)
      from pg_control_system() as cluster, pg_database as own
     where own.datname = current_database()
$$;

update database_epoch set home = this_database();

create function refuse_in_a_copy() returns trigger language plpgsql as $$
begin
    if exists (select from database_epoch where home <> this_database()) then
        raise exception 'this database is a restored copy: raise its epoch' using errcode = 'QL002';
    end if;
    return null;
end
$$;

create trigger no_copy before insert on events for each statement execute function refuse_in_a_copy();

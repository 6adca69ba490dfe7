-- What a restore of another service's database has undone stays in the journal, whose numbers have no gaps, and is not
-- folded by a rebuild any more (services/scoring/undoing.py).
alter table journal add column void boolean not null default false;

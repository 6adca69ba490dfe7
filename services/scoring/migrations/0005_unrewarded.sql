-- A person's facts that may have changed nothing: those of which the rules want nothing, those about money, and joins.
-- Other acts are left out, for nearly all of them have an entry, which lists them already.
create index unrewarded on journal (person_no, seq) where person_no is not null and (ruleset is null or kind in (3, 13, 14, 15));

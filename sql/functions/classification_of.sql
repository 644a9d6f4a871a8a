create or replace function crm_sync.classification_of(p_classification_id uuid) returns setof public.message_classifications
language sql stable parallel safe rows 1
as $$
  select c.* from public.message_classifications as c
  where c.id = p_classification_id
  limit 1
$$;
comment on function crm_sync.classification_of(uuid) is 'Worker: a classification by its key, whatever the statistics say.';

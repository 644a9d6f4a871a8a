create or replace function crm_sync.compose_erasures(p_rows public.sync_queue[]) returns json
language sql immutable strict
set search_path = pg_catalog, pg_temp
as $$
  select json_agg(json_build_object(
    'rows', array[q.id], 'contact_id', q.contact_id, 'uncertain', q.uncertain, 'queued_at', q.created_at,
    'contacts', coalesce(q.payload -> 'contacts', '[]'), 'deals', coalesce(q.payload -> 'deals', '[]'),
    'activities', coalesce(q.payload -> 'activities', '[]'), 'tasks', coalesce(q.payload -> 'tasks', '[]'),
    'deal_keys', coalesce(q.payload -> 'deal_keys', '[]'),
    'echo', json_build_object('key', q.payload ->> 'key', 'erased', true)
  ) order by q.id)
  from unnest(p_rows) as q
$$;
comment on function crm_sync.compose_erasures(public.sync_queue[]) is 'Worker: what the CRM is to delete, one document for each contact that was erased.';

create or replace function crm_sync.skip_unsendable(p_batch_id bigint) returns integer
language plpgsql
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set random_page_cost = 1000
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_batch crm_sync.batches;
  v_kept bigint[];
begin
  select * into v_batch from crm_sync.batches as b where b.id = p_batch_id;
  with claimed as materialized (
    select v_batch.organization_id as organization_id, v_batch.integration_id as integration_id, u.id, u.place
    from unnest(v_batch.row_ids) with ordinality as u (id, place)
  ),
  judged as materialized (
    select q.organization_id, q.id, u.place, case
      when k.id is null then 'the contact does not exist any more'
      else coalesce(crm_sync.address_fault(k.email::text), case
        when q.queue_type <> 'contact_sync' and coalesce(m.external_contact_id, m.conflict_data ->> 'external_contact_id') is null
          then 'the contact is not known in the CRM: sync the contact first'
        when q.queue_type = 'activity_sync' and g.id is null then 'the message does not exist any more'
      end)
    end as reason
    from claimed as u
    cross join lateral crm_sync.row_of(u.organization_id, u.id) as q
    left join lateral crm_sync.contact_of(u.organization_id, q.contact_id) as k on true
    left join lateral crm_sync.mapping_of(u.organization_id, u.integration_id, q.contact_id) as m on q.queue_type <> 'contact_sync'
    left join lateral crm_sync.message_of(u.organization_id, q.message_id) as g on q.queue_type = 'activity_sync'
  ),
  skipped as (
    update public.sync_queue as q
    set status = 'skipped', last_error = j.reason, failure = null, completed_at = now(), next_attempt_at = null, batch_id = null, attempts = q.attempts - 1
    from judged as j
    where j.reason is not null and q.organization_id = j.organization_id and q.id = j.id
  )
  select array_agg(j.id order by j.place) into v_kept from judged as j where j.reason is null;

  if v_kept is null then
    delete from crm_sync.batches as b where b.id = p_batch_id;
  elsif cardinality(v_kept) < cardinality(v_batch.row_ids) then
    update crm_sync.batches as b set row_ids = v_kept where b.id = p_batch_id;
  end if;
  return coalesce(cardinality(v_kept), 0);
end;
$$;
comment on function crm_sync.skip_unsendable(bigint) is 'Worker: takes the rows that no CRM could take out of a batch and skips them, with a reason; returns how many are left, and with none the batch is gone.';

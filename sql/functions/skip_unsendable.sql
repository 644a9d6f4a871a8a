create or replace function crm_sync.skip_unsendable(p_batch_id bigint) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
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
  v_erased uuid[];
begin
  select * into v_batch from crm_sync.batches as b where b.id = p_batch_id;
  -- few organizations have erased anybody: for the others this is one look into an index
  if exists (select from crm_sync.erasures as e where e.organization_id = v_batch.organization_id) then
    v_erased := array(
      select e.contact_id
      from unnest(v_batch.contact_ids) as u (id)
      join crm_sync.erasures as e on e.organization_id = v_batch.organization_id and e.contact_id = u.id and e.lifted_at is null
    );
  end if;
  with claimed as materialized (
    select v_batch.organization_id as organization_id, v_batch.integration_id as integration_id, u.id, u.place
    from unnest(v_batch.row_ids) with ordinality as u (id, place)
  ),
  judged as materialized (
    select q.organization_id, q.id, u.place, case
      when q.queue_type = 'contact_erasure' then case when q.payload ->> 'account_id' <> (
        select i.account_id from public.user_integrations as i where i.organization_id = u.organization_id and i.id = u.integration_id
      ) then 'the connection leads to another account now: delete what was made for this person in the former one by hand' end
      when q.contact_id = any (v_erased) then 'this person was erased: crm_sync.lift_erasure() if it may be sent again'
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
    returning q.organization_id, q.integration_id, q.contact_id, q.id, q.uncertain, q.payload ->> 'key' as key
  ),
  unmeant as (
    -- as in cancel: a deal or a task that was never made may be made another time
    delete from crm_sync.effects as e
    using skipped as s
    where s.key is not null and e.organization_id = s.organization_id and e.integration_id = s.integration_id
      and e.object_type in ('deal', 'task', 'activity') and e.key = s.key and e.external_id is null and not s.uncertain
      and not exists (
        select from public.sync_queue as q
        where q.integration_id = e.integration_id and q.contact_id = e.contact_id and q.completed_at is null and q.payload ->> 'key' = e.key
          and (q.id in (select o.id from skipped as o)) is not true
      )
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

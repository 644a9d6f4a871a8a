-- As its owner, whoever asks: a plan under row level security is kept for one role only, and the view of failures and the rules of
-- alerts ask by turns.
create or replace function crm_sync.lane_causes(p_integration_id bigint default null)
returns table (
  organization_id uuid, integration_id bigint, kind text, queue_type text, code text, field text, message text, count bigint, retrying bigint,
  first_at timestamptz, last_at timestamptz, newest_id bigint, contact_id uuid, message_id uuid, is_rest boolean, counted_at timestamptz
)
language plpgsql stable rows 100
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select c.*
  from crm_sync.causes_of(p_integration_id,
    case when crm_sync.caller_may_see(null) is not true then array(select crm_sync.member_organizations()) end) as c;
end;
$$;
comment on function crm_sync.lane_causes(bigint) is
  'Reader: why rows of each connection that the caller may see failed or are to be tried again, in groups of one cause; looked at now, or at the time that counted_at says where they are many.';

create or replace function crm_sync.queue_priority(p_intent text, p_priority text) returns smallint
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_place integer;
begin
  -- as it stands, and if nobody knows it so, in the form that all spellings have in common
  for v_try in 1..2 loop
    v_place := case p_intent when 'interested' then 3 when 'question' then 5 when 'objection' then 5 when 'not_interested' then 7 end;
    exit when v_place is not null;
    p_intent := crm_sync.normalize_intent(p_intent);
  end loop;
  if v_place is null then
    v_place := case when crm_sync.is_machine_intent(p_intent) then 9 else 6 end;
  end if;
  if p_priority is not null then
    v_place := v_place + case lower(btrim(p_priority)) when 'urgent' then -2 when 'critical' then -2 when 'high' then -1 when 'low' then 1 else 0 end;
  end if;
  return greatest(1, least(10, v_place));
end;
$$;
comment on function crm_sync.queue_priority(text, text) is 'Trigger: place in the queue, 1 (first) to 10: interested and urgent replies go first, machines'' last.';

create or replace function crm_sync.is_machine_intent(p_intent text) returns boolean
language sql immutable parallel safe
as $$
  select coalesce(
    crm_sync.normalize_intent(p_intent)
    ~ '(unsubscrib|opt_?out|bounc|undeliver|delivery_fail|out_of_(the_)?office|(^|_)ooo($|_)|auto_?(matic_)?_?(reply|response|responder)|vacation|spam|complaint)',
    false
  )
$$;
comment on function crm_sync.is_machine_intent(text) is 'Trigger: whether an intent is an unsubscribe, a bounce, an out-of-office or the like, which never counts as interest.';

-- The way in for secrets: the rows of a COPY are written into no log, whatever the server logs of statements and their parameters.
create view crm_sync.letterbox with (security_invoker = true) as
  select null::text as secret where false;
comment on view crm_sync.letterbox is
  'Worker: takes a secret by COPY, as binary, for the next statement of the transaction, which reads it as current_setting(''crm_sync.letter''); stores nothing, shows nothing.';
comment on column crm_sync.letterbox.secret is 'Credentials as JSON, or another text that must not be in a statement.';

-- what is to be revoked comes in the letter too
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.revoke_later(public.user_integrations, bigint, bigint, jsonb);

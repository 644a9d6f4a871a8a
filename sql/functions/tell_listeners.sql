-- Anybody who may connect can fill the queue of NOTIFY: by LISTEN, an open transaction, and words for it. When it is full, whoever has
-- notified cannot commit, a producer for example. Half full, we are silent: who is not told looks by itself, somewhat later.
create or replace function crm_sync.tell_listeners(p_channel text, p_payload text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.pg_notify(p_channel, p_payload) where pg_catalog.pg_notification_queue_usage() < 0.5
$$;
comment on function crm_sync.tell_listeners(text, text) is 'Worker: NOTIFY, unless the server''s queue of notifications is half full, as nobody could commit any more when it is full.';

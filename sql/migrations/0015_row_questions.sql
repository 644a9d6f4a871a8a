-- Composing takes effects that are only meant so far: what would be sent is composed by the same functions as what is sent.
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_deals(uuid, bigint, public.sync_queue[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_activities(uuid, bigint, public.sync_queue[]);
-- squawk-ignore ban-drop-function
drop function if exists crm_sync.compose_tasks(uuid, bigint, public.sync_queue[]);

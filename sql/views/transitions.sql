-- Every way a queue row may go from one status to another, as the functions of crm_sync take it. Tests watch the queue and
-- compare; docs/schema.md draws it. '*' is what is not there: before a row is enqueued, after it is purged.
create or replace view crm_sync.transitions with (security_invoker = true) as
select t.from_status, t.to_status, t.by_function, t.when_it_happens
from (values
  ('*', 'pending', 'message_classifications__insert', 'a reply was classified; all of its organization go to one connection'),
  ('*', 'pending', 'enqueue_classifications', 'a reply was classified, for each connected CRM'),
  ('*', 'skipped', 'enqueue_classifications', 'a reply was classified that is not to be sent: filtered out, switched off, no contact, no CRM'),
  ('*', 'pending', 'enqueue_follow_ups', 'a contact has reached the CRM: its deal, message and task follow'),
  ('*', 'pending', 'manual_sync', 'a person asked for it'),
  ('*', 'pending', 'resync', 'a person asked for a contact to be sent in full'),
  ('*', 'pending', 'backfill', 'a person asked for the contacts that were there before the connection'),
  ('*', 'pending', 'resync_gone_contacts', 'a deal, message or task found its contact gone from the CRM, which is made again'),
  ('*', 'pending', 'adopt_account', 'the connection goes on with another account: what hung on a contact of the old one begins with the contact'),
  ('*', 'pending', 'erase_contact', 'a person was erased, and the CRM is to delete what was made for them'),
  ('pending', 'processing', 'claim_lane', 'a daemon has claimed it'),
  ('retry', 'processing', 'claim_lane', 'a daemon has claimed it again'),
  ('processing', 'completed', 'settle_rows', 'the CRM has confirmed it, or a newer row of the contact carried its state'),
  ('processing', 'failed', 'settle_rows', 'the CRM refused it, its attempts are used up, or the CRM was down for longer than give_up_after'),
  ('processing', 'retry', 'settle_rows', 'the CRM was busy, down or not to be reached, or did not accept the credentials'),
  ('processing', 'pending', 'settle_rows', 'a daemon handed it back unsent'),
  ('processing', 'skipped', 'skip_unsendable', 'no CRM could take it: the contact is gone, was erased or has no good e-mail address'),
  ('processing', 'retry', 'take_over_expired', 'the daemon that held it vanished'),
  ('processing', 'failed', 'take_over_expired', 'ten daemons vanished while they held it'),
  ('failed', 'retry', 'retry_rows', 'a person put failed rows back: retry_failed, retry_cause'),
  ('pending', 'skipped', 'cancel', 'a person called it off'),
  ('retry', 'skipped', 'cancel', 'a person called it off'),
  ('failed', 'skipped', 'cancel', 'a person gave it up'),
  ('pending', 'skipped', 'adopt_account', 'the connection goes on with another account: done anew with its contact'),
  ('retry', 'skipped', 'adopt_account', 'the connection goes on with another account: done anew with its contact'),
  ('completed', '*', 'delete_finished', 'its retention is over, or a person had it deleted: purge, purge_now'),
  ('failed', '*', 'delete_finished', 'its retention is over, or a person had it deleted: purge, purge_now'),
  ('skipped', '*', 'delete_finished', 'its retention is over, or a person had it deleted: purge, purge_now'),
  ('pending', '*', 'erase_contact', 'its contact was erased'),
  ('processing', '*', 'erase_contact', 'its contact was erased while it was being sent: what the daemon says of it is void'),
  ('retry', '*', 'erase_contact', 'its contact was erased'),
  ('completed', '*', 'erase_contact', 'its contact was erased'),
  ('failed', '*', 'erase_contact', 'its contact was erased'),
  ('skipped', '*', 'erase_contact', 'its contact was erased'),
  ('pending', '*', 'purge_remains', 'its connection was deleted at the moment it was enqueued'),
  ('pending', '*', 'user_integrations__follow', 'its connection was deleted'),
  ('processing', '*', 'user_integrations__follow', 'its connection was deleted'),
  ('retry', '*', 'user_integrations__follow', 'its connection was deleted'),
  ('completed', '*', 'user_integrations__follow', 'its connection was deleted'),
  ('failed', '*', 'user_integrations__follow', 'its connection was deleted'),
  ('skipped', '*', 'user_integrations__follow', 'its connection was deleted')
) as t (from_status, to_status, by_function, when_it_happens);
comment on view crm_sync.transitions is 'Reader: every way a row of the queue goes from one status to another, which function takes it and when; the diagram in docs/schema.md is drawn from it.';
comment on column crm_sync.transitions.from_status is 'The status it leaves; * is a row that is not there yet.';
comment on column crm_sync.transitions.to_status is 'The status it gets; * is a row that is deleted.';
comment on column crm_sync.transitions.by_function is 'The function of crm_sync that does it.';
comment on column crm_sync.transitions.when_it_happens is 'When that is.';

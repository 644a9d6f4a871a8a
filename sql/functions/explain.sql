-- Without settings, so that it is part of the query that asks: what is dear, the mapping and the payload, is composed only
-- for the rows and by the questions that show it.
create or replace function crm_sync.explain(p_message_id uuid)
returns table (
  organization_id uuid, integration_id bigint, provider text, connection text, queue_id bigint, step text, has_arrived boolean, state text, answer text,
  intent text, rule text, filter text, mapping jsonb, payload jsonb, attempts integer, max_attempts integer, code text, crm_says text,
  correlation_id text, meaning text, who_must_act text, remedy text, next_attempt_at timestamptz, external_id text, record_url text,
  enqueued_at timestamptz, finished_at timestamptz, object text, classification_id uuid
)
language sql stable
as $$
  select
    s.organization_id, s.integration_id, s.provider, s.connection, s.queue_id, s.step, s.has_arrived, s.state,
    s.answer, s.intent, s.rule, s.filter,
    case when s.crm_record in ('contact', 'lead', 'deal') then crm_sync.explained_mapping(s.organization_id, s.integration_id, s.crm_record) end,
    coalesce(s.sent, crm_sync.explained_payload(p_message_id, s.integration_id, s.classification_id, s.object, s.queue_id, s.key)),
    s.attempts, s.max_attempts, s.code, s.crm_says, s.correlation_id, s.meaning, s.who_must_act, s.remedy,
    s.next_attempt_at, s.external_id, s.record_url, s.enqueued_at, s.finished_at, s.object, s.classification_id
  from crm_sync.explained_steps(p_message_id) as s
$$;
comment on function crm_sync.explain(uuid) is
  'Reader: did this message reach the CRMs, and if not why and when next: for each classification, connection and step one plain sentence with all that it rests on; no row for a message of others.';

create or replace function crm_sync.failure_meaning(p_kind text, p_code text) returns table (meaning text, remedy text)
language sql immutable parallel safe rows 1
set search_path = ''
as $$
  select m.meaning, m.remedy
  from (values
    ('rejected', '^(INVALID_OPTION|INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST|BAD_VALUE_FOR_RESTRICTED_PICKLIST)$',
      'the field takes only certain values, and ours is not among them',
      'Map the value to one of allowed_values ("values" in the rule of field_mappings, or status_values in sync_settings), or add it in the CRM; then crm_sync.retry_failed().'),
    ('rejected', '^(PROPERTY_DOESNT_EXIST|INVALID_FIELD|INVALID_FIELD_FOR_INSERT_UPDATE|NO_SUCH_COLUMN|INVALID_TYPE_ON_FIELD_IN_RECORD)$',
      'the CRM has no such field for us, or it may not be written',
      'Correct the rule in field_mappings, or create the field in the CRM and let the connection write it; then crm_sync.retry_failed().'),
    ('rejected', '^(REQUIRED_FIELD_MISSING|REQUIRED_PROPERTY_MISSING|MISSING_REQUIRED_PROPERTY)$',
      'the CRM demands a value for a field that we leave empty',
      'Map one of our fields or a constant to it in field_mappings; then crm_sync.retry_failed().'),
    ('rejected', '^(INVALID_EMAIL|INVALID_EMAIL_ADDRESS)$',
      'the CRM does not take this e-mail address',
      'Correct the address of the contact; then crm_sync.retry_failed().'),
    ('rejected', '^(STRING_TOO_LONG|PROPERTY_TOO_LONG)$',
      'the value is longer than the field allows',
      'Shorten it, or map it to a longer field; then crm_sync.retry_failed().'),
    ('rejected', '^(DUPLICATES?_|CONFLICTING_|UNIQUE_)',
      'the CRM holds this record already, and its own rules forbid a second one',
      'Merge the records there or relax its rule for duplicates; then crm_sync.retry_failed().'),
    ('rejected', '^(FIELD_CUSTOM_VALIDATION_EXCEPTION|CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY|VALIDATION_RULE)',
      'a rule that somebody made in the CRM refuses this record',
      'Let an administrator read the CRM''s words and change the rule or the data; then crm_sync.retry_failed().'),
    ('rejected', '^(INSUFFICIENT_ACCESS|CANNOT_UPDATE_|INSUFFICIENT_PRIVILEGES|FORBIDDEN)',
      'the user behind the connection may not do this in the CRM',
      'Let an administrator of the CRM give this user the right; then crm_sync.retry_failed().'),
    ('rejected', '^(ENTITY_IS_DELETED|CONTACT_GONE|OBJECT_NOT_FOUND)$',
      'a record that this hangs on was deleted in the CRM',
      'crm_sync.manual_sync() makes the contact again; then crm_sync.retry_failed().'),
    ('rejected', '', 'the CRM understood this row and will not take it, in its own words', 'Correct what its message names; then crm_sync.retry_failed().'),
    ('contended', '', 'somebody else was changing the same record in the CRM', 'It is tried again by itself; where it failed, crm_sync.retry_failed() is enough.'),
    ('rate_limited', '^(OWN_BUDGET|DAILY|REQUEST_LIMIT_EXCEEDED)', 'the CRM''s quota, or our share of it, is used up',
      'Nothing: it goes on by itself when there is room; limits in the provider''s config says how large our share is.'),
    ('rate_limited', '', 'the CRM asked us to slow down', 'Nothing: it goes on by itself.'),
    ('unavailable', '', 'the CRM, or the way to it, is down', 'Nothing: it is tried again by itself until give_up_after in crm_sync.config; after that, crm_sync.retry_failed().'),
    ('unauthorized', '', 'the CRM does not accept the connection any more, or it lacks a right', 'Connect it again, with the rights that the message names; its rows go on then.'),
    ('connection', '', 'nothing is sent until a person has looked at this connection', 'Do what the message says and connect it again; its rows go on then.'),
    ('mapping', '', 'a rule or a setting of this connection leads to what the CRM does not have', 'Change it to one of allowed_values or to another field, or restore that in the CRM.'),
    ('bug', '', 'the CRM gave an answer that this version does not understand', 'crm_sync.retry_failed() after an update; the log names the correlation id for the CRM''s support.'),
    ('', '', 'something other than an answer of the CRM, in the words of the message', 'Where it failed, crm_sync.retry_failed() after the cause is mended.')
  ) as m (kind, code, meaning, remedy)
  where m.kind in (p_kind, '') and coalesce(p_code, '') ~ m.code
  order by m.kind = '', m.code = ''
  limit 1
$$;
comment on function crm_sync.failure_meaning(text, text) is 'Reader: what a kind of failure and the CRM''s code for it mean, and what to do, in plain words.';

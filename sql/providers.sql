-- The CRMs that can be connected. Applied again whenever this file changes; what an operator changed in a config stays.

select crm_sync.register_provider('hubspot', 'HubSpot', 'Contacts, companies, deals and notes in HubSpot''s Smart CRM.', '/static/logos/hubspot.svg', 'oauth', '{
  "auth_url": "https://app.hubspot.com/oauth/authorize",
  "token_url": "https://api.hubapi.com/oauth/2026-03/token",
  "revoke_url": "https://api.hubapi.com/oauth/2026-03/token/revoke",
  "api_base_url": "https://api.hubapi.com",
  "account_hosts": ["*.hubspot.com"],
  "record_urls": {
    "contact": "{account_url}/contacts/{account_id}/record/0-1/{id}",
    "company": "{account_url}/contacts/{account_id}/record/0-2/{id}",
    "deal": "{account_url}/contacts/{account_id}/record/0-3/{id}"
  },
  "api_version": "2026-03",
  "scopes": [
    "oauth",
    "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.companies.read", "crm.objects.companies.write",
    "crm.objects.deals.read", "crm.objects.deals.write",
    "crm.schemas.contacts.write", "crm.schemas.companies.write", "crm.schemas.deals.write"
  ],
  "limits": {"core": {"calls": 110, "seconds": 10}, "static": {"calls": 100, "seconds": 10}, "search": {"calls": 5, "seconds": 1}},
  "status_values": {"new": "NEW", "contacted": "CONNECTED", "qualified": "OPEN_DEAL", "unqualified": "UNQUALIFIED"},
  "status_ranks": [["NEW", "OPEN"], ["ATTEMPTED_TO_CONTACT", "CONNECTED"], ["IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED"]],
  "batch_rows": 1000,
  "default_settings": {"deal_pipeline": "default", "deal_stage": "appointmentscheduled"},
  "field_mappings": {
    "company": [{"from": "company", "to": "name"}],
    "contact": [
      {"from": "email", "to": "email", "policy": "when_changed"},
      {"from": "first_name", "to": "firstname", "policy": "when_changed"},
      {"from": "last_name", "to": "lastname", "policy": "when_changed"},
      {"from": "company", "to": "company", "policy": "when_changed"},
      {"from": "phone", "to": "phone", "policy": "when_changed"},
      {"from": "status", "to": "hs_lead_status", "policy": "forward_only"},
      {"from": "lead_source", "to": "crm_sync_lead_source", "policy": "if_blank"}
    ],
    "deal": [
      {"from": "name", "to": "dealname"},
      {"from": "pipeline", "to": "pipeline"},
      {"from": "stage", "to": "dealstage"},
      {"from": "amount", "to": "amount"},
      {"from": "currency", "to": "deal_currency_code"},
      {"from": "close_at", "to": "closedate"}
    ]
  }
}');

select crm_sync.register_provider('salesforce', 'Salesforce', 'Accounts, contacts or leads, opportunities and tasks in Salesforce.', '/static/logos/salesforce.svg', 'oauth', '{
  "auth_url": "https://login.salesforce.com/services/oauth2/authorize",
  "token_url": "https://login.salesforce.com/services/oauth2/token",
  "revoke_url": "https://login.salesforce.com/services/oauth2/revoke",
  "api_base_url": "https://login.salesforce.com",
  "api_hosts": ["*.salesforce.com", "*.force.com", "*.salesforce.mil", "*.sfcrmproducts.cn"],
  "login_hosts": ["*.salesforce.com", "*.salesforce.mil", "*.sfcrmproducts.cn"],
  "pkce": true,
  "record_urls": {
    "contact": "{account_url}/lightning/r/Contact/{id}/view",
    "lead": "{account_url}/lightning/r/Lead/{id}/view",
    "company": "{account_url}/lightning/r/Account/{id}/view",
    "deal": "{account_url}/lightning/r/Opportunity/{id}/view"
  },
  "api_version": "v68.0",
  "scopes": ["api", "refresh_token"],
  "limits": {"core": {"calls": 100000, "seconds": 86400}},
  "batch_rows": 1000,
  "batches_in_flight": 1,
  "status_values": {
    "new": ["New", "Open - Not Contacted"],
    "contacted": ["Contacted", "Working - Contacted"],
    "qualified": ["Qualified", "Working - Contacted"],
    "unqualified": ["Unqualified", "Closed - Not Converted"]
  },
  "status_ranks": [["New", "Open - Not Contacted"], ["Contacted", "Working - Contacted", "Nurturing"], ["Qualified", "Unqualified", "Closed - Not Converted"]],
  "default_settings": {"deal_pipeline": "default", "deal_stage": "Prospecting", "contact_object": "contact"},
  "field_mappings": {
    "company": [{"from": "company", "to": "Name"}],
    "contact": [
      {"from": "first_name", "to": "FirstName", "policy": "when_changed"},
      {"from": "surname", "to": "LastName", "policy": "when_changed"},
      {"from": "email", "to": "Email", "policy": "when_changed"},
      {"from": "phone", "to": "Phone", "policy": "when_changed"},
      {"from": "lead_source", "to": "LeadSource", "policy": "if_blank"}
    ],
    "lead": [
      {"from": "first_name", "to": "FirstName", "policy": "when_changed"},
      {"from": "surname", "to": "LastName", "policy": "when_changed"},
      {"from": "company_or_none", "to": "Company", "policy": "when_changed"},
      {"from": "email", "to": "Email", "policy": "when_changed"},
      {"from": "phone", "to": "Phone", "policy": "when_changed"},
      {"from": "status", "to": "Status", "policy": "forward_only"},
      {"from": "lead_source", "to": "LeadSource", "policy": "if_blank"}
    ],
    "deal": [
      {"from": "name", "to": "Name"},
      {"from": "stage", "to": "StageName", "or_first": true},
      {"from": "close_date", "to": "CloseDate"},
      {"from": "currency", "to": "CurrencyIsoCode"},
      {"from": "amount", "to": "Amount"}
    ]
  }
}');

select crm_sync.register_provider('pipedrive', 'Pipedrive', 'Persons, organizations, deals, notes and activities in Pipedrive.', '/static/logos/pipedrive.svg', 'oauth', '{
  "auth_url": "https://oauth.pipedrive.com/oauth/authorize",
  "token_url": "https://oauth.pipedrive.com/oauth/token",
  "revoke_url": "https://oauth.pipedrive.com/oauth/revoke",
  "client_auth": "basic",
  "scope_in_url": false,
  "record_urls": {"contact": "{account_url}/person/{id}", "company": "{account_url}/organization/{id}", "deal": "{account_url}/deal/{id}"},
  "api_base_url": "https://api.pipedrive.com",
  "api_hosts": ["*.pipedrive.com"],
  "api_version": "v2",
  "scopes": ["base", "contacts:full", "deals:full", "activities:full", "search:read", "contact-fields:full", "deal-fields:full"],
  "limits": {
    "core": {"calls": 80, "seconds": 2},
    "static": {"calls": 20, "seconds": 2},
    "search": {"calls": 10, "seconds": 2},
    "daily": {"calls": 30000, "seconds": 86400}
  },
  "batch_rows": 200,
  "batches_in_flight": 1,
  "default_settings": {"deal_pipeline": "default", "deal_stage": "default"},
  "field_mappings": {
    "company": [{"from": "company", "to": "name"}],
    "contact": [
      {"from": "full_name", "to": "name", "policy": "when_changed"},
      {"from": "email", "to": "email", "policy": "when_changed"},
      {"from": "phone", "to": "phone", "policy": "when_changed"}
    ],
    "deal": [
      {"from": "name", "to": "title"},
      {"from": "pipeline", "to": "pipeline_id"},
      {"from": "stage", "to": "stage_id"},
      {"from": "amount", "to": "value"},
      {"from": "currency", "to": "currency"},
      {"from": "close_date", "to": "expected_close_date"}
    ]
  }
}');

insert into crm_sync.intent_rules (intent, contact_status, create_deal)
values
  ('interested', 'qualified', true),
  ('question', 'contacted', false),
  ('objection', 'contacted', false),
  ('not_interested', 'unqualified', false)
on conflict do nothing;

insert into crm_sync.alert_rules (name, condition, threshold, for_at_least, clear_after, severity, remedy)
values
  ('failures_per_hour', 'failures_per_hour', 20, '0', '10 minutes', 'warning',
    'See what fails and what to do about each cause: select * from crm_sync.failures; after mending it: select crm_sync.retry_failed(id of the connection).'),
  ('oldest_wait', 'oldest_wait', 60, '5 minutes', '1 minute', 'warning',
    'See what the connection waits for: select state, resumes_at, last_error from crm_sync.status; where nothing is wrong there, more daemons or a higher limit help.'),
  ('queue_depth', 'queue_depth', 100000, '10 minutes', '10 minutes', 'info',
    'Nothing, where you have just sent a lot; else see how fast it goes and which limit holds it, and start another daemon.'),
  ('nothing_succeeds', 'nothing_succeeds', 30, '5 minutes', '0', 'critical',
    'See why: select state, resumes_at, last_error from crm_sync.status. unavailable: the CRM is down, and it goes on by itself; rate_limited: the budget is spent; else look at the daemons in crm_sync.workers.'),
  ('budget_nearly_spent', 'budget_nearly_spent', 90, '0', '1 minute', 'warning',
    'Nothing is lost: at 100 % it waits for the next day. Send less, buy a larger limit from the CRM, or raise share in the provider''s limits, where other apps need less.'),
  ('connection_lost', 'connection_lost', 1, '0', '0', 'critical',
    'A member of the organization connects it again, in the console on the page Integrations or with crm-sync connect; its rows go on then, and none is lost.'),
  ('refresh_failing', 'refresh_failing', 3, '0', '0', 'warning',
    'See last_error of the connection in crm_sync.status and the CRM''s status page; if it goes on, connect it again before the refresh token dies of disuse.'),
  ('no_worker_alive', 'no_worker_alive', 1, '1 minute', '0', 'critical',
    'Start the daemon (systemctl start crm-sync) and see why it ended (journalctl -u crm-sync); nothing is lost meanwhile, what comes in waits.'),
  ('worker_cannot_listen', 'worker_cannot_listen', 1, '10 minutes', '1 minute', 'info',
    'Give the daemon a way to the database that can LISTEN (not a pooler in transaction mode); where CRM_SYNC_LISTEN=false is meant, switch this rule off.'),
  ('unknown_error', 'unknown_error', 1, '0', '1 minute', 'info',
    'Look at the rows in crm_sync.failures, update pg-crm-sync, and report the code where the newest version does not know it either.')
on conflict do nothing;

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

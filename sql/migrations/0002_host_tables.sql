-- The host application's tables: created only where absent, never altered beyond the unique keys that foreign keys need.

do $$
declare
  v_created text[] := '{}';
  v_table text;
  v_missing text;
begin
  if to_regclass('public.organizations') is null then
    create table public.organizations (
      id uuid primary key default gen_random_uuid(),
      name text not null
    );
    comment on table public.organizations is 'Tenants. Belongs to the host application.';
    comment on column public.organizations.id is 'Key.';
    comment on column public.organizations.name is 'What people call the organization.';
    v_created := array_append(v_created, 'organizations');
  end if;

  if to_regclass('public.users') is null then
    create table public.users (
      id uuid primary key default gen_random_uuid(),
      organization_id uuid not null references public.organizations (id) on delete cascade,
      email text not null
    );
    create index users_organization_id_idx on public.users (organization_id);
    comment on table public.users is 'People who log in; each belongs to one organization. Belongs to the host application.';
    comment on column public.users.id is 'Key; equals auth.uid() of a logged-in user.';
    comment on column public.users.organization_id is 'The organization whose rows this user sees.';
    comment on column public.users.email is 'The address the user logs in with.';
    v_created := array_append(v_created, 'users');
  end if;

  if to_regclass('public.contacts') is null then
    create table public.contacts (
      id uuid primary key default gen_random_uuid(),
      organization_id uuid not null references public.organizations (id) on delete cascade,
      email text,
      first_name text,
      last_name text,
      company text,
      phone text
    );
    comment on table public.contacts is 'People whom the organization writes to. Belongs to the host application.';
    comment on column public.contacts.id is 'Key.';
    comment on column public.contacts.organization_id is 'The organization that this contact belongs to.';
    comment on column public.contacts.email is 'The address replies come from; a contact without one cannot be sent to a CRM.';
    comment on column public.contacts.first_name is 'Given name.';
    comment on column public.contacts.last_name is 'Family name.';
    comment on column public.contacts.company is 'Name of the company, as free text; contacts of one company share it.';
    comment on column public.contacts.phone is 'Telephone number, as free text.';
    v_created := array_append(v_created, 'contacts');
  end if;

  if to_regclass('public.inbox_messages') is null then
    create table public.inbox_messages (
      id uuid primary key default gen_random_uuid(),
      organization_id uuid not null references public.organizations (id) on delete cascade,
      contact_id uuid,
      subject text,
      body text,
      received_at timestamptz not null default now()
    );
    comment on table public.inbox_messages is 'Replies that came in. Belongs to the host application.';
    comment on column public.inbox_messages.id is 'Key.';
    comment on column public.inbox_messages.organization_id is 'The organization that received the message.';
    comment on column public.inbox_messages.contact_id is 'Who wrote it.';
    comment on column public.inbox_messages.subject is 'Subject line.';
    comment on column public.inbox_messages.body is 'Text of the message.';
    comment on column public.inbox_messages.received_at is 'When it arrived.';
    v_created := array_append(v_created, 'inbox_messages');
  end if;

  if to_regclass('public.message_classifications') is null then
    create table public.message_classifications (
      id uuid primary key default gen_random_uuid(),
      message_id uuid not null,
      intent text,
      sentiment text,
      priority text,
      requires_human_attention boolean not null default false,
      next_action text,
      confidence numeric,
      created_at timestamptz not null default now()
    );
    create index message_classifications_message_id_idx on public.message_classifications (message_id);
    comment on table public.message_classifications is 'What a reply means. Insert a row here and the CRMs of its organization get it. Belongs to the host application.';
    comment on column public.message_classifications.id is 'Key.';
    comment on column public.message_classifications.message_id is 'The message that was classified; no foreign key, so that an insert never fails because of its order.';
    comment on column public.message_classifications.intent is 'interested, question, objection, not_interested, … (free text).';
    comment on column public.message_classifications.sentiment is 'positive, neutral, negative, … (free text).';
    comment on column public.message_classifications.priority is 'urgent, high, medium, low, … (free text).';
    comment on column public.message_classifications.requires_human_attention is 'Whether a person should look at it.';
    comment on column public.message_classifications.next_action is 'What the classifier proposes to do next.';
    comment on column public.message_classifications.confidence is 'How sure the classifier is, 0 to 1.';
    comment on column public.message_classifications.created_at is 'When it was classified.';
    v_created := array_append(v_created, 'message_classifications');
  end if;

  -- what we rely on, in the tables that were there before
  select string_agg(format('%s.%s %s', e.table_name, e.column_name, e.type_name), ', ' order by e.table_name, e.column_name)
  into v_missing
  from (values
    ('organizations', 'id', 'uuid'), ('organizations', 'name', null),
    ('users', 'id', 'uuid'), ('users', 'organization_id', 'uuid'),
    ('contacts', 'id', 'uuid'), ('contacts', 'organization_id', 'uuid'), ('contacts', 'email', null), ('contacts', 'first_name', null),
    ('contacts', 'last_name', null), ('contacts', 'company', null), ('contacts', 'phone', null),
    ('inbox_messages', 'id', 'uuid'), ('inbox_messages', 'organization_id', 'uuid'), ('inbox_messages', 'contact_id', 'uuid'),
    ('inbox_messages', 'subject', null), ('inbox_messages', 'body', null), ('inbox_messages', 'received_at', 'timestamptz'),
    ('message_classifications', 'id', 'uuid'), ('message_classifications', 'message_id', 'uuid'), ('message_classifications', 'intent', null),
    ('message_classifications', 'sentiment', null), ('message_classifications', 'priority', null),
    ('message_classifications', 'requires_human_attention', 'bool'), ('message_classifications', 'next_action', null),
    ('message_classifications', 'confidence', null), ('message_classifications', 'created_at', 'timestamptz')
  ) as e (table_name, column_name, type_name)
  left join pg_catalog.pg_attribute as a
    on a.attrelid = to_regclass('public.' || e.table_name) and a.attname = e.column_name and a.attnum > 0 and not a.attisdropped
  left join pg_catalog.pg_type as t on t.oid = a.atttypid
  where a.attname is null or (e.type_name is not null and t.typname <> e.type_name);
  if v_missing is not null then
    raise exception using errcode = 'CS090', message = 'the host application''s tables lack columns that pg-crm-sync reads',
      detail = 'Missing, or of another type: ' || v_missing,
      hint = 'Add the columns (a generated column may give another one its name), and migrate again.';
  end if;

  -- the keys that composite foreign keys refer to
  foreach v_table in array array['users', 'contacts', 'inbox_messages'] loop
    if not exists (
      select from pg_catalog.pg_constraint as c
      where c.conrelid = to_regclass('public.' || v_table) and c.contype in ('p', 'u')
        and (
          select array_agg(a.attname::text order by a.attname)
          from pg_catalog.pg_attribute as a
          where a.attrelid = c.conrelid and a.attnum = any (c.conkey)
        ) = array['id', 'organization_id']
    ) then
      execute format('alter table public.%I add constraint %I unique (organization_id, id)', v_table, v_table || '_organization_id_id_key');
    end if;
  end loop;

  if 'inbox_messages' = any (v_created) then
    alter table public.inbox_messages add constraint inbox_messages_contact_fkey
      foreign key (organization_id, contact_id) references public.contacts (organization_id, id) on delete set null (contact_id);
    create index inbox_messages_contact_idx on public.inbox_messages (organization_id, contact_id);
  end if;

  foreach v_table in array v_created loop
    execute format('alter table public.%I owner to crm_sync_owner', v_table);
    execute format('alter table public.%I enable row level security', v_table);
    execute format('alter table public.%I force row level security', v_table);
  end loop;
end;
$$;

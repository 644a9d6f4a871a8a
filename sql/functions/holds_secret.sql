-- By names, as nothing else tells a secret from another text; and by its form a URL that carries a password, and what goes
-- into a header.
create or replace function crm_sync.holds_secret(p_name text, p_value jsonb) returns boolean
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  with recursive parts as (
    select p_name as name, p_value as value
    union all
    select c.name, c.value
    from parts as p
    cross join lateral (
      select e.key, e.value from jsonb_each(case when jsonb_typeof(p.value) = 'object' then p.value else '{}' end) as e
      union all
      select p.name, e.value from jsonb_array_elements(case when jsonb_typeof(p.value) = 'array' then p.value else '[]' end) as e
    ) as c (name, value)
  )
  select exists (
    select from parts as p
    where p.name ~* '(^|_|-)(credentials?|token|secret|password|passwd|passphrase|api_?key|private_?key|signing_?key|encryption_?key|access_?key|secret_?key|authorization)$'
      or p.name ~ '[a-z0-9](Credentials?|Token|Secret|Password|Passphrase|Api[Kk]ey|PrivateKey|SigningKey|EncryptionKey|AccessKey|SecretKey|Authorization)$'
      or (jsonb_typeof(p.value) = 'string' and p.value #>> '{}' ~ '^([A-Za-z][A-Za-z0-9+.-]*://[^/@[:space:]]*:[^/@[:space:]]+@|(Bearer|Basic) [^[:space:]]{8}|whsec_)')
  )
$$;
comment on function crm_sync.holds_secret(text, jsonb) is 'Reader: whether a setting is a secret or holds one, by what it is called; such are neither written down nor exported.';

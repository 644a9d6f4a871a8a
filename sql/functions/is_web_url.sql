-- No user, no blank, no quote: such a text can stand in a page as a link. Without TLS only to this machine, for tests and sandboxes.
create or replace function crm_sync.is_web_url(p_url text) returns boolean
language sql immutable strict parallel safe
return length(p_url) <= 1000 and p_url ~ '^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost))(:[0-9]{1,5})?(/[A-Za-z0-9._~%!$&()*+,;=:@/?-]*)?$';
comment on function crm_sync.is_web_url(text) is 'Console: whether a text is an address by https, or by http on this machine, and nothing else.';

create or replace function crm_sync.trim_blanks(p_text text) returns text
language sql immutable parallel safe
return btrim(p_text, E' \t\n\r\u000b\u000c\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff');
comment on function crm_sync.trim_blanks(text) is 'Worker: a text without the white space around it, Unicode''s and invisible ones included; what is nothing else becomes empty.';

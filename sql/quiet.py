"""What a session of ours does first, so that the server's log tells of no person."""

QUIET = """
select pg_catalog.set_config(s.name, s.value, false)
from (
  values
    ('log_parameter_max_length_on_error', '0', true),
    ('log_parameter_max_length', '0', pg_catalog.has_parameter_privilege('log_parameter_max_length', 'set')),
    ('auto_explain.log_min_duration', '-1', pg_catalog.has_parameter_privilege('auto_explain.log_min_duration', 'set'))
) as s (name, value, is_ours)
where s.is_ours
"""
"""Bind parameters and the plans of statements hold addresses, names and messages. The first setting is anybody's, the
others need a right that a superuser grants when the database is migrated; without it they stay as they are."""

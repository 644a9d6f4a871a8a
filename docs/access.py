"""Who may do what, by the catalogs of a database and by sql/access.sql: to be compared, and as Markdown."""

from __future__ import annotations

import re
from typing import NamedTuple

import psycopg

ROLES = (
    "public",
    "anon",
    "authenticated",
    "crm_sync_reader",
    "crm_sync_console",
    "crm_sync_daemon",
    "crm_sync_producer",
)
OWNER = "crm_sync_owner"
HOST = ("organizations", "users", "contacts", "inbox_messages", "message_classifications")


class Grant(NamedTuple):
    """A right on an object: of which kind, which one (a column as table.column), which right, whose."""

    kind: str
    name: str
    privilege: str
    role: str


# whoever owns an object has every right on it, and that is not among them
GRANTED = """
with acls as (
  select 'schema' as kind, n.nspname::text as name, n.nspowner as owner, n.nspacl as acl
  from pg_catalog.pg_namespace as n where n.nspname in ('crm_sync', 'auth', 'public')
  union all
  select case when c.relkind = 'S' then 'sequence' else 'table' end, format('%I.%I', n.nspname, c.relname), c.relowner,
    c.relacl
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where n.nspname = 'crm_sync' or pg_catalog.pg_get_userbyid(c.relowner) = 'crm_sync_owner'
  union all
  select 'column', format('%I.%I.%I', n.nspname, c.relname, a.attname), c.relowner, a.attacl
  from pg_catalog.pg_attribute as a
  join pg_catalog.pg_class as c on c.oid = a.attrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where a.attacl is not null and (n.nspname = 'crm_sync' or pg_catalog.pg_get_userbyid(c.relowner) = 'crm_sync_owner')
  union all
  select 'function', format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.oidvectortypes(p.proargtypes)), p.proowner,
    coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
  from pg_catalog.pg_proc as p
  join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
  where n.nspname = 'crm_sync' or pg_catalog.pg_get_userbyid(p.proowner) = 'crm_sync_owner'
  union all
  select 'type', t.oid::regtype::text, t.typowner, t.typacl
  from pg_catalog.pg_type as t where t.typnamespace = 'crm_sync'::regnamespace
  union all
  select 'parameter', p.parname, 10, p.paracl from pg_catalog.pg_parameter_acl as p
  union all
  select 'default', d.defaclnamespace::regnamespace::text || ' ' || d.defaclobjtype::text, d.defaclrole, d.defaclacl
  from pg_catalog.pg_default_acl as d where d.defaclrole = 'crm_sync_owner'::regrole
)
select distinct
  a.kind, a.name, lower(x.privilege_type) || case when x.is_grantable then ' with grant option' else '' end, g.role
from acls as a
cross join lateral pg_catalog.aclexplode(a.acl) as x
cross join lateral (
  select case when x.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(x.grantee) end as role
) as g
where x.grantee <> a.owner and g.role ~ '^(public|anon|authenticated|crm_sync_[a-z]+)$'
"""

GRANT = re.compile(r"^grant (?P<what>.+?) on (?P<on>.+?) to (?P<roles>[\w, ]+)$", re.IGNORECASE | re.DOTALL)
ITEM = re.compile(r"(?P<privilege>[a-z ]+?)(?: ?\((?P<columns>[^)]*)\))?(?:,|$)", re.IGNORECASE)
ALIASES = {"timestamptz": "timestamp with time zone"}


def granted(connection: psycopg.Connection) -> set[Grant]:
    """Every right that somebody has on an object of ours, but for its owner."""
    return {Grant(*row) for row in connection.execute(GRANTED.encode()).fetchall()}


def written(page: str) -> set[Grant]:
    """Every right that this page of SQL gives by a statement of its own; what its `do` blocks give is not among it."""
    text = re.sub(r"do \$\$.*?\$\$;", "", re.sub(r"--[^\n]*", "", page), flags=re.DOTALL)
    found: set[Grant] = set()
    for statement in text.split(";"):
        match = GRANT.match(" ".join(statement.split()))
        if match is None:
            continue
        roles = [role.strip() for role in match["roles"].split(",")]
        kind, names = objects(match["on"])
        for item in ITEM.finditer(match["what"]):
            privilege, columns = item["privilege"].strip().lower(), item["columns"]
            for name in names:
                if columns is None:
                    found |= {Grant(kind, name, privilege, role) for role in roles}
                    continue
                listed = [f"{name}.{column.strip()}" for column in columns.split(",")]
                found |= {Grant("column", column, privilege, role) for column in listed for role in roles}
    return found


def objects(words: str) -> tuple[str, list[str]]:
    """Kind and names of what a statement gives rights on, as the catalogs would write them."""
    kind, _, rest = words.partition(" ")
    if kind.lower() == "schema":
        return "schema", [name.strip() for name in rest.split(",")]
    if kind.lower() == "function":
        signatures = re.findall(r"([\w.]+)\(([^)]*)\)", rest)
        return "function", [f"{name}({', '.join(map(full_type, types.split(',')))})" for name, types in signatures]
    return "table", [name.strip() for name in words.split(",")]


def full_type(name: str) -> str:
    return ALIASES.get(name.strip(), name.strip())


def page(connection: psycopg.Connection) -> str:
    """The matrix as Markdown: an object a line, a role a column."""
    rights: dict[str, dict[tuple[str, str], set[str]]] = {}
    for grant in granted(connection):
        kind, name, privilege = grant.kind, grant.name, grant.privilege
        if kind == "column":
            name, _, column = name.rpartition(".")
            kind, privilege = "table", f"{privilege} ({column})"
        rights.setdefault(kind, {}).setdefault((name, grant.role), set()).add(privilege)
    lines = [
        "# Who may do what",
        "",
        "From the catalogs of a migrated database; `sql/access.sql` is the page that gives the rights, and the tests",
        f"compare the two. Everything belongs to `{OWNER}`, which cannot log in. Row-level security decides on rows:",
        "members of an organization (`authenticated`) have theirs. What is not listed, nobody may.",
    ]
    for kind, title in (
        ("schema", "Schemas"),
        ("table", "Tables and views"),
        ("function", "Functions"),
        ("parameter", "Parameters"),
    ):
        found = rights.get(kind, {})
        roles = [role for role in ROLES if any(r == role for _, r in found)]
        lines += [
            "",
            f"## {title}",
            "",
            "| | " + " | ".join(f"`{role}`" for role in roles) + " |",
            "|---" * (len(roles) + 1) + "|",
        ]
        for name in sorted({name for name, _ in found}):
            cells = [cell(kind, found.get((name, role), set())) for role in roles]
            lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(kind: str, privileges: set[str]) -> str:
    """What is in a cell: a function's only right is a cross, columns stand together."""
    if kind == "function":
        return "x" if privileges else ""
    columns: dict[str, list[str]] = {}
    for privilege in sorted(privileges):
        verb, _, column = privilege.partition(" (")
        columns.setdefault(verb, []).append(column.rstrip(")"))
    return "; ".join(
        verb + (f" ({', '.join(c for c in names if c)})" if any(names) else "") for verb, names in columns.items()
    )

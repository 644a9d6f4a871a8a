"""What the Integrations pages and the API ask, as a member; row-level security decides what there is."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

from console.db import Row, Session

COLUMNS: LiteralString = """
  i.id, i.organization_id, p.name as provider, p.display_name, i.name, i.status,
  i.account_id, i.account_name, i.account_url, i.sync_frequency, i.last_sync_at,
  i.total_synced_contacts, i.total_synced_deals, i.credentials_version > 0 as was_connected
"""
SETTINGS: LiteralString = """
  p.config, i.sync_settings, i.field_mappings, i.sync_filters, l.described_at,
  encode(sha256(convert_to(i.sync_settings::text || i.sync_frequency, 'UTF8')), 'hex') as settings_seen,
  encode(sha256(convert_to(i.field_mappings::text, 'UTF8')), 'hex') as mappings_seen,
  encode(sha256(convert_to(i.sync_filters::text, 'UTF8')), 'hex') as filters_seen
"""
FROM: LiteralString = """
from public.user_integrations as i
join public.integration_providers as p on p.id = i.provider_id
join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
"""


async def organizations(session: Session) -> list[UUID]:
    """Of which the caller is a member."""
    rows = await session.rows("select organization_id from crm_sync.member_organizations() as m (organization_id)")
    return [row["organization_id"] for row in rows]


async def providers(session: Session) -> list[Row]:
    """The CRMs that can be connected."""
    return await session.rows(
        "select name, display_name, description, coalesce(config -> 'login_hosts', '[]') <> '[]' as has_login_hosts "
        "from public.integration_providers where is_active order by id"
    )


async def cards(session: Session, integration_id: int | None = None) -> list[Row]:
    """Each connection, or one, with how it stands."""
    return await session.rows(
        f"select {COLUMNS}, l.paused_at, l.parked_kind, l.other_account, s.state, s.waiting, s.running, s.retrying, "
        "s.failed, s.skipped, s.oldest_wait, s.last_success, s.last_error, s.resumes_at "
        f"{FROM} join crm_sync.status as s on s.integration_id = i.id "
        "where $1::bigint is null or i.id = $1 order by p.id, i.name <> 'default', i.name, i.id",
        integration_id,
    )


async def mapping_problems(session: Session, integration_id: int) -> list[str]:
    """What the CRM does not honour any more of a connection's rules and settings."""
    rows = await session.rows(
        "select message from crm_sync.failures where integration_id = $1 and kind = 'mapping' "
        "order by message limit 20",
        integration_id,
    )
    return [row["message"] for row in rows]


async def named_connections(session: Session, provider: str, name: str, organization: UUID | None) -> list[Row]:
    """The caller's connections of that name to a CRM: one for each organization at most."""
    return await session.rows(
        f"select {COLUMNS} {FROM} where p.name = $1 and i.name = $2 and ($3::uuid is null or i.organization_id = $3) "
        "and i.organization_id in (select crm_sync.member_organizations())",
        *(provider, name, organization),
    )


async def connection(session: Session, integration_id: int) -> Row | None:
    """One connection with all that people may change of it."""
    return await session.row(f"select {COLUMNS}, {SETTINGS} {FROM} where i.id = $1", integration_id)


async def crm_fields(session: Session, integration_id: int) -> list[Row]:
    """The fields of a connection's CRM, as it described them last."""
    return await session.rows(
        "select object, name, label, type, is_writable, is_required, options, is_closed from crm_sync.crm_fields "
        "where integration_id = $1 order by object, is_required desc, lower(label), name",
        integration_id,
    )


async def our_fields(session: Session) -> dict[str, list[str]]:
    """What rules may name of ours, by the CRM's object."""
    rows = await session.rows(
        "select o.name, crm_sync.our_fields(o.name) as fields "
        "from unnest(array['contact', 'lead', 'company', 'deal']) as o (name)"
    )
    return {row["name"]: row["fields"] for row in rows}


async def save_settings(session: Session, integration_id: int, settings: Any, frequency: str, seen: str) -> bool:
    """False when they are not what the caller has seen; raises `InvalidSettings` with the trigger's words."""
    return await _saved(
        session,
        "update public.user_integrations set sync_settings = $2, sync_frequency = $3 where id = $1 "
        "and encode(sha256(convert_to(sync_settings::text || sync_frequency, 'UTF8')), 'hex') = $4 returning id",
        *(integration_id, settings, frequency, seen),
    )


async def save_mappings(session: Session, integration_id: int, mappings: Any, seen: str) -> bool:
    """As `save_settings`."""
    return await _saved(
        session,
        "update public.user_integrations set field_mappings = $2 where id = $1 "
        "and encode(sha256(convert_to(field_mappings::text, 'UTF8')), 'hex') = $3 returning id",
        *(integration_id, mappings, seen),
    )


async def save_filters(session: Session, integration_id: int, filters: Any, seen: str) -> bool:
    """As `save_settings`."""
    return await _saved(
        session,
        "update public.user_integrations set sync_filters = $2 where id = $1 "
        "and encode(sha256(convert_to(sync_filters::text, 'UTF8')), 'hex') = $3 returning id",
        *(integration_id, filters, seen),
    )


async def save_documents(
    session: Session, integration_id: int, documents: dict[str, Any], seen: tuple[str, str, str]
) -> bool:
    """All three at once, as `save_settings`."""
    return await _saved(
        session,
        "update public.user_integrations set sync_settings = $2, field_mappings = $3, sync_filters = $4 where id = $1 "
        "and encode(sha256(convert_to(sync_settings::text || sync_frequency, 'UTF8')), 'hex') = $5 "
        "and encode(sha256(convert_to(field_mappings::text, 'UTF8')), 'hex') = $6 "
        "and encode(sha256(convert_to(sync_filters::text, 'UTF8')), 'hex') = $7 returning id",
        *(integration_id, documents["sync_settings"], documents["field_mappings"], documents["sync_filters"], *seen),
    )


async def pause(session: Session, integration_id: int) -> bool:
    """False: it was paused already. This and what follows raise `NotYours`."""
    return bool(await session.value("select crm_sync.pause($1)", integration_id))


async def resume(session: Session, integration_id: int) -> bool:
    """False: it was not paused."""
    return bool(await session.value("select crm_sync.resume($1)", integration_id))


async def disconnect(session: Session, integration_id: int) -> bool:
    """False: it was disconnected already."""
    return bool(await session.value("select crm_sync.disconnect($1)", integration_id))


async def try_again(session: Session, integration_id: int) -> bool:
    """False: it is not in error, or has no credentials."""
    return bool(await session.value("select crm_sync.try_again($1)", integration_id))


async def sync_now(session: Session, integration_id: int) -> tuple[int, bool]:
    """How many rows were brought forward, and whether those were as many as one call takes."""
    count = int(await session.value("select crm_sync.sync_now($1)", integration_id))
    return count, count >= int(await session.value("select crm_sync.rows_at_once()"))


async def adopt_account(session: Session, integration_id: int, keeps_ids: bool) -> str:
    """What became of it, in words."""
    return str(await session.value("select crm_sync.adopt_account($1, $2)", integration_id, keeps_ids))


async def _saved(session: Session, query: LiteralString, *arguments: object) -> bool:
    return await session.value(query, *arguments) is not None

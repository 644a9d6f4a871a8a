"""Fields, pipelines, stages, activity types and users."""

from __future__ import annotations

from typing import Any

from sandbox.pipedrive.customs import FIELD_TYPES
from sandbox.pipedrive.errors import InvalidValueError, invalid, not_found, problems_of
from sandbox.pipedrive.gate import Answer, Call
from sandbox.pipedrive.wire import data, iso

_CREATE = (
    "field_name",
    "field_type",
    "options",
    "description",
    "ui_visibility",
    "important_fields",
    "required_fields",
)


def list_fields(call: Call) -> Answer:
    query = call.query(("limit", "cursor", "include_fields"))
    limit = query.limit()
    documents = [each.document() for each in call.company.fields[call.kind]]
    rows, additional = query.numbered(documents, limit, f"{call.kind} fields")
    return 200, data(rows, additional)


def read_field(call: Call) -> Answer:
    call.query(("include_fields",))
    try:
        return 200, data(call.company.fields[call.kind].get(call.params["code"]).document())
    except KeyError:
        raise not_found("Field") from None


def create_field(call: Call) -> Answer:
    """201 with the new field, whose `field_code` Pipedrive chooses."""
    call.query()
    body = call.body()
    problems = problems_of(body, dict.fromkeys(_CREATE))
    name, kind = body.get("field_name"), body.get("field_type")
    if not isinstance(name, str) or not name.strip() or len(name) > 255:
        problems.append(InvalidValueError("field_name", "the name is required: a string of 1 to 255 characters"))
    if kind not in FIELD_TYPES:
        problems.append(InvalidValueError("field_type", f"the type must be one of {', '.join(sorted(FIELD_TYPES))}"))
    labels = _labels(body.get("options"), problems)
    if kind in ("enum", "set") and not labels:
        problems.append(InvalidValueError("options", "options are required for this field type"))
    elif kind not in ("enum", "set") and labels:
        problems.append(InvalidValueError("options", "this field type has no options"))
    if problems:
        raise invalid(problems)
    field = call.company.fields[call.kind].add(str(name), str(kind), labels, call.now, body.get("description"))
    call.company.note_effect("field_created", kind=call.kind, by="api", field_code=field.code, field_name=field.name)
    return 201, data(field.document())


def delete_field(call: Call) -> Answer:
    call.query()
    fields, code = call.company.fields[call.kind], call.params["code"]
    if fields.custom(code) is None:
        raise not_found("Field")
    document = fields.get(code).document()
    fields.remove(code)
    call.company.note_effect("field_deleted", kind=call.kind, by="api", field_code=code)
    return 200, data(document)


def _labels(given: Any, problems: list[InvalidValueError]) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, dict) and set(each) == {"label"} for each in given):
        problems.append(InvalidValueError("options", "options are an array of objects with a label"))
        return []
    return [str(each["label"]) for each in given]


def list_pipelines(call: Call) -> Answer:
    query = call.query(("sort_by", "sort_direction", "limit", "cursor"))
    moment = iso(call.company.created)
    documents = [
        {
            "id": each.id,
            "name": each.name,
            "order_nr": place,
            "is_deleted": False,
            "is_deal_probability_enabled": False,
            "is_selected": place == 0,
            "add_time": moment,
            "update_time": None,
        }
        for place, each in enumerate(call.company.pipelines)
    ]
    rows, additional = query.numbered(documents, query.limit(), "pipelines")
    return 200, data(rows, additional)


def list_stages(call: Call) -> Answer:
    query = call.query(("pipeline_id", "sort_by", "sort_direction", "limit", "cursor"))
    pipeline, moment = query.integer("pipeline_id"), iso(call.company.created)
    documents = [
        {
            "id": each.id,
            "order_nr": place,
            "name": each.name,
            "is_deleted": False,
            "deal_probability": each.probability,
            "pipeline_id": each.pipeline_id,
            "is_deal_rot_enabled": False,
            "days_to_rotten": None,
            "add_time": moment,
            "update_time": None,
        }
        for place, each in enumerate(call.company.stages)
        if pipeline in (None, each.pipeline_id)
    ]
    rows, additional = query.numbered(documents, query.limit(), "stages")
    return 200, data(rows, additional)


def list_activity_types(call: Call) -> Answer:
    call.query()
    return 200, data(
        [
            {
                "id": each.id,
                "order_nr": each.id,
                "name": each.name,
                "key_string": each.key,
                "icon_key": each.key,
                "active_flag": True,
                "color": None,
                "is_custom_flag": False,
            }
            for each in call.company.activity_types
        ]
    )


def read_me(call: Call) -> Answer:
    """The user of the token, with the company it is in."""
    call.query()
    company = call.company
    return 200, data(
        {
            **_user(call, company.me.id),
            "is_you": True,
            "company_id": company.number,
            "company_name": company.name,
            "company_domain": company.domain,
            "company_country": "EE",
            "company_industry": None,
            "language": {"language_code": "en", "country_code": "US"},
        }
    )


def list_users(call: Call) -> Answer:
    call.query()
    return 200, data([{**_user(call, each), "is_you": each == call.company.me.id} for each in call.company.users])


def _user(call: Call, user_id: int) -> dict[str, Any]:
    user = call.company.users[user_id]
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "default_currency": call.company.currency,
        "locale": "en_US",
        "lang": 1,
        "phone": None,
        "activated": True,
        "active_flag": True,
        "is_admin": 1 if user is call.company.me else 0,
        "timezone_name": "Etc/UTC",
        "timezone_offset": "+00:00",
        "role_id": 1,
    }

"""The form of a connection's sync_settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.forms.crm import Choice, Crm
from console.forms.inputs import Inputs, number_or_text

FREQUENCIES = (
    Choice("realtime", "At once"),
    Choice("hourly", "Every full hour"),
    Choice("daily", "Once a day (00:00 UTC)"),
)
STATUSES = {
    "new": "New contact",
    "contacted": "Asked or objected",
    "qualified": "Interested",
    "unqualified": "Not interested",
}
LEAVE = "-"
"""In the place of a status: leave it alone."""

CHECKS = {
    "auto_sync_contacts": ("Send contacts", "Off: replies are recorded, and nothing is sent unless somebody asks."),
    "auto_create_deals": ("Make deals", "For replies whose intent asks for one, such as “interested”."),
    "log_activities": ("Put messages on the timeline", "Each reply, in the CRM’s own history of the contact."),
    "attention_tasks": ("Make tasks", "For replies that need a person’s attention, once each."),
    "interested_overtake": ("The interested do not wait", "With an hourly or daily rhythm, they are sent at once."),
}


@dataclass(frozen=True)
class Input:
    """One input as it is shown; `choices` make it a select, `kind` check, text or number."""

    name: str
    label: str
    value: str
    kind: str = "text"
    hint: str = ""
    choices: tuple[Choice, ...] = ()
    section: str = ""
    placeholder: str = ""


def inputs_for(settings: Mapping[str, Any], frequency: str, mappings: Mapping[str, Any], crm: Crm) -> list[Input]:
    """What the form shows for these settings."""
    return [
        *_sending(settings, frequency, crm),
        *_deals(settings, mappings, crm),
        *_statuses(settings, mappings, crm),
    ]


def settings_from(given: Inputs, stored: Mapping[str, Any], crm: Crm) -> dict[str, Any]:
    """What the inputs ask for; settings that the form does not know stay."""
    settings: dict[str, Any] = dict(stored)
    settings.update({name: given.get(name) == "on" for name in CHECKS})
    for name in ("deal_pipeline", "deal_stage"):
        settings[name] = given.get(name, "").strip()
    for name in ("lead_source", "deal_currency", "deal_amount"):
        text = given.get(name, "").strip()
        settings[name] = None if text == "" else number_or_text(text) if name == "deal_amount" else text
    for name in ("deal_close_days", "task_due_days"):
        settings[name] = number_or_text(given.get(name, ""))
    if "lead" in crm.objects:
        settings["contact_object"] = given.get("contact_object", "contact")
    if settings.get("deal_currency") is None and "deal_currency" not in stored:
        del settings["deal_currency"]
    chosen = {name: given.get(f"status.{name}", "").strip() for name in STATUSES}
    statuses = {name: None if value == LEAVE else value for name, value in chosen.items() if value}
    if statuses or stored.get("status_values"):
        settings["status_values"] = statuses
    return settings


def shown(given: Inputs, form: list[Input]) -> list[Input]:
    """The form with what somebody had put in."""
    return [
        Input(
            **{
                **each.__dict__,
                "value": given.get(each.name, ""),
                "choices": _with(each.choices, given.get(each.name, "")),
            }
        )
        for each in form
    ]


def in_words(problem: str, form: list[Input]) -> str:
    """What the database says of a setting, as somebody reads it who sees the form's labels."""
    name, space, rest = problem.partition(" ")
    label = next((each.label for each in form if each.name == name), None)
    return f"“{label}”{space}{rest.replace('null for none', 'blank for none')}" if label else problem


def _sending(settings: Mapping[str, Any], frequency: str, crm: Crm) -> list[Input]:
    section = "What is sent, and when"
    inputs = [
        Input("sync_frequency", "Rhythm", frequency, choices=_with(FREQUENCIES, frequency), section=section),
        *(
            Input(name, label, "on" if settings.get(name) is True else "", "check", hint, section=section)
            for name, (label, hint) in CHECKS.items()
        ),
    ]
    if "lead" in crm.objects:
        choices = (Choice("contact", "Contacts"), Choice("lead", "Leads"))
        value = str(settings.get("contact_object") or "contact")
        inputs.insert(1, Input("contact_object", "People become", value, choices=choices, section=section))
    due = Input(
        "task_due_days", "Tasks are due after, in days", _text(settings.get("task_due_days")), "number", section=section
    )
    return [*inputs, due]


def _deals(settings: Mapping[str, Any], mappings: Mapping[str, Any], crm: Crm) -> list[Input]:
    section = "Deals"
    inputs = []
    defaults = crm.config.get("default_settings") or {}
    for name, label, source in (("deal_pipeline", "Pipeline", "pipeline"), ("deal_stage", "Stage", "stage")):
        field, value = crm.target("deal", source, mappings), _text(settings.get(name))
        choices = field.options if field else ()
        default = defaults.get(name)
        if choices and isinstance(default, str) and default not in {each.value for each in choices}:
            choices = (Choice(default, "The account’s own first"), *choices)
        hint = "" if choices else "By its id or its name in the CRM."
        inputs.append(Input(name, label, value, hint=hint, choices=_with(choices, value), section=section))
    currency = crm.target("deal", "currency", mappings)
    value = _text(settings.get("deal_currency"))
    own = Choice("", "The account’s own")
    options = (own, *currency.options) if currency and currency.options else ()
    lead = "lead" if settings.get("contact_object") == "lead" and "lead" in crm.objects else "contact"
    source_field = crm.target(lead, "lead_source", mappings)
    sources = source_field.options if source_field and source_field.is_closed else ()
    source = _text(settings.get("lead_source"))
    return [
        *inputs,
        Input("deal_amount", "Amount", _text(settings.get("deal_amount")), "decimal", "Blank: none.", section=section),
        Input(
            "deal_currency",
            "Currency",
            value,
            hint="" if options else "Three letters; blank: the account’s own.",
            choices=_with(options, value),
            section=section,
        ),
        Input(
            "deal_close_days",
            "Closes after, in days",
            _text(settings.get("deal_close_days")),
            "number",
            section=section,
        ),
        Input(
            "lead_source",
            "Lead source",
            source,
            hint="Where the CRM has none. Blank: none.",
            choices=_with((Choice("", "None"), *sources) if sources else (), source),
            section=section,
        ),
    ]


def _statuses(settings: Mapping[str, Any], mappings: Mapping[str, Any], crm: Crm) -> list[Input]:
    of = "lead" if settings.get("contact_object") == "lead" and "lead" in crm.objects else "contact"
    field = crm.target(of, "status", mappings)
    is_known = any(rule.get("from") == "status" for rule in crm.defaults(of)) or field is not None
    if not is_known and not settings.get("status_values"):
        return []
    own = settings.get("status_values") or {}
    defaults = crm.config.get("status_values") or {}
    inputs = []
    for name, label in STATUSES.items():
        default = defaults.get(name)
        words = str(default[0] if isinstance(default, list) and default else default or "none")
        value = LEAVE if name in own and own[name] is None else _text(own.get(name))
        choices: tuple[Choice, ...] = ()
        if field and field.options:
            choices = (Choice("", f"As usual ({words})"), Choice(LEAVE, "Leave the status alone"), *field.options)
        hint = "" if choices else f"Blank: {words}. A dash leaves the status alone."
        inputs.append(
            Input(f"status.{name}", label, value, "text", hint, _with(choices, value), "Lead status in the CRM")
        )
    return inputs


def _with(choices: tuple[Choice, ...], value: str) -> tuple[Choice, ...]:
    """A select must be able to show what is chosen, also where the CRM does not offer it any more."""
    if not choices or any(each.value == value for each in choices):
        return choices
    alike = next((each for each in choices if value.casefold() in (each.value.casefold(), each.label.casefold())), None)
    label = alike.label if alike else f"{value} (not in the CRM)" if value else "Choose…"
    return (Choice(value, label), *choices)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)

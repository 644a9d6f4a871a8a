"""Planning and carrying out the write of one record: everything HubSpot checks before it stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.hubspot.errors import ApiError, InvalidValueError, conflict, invalid_values
from sandbox.hubspot.links import DEFAULTS, PRIMARY, End, Links
from sandbox.hubspot.pipelines import DEFAULT_PIPELINE
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.records import Record, Store
from sandbox.hubspot.schema import LIFECYCLE_STAGES, object_type_of
from sandbox.hubspot.values import normalise
from sandbox.hubspot.wire import Body, Shape, iso

Changes = dict[str, str | None]

ASSOCIATION = Shape("PublicAssociationsForObject", {"to": "object", "types": "array"})
OBJECT_ID = Shape("PublicObjectId", {"id": "string"})
TYPE = Shape("AssociationSpec", {"associationCategory": "string", "associationTypeId": "integer"})


@dataclass(frozen=True)
class Plan:
    """A write that HubSpot would accept; `record` is None for a new one."""

    record: Record | None
    changes: Changes
    associations: Sequence[tuple[End, int]] = ()


class Writer:
    """Plans and applies the writes of one request to one object type; remembers which unique values it has promised."""

    def __init__(self, portal: Portal, store: Store, now: float) -> None:
        self.portal = portal
        self.store = store
        self.now = now
        self._promised: set[tuple[str, str]] = set()

    def plan(
        self,
        record: Record | None,
        properties: Mapping[str, str | None],
        associations: Sequence[tuple[End, int]] = (),
    ) -> Plan:
        """Check a write; raises ApiError, and then nothing is promised."""
        changes = self._checked(record, properties)
        if record is None:
            self._complete(changes)
        self._keep_stage_forward(record, changes)
        for end, _ in associations:
            if not self.portal.exists(end):
                raise missing_association_end(end, is_target=True)
        self._promise(record, changes)
        return Plan(record, changes, associations)

    def apply(self, plan: Plan) -> Record:
        """Carry out a plan; an effect is noted for what really changed."""
        name = self.store.object_type.name
        if plan.record is None:
            record = Record(self.portal.new_id(), self.now, self.now, {})
            self.store.add(record)
            changed = self.store.write(record, plan.changes)
            self.store.write(record, self._own_properties(record, is_new=True))
            self.portal.note_effect("created", self.now, object_type=name, id=record.id, properties=changed)
        else:
            record = plan.record
            changed = self.store.write(record, plan.changes)
            if changed:
                record.updated = self.now
                self.store.write(record, self._own_properties(record, is_new=False))
                self.portal.note_effect("updated", self.now, object_type=name, id=record.id, properties=changed)
        if changed or plan.record is None:
            record.remember(self.now, self.portal.lag)
        for end, type_id in plan.associations:
            self.portal.associate(End(name, record.id), end, type_id, self.now)
        return record

    def _checked(self, record: Record | None, properties: Mapping[str, str | None]) -> Changes:
        pipeline = properties.get("pipeline") or (record.properties.get("pipeline") if record else None)
        changes: Changes = {}
        problems: list[InvalidValueError] = []
        for name, value in properties.items():
            try:
                changes[name] = self._checked_value(name, value, pipeline)
            except InvalidValueError as problem:
                problems.append(problem)
        if problems:
            raise invalid_values(problems, self.portal.hub_id)
        if record is not None and "pipeline" in changes and "dealstage" not in changes:
            self._check_stage_of(record, changes["pipeline"])
        return changes

    def _checked_value(self, name: str, value: str | None, pipeline: str | None) -> str | None:
        definition = self.store.definitions.get(name)
        if definition is None:
            raise InvalidValueError(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
        if definition.read_only:
            raise InvalidValueError(
                name, "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.'
            )
        if value is None or value == "":
            return None
        is_choice = definition.type == "enumeration"
        options = self.portal.options(self.store.object_type, definition, pipeline) if is_choice else ()
        return normalise(definition, value, options)

    def _check_stage_of(self, record: Record, pipeline: str | None) -> None:
        stages = self.portal.options(self.store.object_type, self.store.definitions["dealstage"], pipeline)
        stage = record.properties["dealstage"]
        if stage not in stages:
            problem = InvalidValueError(
                "dealstage", "INVALID_OPTION", f"{stage} was not one of the allowed options: [{', '.join(stages)}]"
            )
            raise invalid_values([problem], self.portal.hub_id)

    def _complete(self, changes: Changes) -> None:
        """What a new record must have, and what it gets by itself."""
        object_type = self.store.object_type
        if object_type.name == "deals":
            changes["pipeline"] = changes.get("pipeline") or DEFAULT_PIPELINE.id
        for need in object_type.required:
            any_of = (need,) if isinstance(need, str) else need
            if not any(changes.get(name) for name in any_of):
                raise ApiError(
                    400,
                    f"Error creating {object_type.singular.upper()}. Some required properties were not set.",
                    context={"properties": list(any_of)},
                )
        demanded = sorted(self.portal.required.get(object_type.name, ()))
        if problems := [_missing(object_type.singular, name) for name in demanded if not changes.get(name)]:
            raise invalid_values(problems, self.portal.hub_id)

    def _keep_stage_forward(self, record: Record | None, changes: Changes) -> None:
        """A life cycle never moves backwards: HubSpot ignores such a value without a word."""
        wanted = changes.get("lifecyclestage")
        held = record.properties.get("lifecyclestage") if record else None
        if wanted and held and LIFECYCLE_STAGES.index(wanted) < LIFECYCLE_STAGES.index(held):
            del changes["lifecyclestage"]

    def _promise(self, record: Record | None, changes: Changes) -> None:
        promised: list[tuple[str, str]] = []
        for name, value in changes.items():
            if value is None or not self.store.is_unique(name):
                continue
            holder = self.store.find(name, value)
            key = (name, self.store.key(name, value))
            if (holder is not None and holder is not record) or key in self._promised:
                raise self._taken(name, value, record, holder)
            if holder is None:
                promised.append(key)
        self._promised.update(promised)

    def _taken(self, name: str, value: str, record: Record | None, holder: Record | None) -> ApiError:
        if name == "email":
            return conflict(f"Contact already exists. Existing ID: {holder.id if holder else 'in this batch'}")
        coordinates = (
            f"PropertyValueCoordinates{{portalId={self.portal.hub_id}, objectTypeId={self.store.object_type.type_id}, "
            f"propertyName={name}, value={value}}}"
        )
        problem = InvalidValueError(
            name,
            "CONFLICTING_UNIQUE_VALUE",
            f"Cannot set {coordinates} on {record.id if record else 'a new object'}. "
            f"{holder.id if holder else 'Another object of this batch'} already has that value.",
        )
        return invalid_values([problem], self.portal.hub_id)

    def _own_properties(self, record: Record, *, is_new: bool) -> Changes:
        object_type = self.store.object_type
        own: Changes = {object_type.modified: iso(self.now)}
        if is_new:
            own |= {object_type.created: iso(self.now), "hs_object_id": record.id}
        if object_type.name == "deals":
            closed = {
                stage.id for pipeline in self.portal.pipelines.values() for stage in pipeline.stages if stage.is_closed
            }
            stage = record.properties.get("dealstage")
            own["hs_is_closed"] = str(stage in closed).lower()
        return own


def _missing(singular: str, name: str) -> InvalidValueError:
    words = f"Error creating {singular.upper()}. Some required properties were not set."
    return InvalidValueError(name, "REQUIRED_PROPERTY_MISSING", words)


def missing_association_end(end: End, *, is_target: bool) -> ApiError:
    """An association to a record that does not exist or is archived."""
    side = "TO" if is_target else "FROM"
    singular = object_type_of(end.object_type).singular
    return ApiError(
        400,
        f"No {singular} with ID {end.id} exists. Please check that the object exists before associating it.",
        "OBJECT_NOT_FOUND",
        sub_category=f"crm.associations.{side}_OBJECT_NOT_FOUND",
        context={f"{side.lower()}ObjectId": [end.id]},
    )


def read_associations(body: Body, start_type: str, given: Any) -> list[tuple[End, int]]:
    """The inline `associations` of a create: targets with their types; raises ApiError (400).

    The other end's object type follows from the association type.
    """
    wanted: list[tuple[End, int]] = []
    for association in given or ():
        body.check(association, ASSOCIATION)
        target = body.check(association["to"], OBJECT_ID)["id"]
        for spec in association["types"]:
            body.check(spec, TYPE)
            category, type_id = spec["associationCategory"], spec["associationTypeId"]
            end_type = _end_type(start_type, type_id)
            if end_type is None:
                raise ApiError(400, f"{category} association type {type_id} does not start at {start_type}")
            Links.check(start_type, end_type, category, type_id)
            wanted.append((End(end_type, target), type_id))
    return wanted


def _end_type(start_type: str, type_id: int) -> str | None:
    pairs = [*DEFAULTS.items(), *PRIMARY.items()]
    return next((end for (start, end), each in pairs if start == start_type and each == type_id), None)

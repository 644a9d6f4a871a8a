"""Names that are longer than Salesforce takes them: cut, since a name a little short is still that person's."""

from __future__ import annotations

from collections.abc import Mapping

Lengths = Mapping[str, int]
"""How many characters an object's fields take, by their names."""

LONGEST: Mapping[str, Lengths] = {
    "Account": {"Name": 255},
    "Contact": {"FirstName": 40, "LastName": 80},
    "Lead": {"FirstName": 40, "LastName": 80, "Company": 255},
    "Opportunity": {"Name": 120},
}
"""The names that may be cut without harm, with Salesforce's usual lengths. A cut address or number would be wrong:
Salesforce is left to refuse those."""


def cut(object_name: str, name: str, value: str, lengths: Lengths) -> tuple[str, str | None]:
    """The value as long as its field takes it, and a remark where that is less than all of it.

    `lengths`: what this org says of the object's fields, where it has been asked.
    """
    usual = LONGEST.get(object_name, {}).get(name)
    if usual is None:
        return value, None
    longest = lengths.get(name) or usual
    if len(value) <= longest:
        return value, None
    return value[: longest - 1] + "…", f"{name} was cut to the {longest} characters that Salesforce takes"

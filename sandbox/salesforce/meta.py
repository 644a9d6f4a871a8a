"""What an org says of itself: versions, resources, objects, fields, limits, and who is connected."""

from __future__ import annotations

from sandbox.salesforce.gate import NEWEST, OLDEST, Answer, Call

_RESOURCES = ("composite", "limits", "query", "queryAll", "sobjects")


def versions() -> list[dict[str, str]]:
    """GET /services/data: what is served, oldest first."""
    seasons = ("Spring", "Summer", "Winter")
    # Version 31 was Summer '14; there are three a year, and winter carries the next year's number.
    return [
        {
            "label": f"{seasons[(number - 30) % 3]} '{14 + (number - 30) // 3 + ((number - 30) % 3 == 2):02d}",
            "url": f"/services/data/v{number}.0",
            "version": f"{number}.0",
        }
        for number in range(OLDEST, NEWEST + 1)
    ]


def resources(call: Call) -> Answer:
    """GET /services/data/v68.0/"""
    named = {name: f"/services/data/v{call.version}/{name}" for name in _RESOURCES}
    return 200, {**named, "identity": f"{call.base_url}/id/{call.org.id}/{call.org.user_id}"}


def list_objects(call: Call) -> Answer:
    """GET sobjects"""
    return 200, {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [each.summary(call.version) for each in call.org.objects.values()],
    }


def describe(call: Call) -> Answer:
    """GET sobjects/X/describe"""
    return 200, call.sobject().document(call.version)


def basic(call: Call) -> Answer:
    """GET sobjects/X"""
    return 200, {"objectDescribe": call.sobject().summary(call.version), "recentItems": []}


def limits(call: Call) -> Answer:
    """GET limits"""
    window = call.org.window
    return 200, {"DailyApiRequests": {"Max": window.calls, "Remaining": window.remaining(call.salesforce.clock())}}

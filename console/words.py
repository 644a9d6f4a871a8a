"""How figures and moments are written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def number(value: int | float | None) -> str:
    """With thin groups of three: 12,345; a dash where there is none."""
    return "–" if value is None else f"{value:,.0f}"


def duration(value: timedelta | float | None) -> str:
    """Its two largest units at most: 3 d 4 h, 12 min, 8 s; a dash where there is none."""
    if value is None:
        return "–"
    seconds = int(value.total_seconds() if isinstance(value, timedelta) else value)
    if seconds < 60:
        return f"{max(0, seconds)} s"
    words = []
    for length, unit in STEPS:
        if seconds >= length:
            words.append(f"{seconds // length} {unit}")
            seconds %= length
        if words and (len(words) == 2 or unit == "min" or "d" not in words[0]):
            break
    return " ".join(words)


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """just now, 5 min ago, in 2 h; the same words that app.js makes."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    distance = abs(seconds)
    if distance < 10:
        return "just now"
    for length, unit in (*STEPS, (1, "s")):
        if distance >= length:
            words = f"{int(distance // length)} {unit}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"


def account(name: str | None, number: str | None) -> str:
    """What people call an account, with its number: HubSpot tells no names, and two may be called alike."""
    return f"{name} ({number})" if name and number else name or number or ""


def counted(count: int, noun: str, plural: str = "") -> str:
    """1 deal, 2 deals, 12,345 replies."""
    return f"{number(count)} {noun if count == 1 else plural or noun + 's'}"


def iso(moment: datetime) -> str:
    """For `<time datetime>`, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FILTERS = {"number": number, "duration": duration, "ago": ago, "iso": iso, "counted": counted, "account": account}


def brought_forward(count: int, is_all_at_once: bool) -> str:
    """What "Sync now" did, in words; none where there was nothing to do."""
    more = ", as many as go at once: there may be more, press it again" if is_all_at_once else ""
    return f"{counted(count, 'waiting sync')} now on the way{more}." if count else ""

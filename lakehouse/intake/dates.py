"""Dates as sent: ISO 8601 text, dates and datetimes become moments in UTC."""

from datetime import UTC, date, datetime

__all__ = ["moment"]


def moment(value: object) -> datetime:
    """A date as UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: If it is no date.

    >>> moment("2026-01-31 12:00:00Z").isoformat()
    '2026-01-31T12:00:00+00:00'
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no ISO 8601 date.") from None
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no date.")  # noqa: TRY004 - told as a problem
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

"""The commands, by what they are for."""

__all__: list[str] = []

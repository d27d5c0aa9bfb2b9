"""What a connection hands down: who writes, when merges happen, where media are."""

from dataclasses import dataclass, field

from lakehouse.storage.media import Media


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices made at `connect()`."""

    author: str | None
    """Whom versions name."""
    inline: bool
    """Merge inside each writing call; otherwise only stage."""
    compacts: bool = True
    """Compact behind merges when it is due; otherwise only when asked."""
    media: Media = field(default_factory=Media)
    """Where the media are that frames and labels name."""

"""The settings of a connection: author, merging, compaction and media."""

from dataclasses import dataclass, field

from lakehouse.storage.media import Media


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices made at `connect()`."""

    author: str | None
    """The author recorded with each version."""
    inline: bool
    """Merge inside each writing call; otherwise only stage."""
    compacts: bool = True
    """Compact behind merges when it is due; otherwise only when asked."""
    media: Media = field(default_factory=Media)
    """Where relative paths of images and masks start from."""

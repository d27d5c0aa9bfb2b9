"""Colour tables of the client: lists of red, green and blue, 0 to 255.

Turbo (A. Mikhailov, Google, 2019) and viridis (N. Smith and S. van der Walt, 2015) are
33 stops of the maps as matplotlib has them, and lines between.
"""

from collections.abc import Sequence
from typing import Final

from lakehouse.model.class_map import Colour

__all__ = [
    "orig_label_color_list",
    "tableau_colors",
    "turbo",
    "turbo_rgb",
    "viridis",
    "viridis_rgb",
]

_STEPS: Final = 256


def _colours(text: str) -> list[Colour]:
    """Colours from their hexadecimal codes."""
    parts = [bytes.fromhex(code) for code in text.split()]
    return [(part[0], part[1], part[2]) for part in parts]


_TURBO: Final = _colours(
    "30123b 392a73 4040a2 4456c7 466be3 4680f6 4294ff 37a8fa 28bceb 1ccdd8 18ddc2 "
    "1fe9af 32f298 4ef97d 6dfe62 8bff4b a4fc3c b7f735 cbed34 dde037 ecd13a f7c13a "
    "fdae35 fe992c fb8122 f56918 ec530f e14109 d23105 c12302 ac1701 950d01 7a0403"
)
_VIRIDIS: Final = _colours(
    "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d "
    "2f6b8e 2c728e 297a8e 26828e 23898e 21918c 1f978b 1f9f88 21a685 27ad81 31b57b "
    "3dbc74 4cc26c 5cc863 6ece58 81d34d 95d840 aadc32 c0df25 d5e21a eae51a fde725"
)


def turbo(place: float) -> Colour:
    """The colour at a place of the rainbow, 0.0 to 1.0.

    >>> turbo(0.0)
    (48, 18, 59)
    """
    return _at(_TURBO, place)


def viridis(place: float) -> Colour:
    """The colour at a place from dark violet to yellow, 0.0 to 1.0.

    >>> viridis(1.0)
    (253, 231, 37)
    """
    return _at(_VIRIDIS, place)


def _at(stops: Sequence[Colour], place: float) -> Colour:
    """Between the two stops beside the place."""
    exact = place * (len(stops) - 1)
    first = min(int(exact), len(stops) - 2)
    share = exact - first
    red, green, blue = (
        round(before * (1 - share) + after * share)
        for before, after in zip(stops[first], stops[first + 1], strict=True)
    )
    return red, green, blue


turbo_rgb: Final[list[Colour]] = [turbo(n / (_STEPS - 1)) for n in range(_STEPS)]
"""A rainbow, 256 steps."""

viridis_rgb: Final[list[Colour]] = [viridis(n / (_STEPS - 1)) for n in range(_STEPS)]
"""From dark violet to yellow, 256 steps."""

tableau_colors: Final[list[Colour]] = [
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207),
]  # fmt: skip
"""Tableau's ten."""

orig_label_color_list: Final[list[Colour]] = [
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48),
    (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212),
    (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200), (128, 0, 0),
    (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128),
]  # fmt: skip
"""Twenty that are told apart at a glance (S. Trubetskoy, 2017)."""

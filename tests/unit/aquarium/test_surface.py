"""Scripts written for the service's client find every call, and every parameter."""

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lakehouse.aquarium as al

SURFACE: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).with_name("surface.toml").read_text(encoding="utf-8")
)
CALLS = [(name, call) for name, calls in SURFACE.items() for call in calls]
ANY = object()


def called(text: str, *, everything: bool) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call: all of them, or those that must be given."""
    by_place: list[Any] = []
    by_name: dict[str, Any] = {}
    is_named = False
    for part in filter(None, text.split(", ")):
        name, may_be_left_out, _ = part.partition("=")
        if part == "*" or (may_be_left_out and not everything):
            is_named = True
        elif is_named:
            by_name[name] = ANY
        else:
            by_place.append(ANY)
    return by_place, by_name


def signature(class_name: str, call: str) -> inspect.Signature:
    owner: type = getattr(al, class_name)
    method: Callable[..., Any] = getattr(owner, call)
    plain = inspect.signature(method)
    is_static = isinstance(inspect.getattr_static(owner, call), staticmethod)
    return plain.replace(parameters=list(plain.parameters.values())[not is_static :])


@pytest.mark.parametrize("everything", [True, False], ids=["all", "least"])
@pytest.mark.parametrize(("class_name", "call"), CALLS)
def test_a_call_takes_what_the_service_s_client_took(
    class_name: str, call: str, *, everything: bool
) -> None:
    by_place, by_name = called(SURFACE[class_name][call], everything=everything)

    signature(class_name, call).bind(*by_place, **by_name)


@pytest.mark.parametrize(("class_name", "call"), CALLS)
def test_arguments_by_place_have_the_same_names_in_the_same_order(
    class_name: str, call: str
) -> None:
    text, _, _ = SURFACE[class_name][call].partition("*")
    wanted = [part.partition("=")[0] for part in text.split(", ") if part]

    ours = [
        name
        for name, one in signature(class_name, call).parameters.items()
        if one.kind is one.POSITIONAL_OR_KEYWORD
    ]

    assert ours[: len(wanted)] == wanted


def test_everything_the_client_exports_is_here() -> None:
    colours = {"orig_label_color_list", "tableau_colors", "turbo_rgb", "viridis_rgb"}

    assert set(SURFACE) | colours <= set(al.__all__)
    assert len(CALLS) > 200


def test_colours_are_those_of_the_maps_they_are_named_after() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    for name in ("turbo", "viridis"):
        known = matplotlib.colormaps[name]
        ours = getattr(al, f"{name}_rgb")
        off = [
            abs(own - 255 * expected)
            for place, colour in enumerate(ours)
            for own, expected in zip(colour, known(place)[:3], strict=True)
        ]
        assert len(ours) == 256
        assert max(off) < 6, name

"""Whether PP-StructureV3 creates a document preprocessor that nobody asked for, in real environments."""

from __future__ import annotations

from typing import Any

import pytest

from environments import probe

PREPROCESSOR = ["PP-LCNet_x1_0_doc_ori", "UVDoc"]
LAYOUT = ["PP-DocBlockLayout", "PP-DocLayout_plus-L"]


def look(name: str) -> dict[str, Any]:
    data = probe(name, "doc_preprocessor").data
    assert data is not None
    return {key: value for key, value in data.items() if key not in ("seconds", "rss_peak_mb", "versions")}


@pytest.mark.parametrize(
    ("name", "models"),
    [
        pytest.param("current-311", LAYOUT, marks=pytest.mark.xdist_group("current-311")),
        pytest.param(
            "set-2025-11", [*LAYOUT, "PP-Chart2Table"], marks=pytest.mark.xdist_group("set-2025-11")
        ),
    ],
)
def test_it_is_created_although_it_is_switched_off(name: str, models: list[str]) -> None:
    assert look(name) == {
        "probe": "doc_preprocessor",
        "error": None,
        "created_when_off": True,
        "created_when_on": True,
        "default_of_predict": True,
        "models": PREPROCESSOR + models,
        "wrapper": {
            "default": {"created": True, "models": PREPROCESSOR + models},
            "off": {"created": True, "models": models},
        },
    }


@pytest.mark.xdist_group("current-311")
def test_with_cured_defaults_it_is_created_only_when_asked_for() -> None:
    seen = look("cured-current-311")
    assert (seen["created_when_off"], seen["default_of_predict"], seen["models"]) == (False, False, LAYOUT)
    assert seen["created_when_on"]

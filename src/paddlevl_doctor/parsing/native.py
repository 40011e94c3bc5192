"""Which released weights of PaddleOCR-VL are at hand."""

from __future__ import annotations

from paddlevl_doctor.facts.model import ModelCache

# Newest first: pipeline version and the cache folder of its language model (matrix.md, 3.3).
_VERSIONS = (("v1.6", "PaddleOCR-VL-1.6"), ("v1.5", "PaddleOCR-VL-1.5"), ("v1", "PaddleOCR-VL"))


def cached_version(cache: ModelCache | None) -> str | None:
    """Return the newest pipeline version whose language model lies complete in the cache."""
    complete = {model.name for model in cache.models if not model.missing} if cache else set()
    nested = {
        name.partition("/")[0] for name in complete if name.rpartition("/")[2].startswith("PaddleOCR-VL")
    }
    return next((version for version, folder in _VERSIONS if folder in complete | nested), None)


def nested_layout(cache: ModelCache | None) -> str | None:
    """Return where PP-DocLayoutV2 lies whole inside PaddleOCR-VL and nowhere else; PaddleX would fetch it again.

    The repository of the first PaddleOCR-VL holds it, and PaddleX looks beside it only (matrix.md, 3.3).
    """
    whole = {model.name: model.path for model in (cache.models if cache else ()) if not model.missing}
    return None if "PP-DocLayoutV2" in whole else whole.get("PaddleOCR-VL/PP-DocLayoutV2")

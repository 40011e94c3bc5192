"""Tests whether PP-StructureV3 creates its document preprocessor with the shipped settings."""

import sys

sys.path.insert(0, sys.argv[1])
from _alone import StandIn, load_alone
from _answer import answer

MODULE = "paddlex.inference.pipelines.layout_parsing.pipeline_v2"


def is_created(pipeline, enabled):
    """Return whether the pipeline creates the preprocessor if the settings enable or disable it."""
    instance = object.__new__(pipeline)
    created = []
    instance.create_pipeline = lambda config: created.append(config) or StandIn()
    instance.create_model = lambda *_, **__: StandIn()
    instance.inintial_predictor({"use_doc_preprocessor": enabled, "SubPipelines": {"DocPreprocessor": "it"}})
    return "it" in created


def look(document, _folder):
    """Create the pipeline with the preprocessor disabled, and enabled."""
    pipeline = load_alone(MODULE)._LayoutParsingPipelineV2
    off, on = is_created(pipeline, False), is_created(pipeline, True)
    document["cured"] = not off and on
    document["saw"] = "use_doc_preprocessor false: created %s; true: created %s" % (off, on)


answer({"probe": "proof"}, look)

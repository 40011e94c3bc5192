"""Creates PP-StructureV3's parts from the settings that are shipped: is the document preprocessor among them?"""

import sys

sys.path.insert(0, sys.argv[1])
from _alone import StandIn, load_alone
from _answer import answer

MODULE = "paddlex.inference.pipelines.layout_parsing.pipeline_v2"


def created(pipeline, wanted):
    """Say whether the preprocessor is created where the settings say so, or say that it is not wanted."""
    made = object.__new__(pipeline)
    asked = []
    made.create_pipeline = lambda config: asked.append(config) or StandIn()
    made.create_model = lambda *_, **__: StandIn()
    made.inintial_predictor({"use_doc_preprocessor": wanted, "SubPipelines": {"DocPreprocessor": "it"}})
    return "it" in asked


def look(document, _folder):
    """Switch it off, and on."""
    pipeline = load_alone(MODULE)._LayoutParsingPipelineV2
    off, on = created(pipeline, False), created(pipeline, True)
    document["cured"] = not off and on
    document["saw"] = "use_doc_preprocessor false: created %s; true: created %s" % (off, on)


answer({"probe": "proof"}, look)

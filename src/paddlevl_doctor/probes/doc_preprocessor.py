"""Reports whether PP-StructureV3 creates the document preprocessor although it is switched off, as one JSON line.

    target_python -X utf8 doc_preprocessor.py

The pipeline classes and the shipped YAML are the real ones; only the creation of models and sub-pipelines is
replaced by a list that notes what was asked for, so nothing is downloaded and nothing runs.
"""

import inspect
import os
import sys

from _answer import answer

PIPELINE = "PP-StructureV3"
PREPROCESSOR = "doc_preprocessor"


class Anything:
    """Stands in for a model: has every public attribute and can be called."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *_, **__):
        """Return another one."""
        return Anything()


class Ledger:
    """Records the requested models and sub-pipelines instead of creating them.

    The document preprocessor is still created, from the same stand-ins, so that its own models are noted too.
    """

    def __init__(self, base):
        self.models, self.pipelines = [], []
        create_pipeline = base.create_pipeline

        def note_model(_, config, **__):
            self.models.append(config.get("model_name"))
            return Anything()

        def note_pipeline(pipeline, config, **options):
            self.pipelines.append(config.get("pipeline_name"))
            wanted = config.get("pipeline_name") == PREPROCESSOR
            return create_pipeline(pipeline, config, **options) if wanted else Anything()

        base.create_model, base.create_pipeline = note_model, note_pipeline

    def entries(self, create):
        """Return the result of `create()`, whether it requested the preprocessor, and the models that it requested."""
        self.models, self.pipelines = [], []
        made = create()
        return made, PREPROCESSOR in self.pipelines, self.models


def shipped_config(paddlex):
    """Return the configuration that PaddleX ships for the pipeline."""
    import yaml

    folder = os.path.join(os.path.dirname(paddlex.__file__), "configs", "pipelines")
    with open(os.path.join(folder, PIPELINE + ".yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def default_of_predict(pipeline):
    """Return whether predict() uses the preprocessor by default."""
    inner = getattr(pipeline, "_pipeline", pipeline)
    silence = [None] * len(inspect.signature(inner.get_model_settings).parameters)
    return bool(inner.get_model_settings(*silence)["use_doc_preprocessor"])


def look(document, _folder):
    """Create the pipeline switched off, switched on, and as `paddleocr.PPStructureV3()` does it."""
    import paddlex
    from paddlex.inference.pipelines.base import BasePipeline

    document["versions"] = {"paddlex": paddlex.__version__}
    ledger, shipped = Ledger(BasePipeline), shipped_config(paddlex)

    def create(wanted):
        return BasePipeline.get(PIPELINE)({**shipped, "use_doc_preprocessor": wanted}, device="cpu")

    pipeline, document["created_when_off"], document["models"] = ledger.entries(lambda: create(False))
    document["default_of_predict"] = default_of_predict(pipeline)
    _, document["created_when_on"], _ = ledger.entries(lambda: create(True))

    import paddleocr

    document["versions"]["paddleocr"] = paddleocr.__version__
    switches = {"use_doc_orientation_classify": False, "use_doc_unwarping": False}
    wrapper = document["wrapper"] = {}
    for name, options in (("default", {}), ("off", switches)):
        _, created, models = ledger.entries(
            lambda options=options: paddleocr.PPStructureV3(device="cpu", **options)
        )
        wrapper[name] = {"created": created, "models": models}


def main():
    """Look, and print what was seen."""
    sys.path.pop(0)  # the folder of this script
    answer({"probe": "doc_preprocessor"}, look)


main()

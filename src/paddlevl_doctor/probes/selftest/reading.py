"""Reads pages through the public `paddleocr.PaddleOCRVL`, as a user's program does."""

import inspect

from . import layout, settings


def load(checkpoint, device, layout_folder=None):
    """Return a pipeline with a local language model, and with a local layout program where one is given."""
    from paddleocr import PaddleOCRVL

    options = {
        "vl_rec_model_name": settings.MODEL_NAME,
        "vl_rec_model_dir": checkpoint,
        "use_layout_detection": layout_folder is not None,
        "use_doc_orientation_classify": False,
        "use_doc_unwarping": False,
        "device": device,
    }
    if layout_folder is not None:
        options["layout_detection_model_name"] = layout.MODEL_NAME
        options["layout_detection_model_dir"] = layout_folder
    if "pipeline_version" in inspect.signature(PaddleOCRVL.__init__).parameters:
        options["pipeline_version"] = "v1"  # paddleocr 3.4.0 and later; before, there was only v1
    return PaddleOCRVL(**options)


def read_blocks(pipeline, page, **options):
    """Return the blocks of a one-page file as [label, content]."""
    (result,) = pipeline.predict(page, **options)
    return _blocks(result)


def first_page(pipeline, page):
    """Return the blocks of the first page and an iterator of the next pages; queues, the default, are used."""
    results = iter(pipeline.predict_iter(page))
    return _blocks(next(results)), results


def _blocks(result):
    return [[block.label, block.content] for block in result["parsing_res_list"]]

"""Tests whether the model's configuration enables the fused kernel on a GPU with CUDA 12."""

import sys

sys.path.insert(0, sys.argv[1])
from _alone import load_alone
from _answer import answer

MODULE = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl._config"
STAND_INS = {
    "paddlex.utils.device": {"parse_device": lambda _: ("gpu", [0])},
    "paddlex.utils.env": {
        "get_paddle_cuda_version": lambda: (12, 6),
        "get_device_type": lambda: "gpu",
    },
}


def look(document, _folder):
    """Create the configuration with its default settings."""
    enabled = bool(load_alone(MODULE, stand_ins=STAND_INS).PaddleOCRVLConfig().fuse_rms_norm)
    document["cured"] = not enabled
    document["saw"] = "fuse_rms_norm with CUDA 12: %s" % enabled


answer({"probe": "proof"}, look)

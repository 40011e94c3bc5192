"""Makes the model's configuration as on a GPU with CUDA 12: does it ask for the fused kernel?"""

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
    """Ask for what the configuration decides by itself."""
    asked_for = bool(load_alone(MODULE, stand_ins=STAND_INS).PaddleOCRVLConfig().fuse_rms_norm)
    document["cured"] = not asked_for
    document["saw"] = "fuse_rms_norm with CUDA 12: %s" % asked_for


answer({"probe": "proof"}, look)

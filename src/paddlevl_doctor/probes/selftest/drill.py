"""A drill: lets PaddleX believe, while it decides about fused kernels, that it runs on a GPU with CUDA 12.

PaddleOCRVLConfig sets `fuse_rms_norm` where paddle's device is a GPU and its build CUDA 12 or later. On a machine
whose build lacks the kernel (PaddlePaddle for Windows is suspected, a CPU build certainly lacks it) reading then
ends with "The kernel `fused_rms_norm_ext` is not registered". The drill answers those two questions as such a
machine would and changes nothing else, so that an unpatched PaddleX fails as it does there, and a PaddleX whose
_config.py has been cured passes.
"""

import functools
import importlib
from unittest import mock

_CONFIG = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl._config"
_ENV = "paddlex.utils.env"  # where paddlex up to 3.3.5 looks the CUDA version up, each time


def simulate_fused_gate():
    """Wrap PaddleOCRVLConfig.__init__ for the rest of this process."""
    import paddle

    config, env = importlib.import_module(_CONFIG), importlib.import_module(_ENV)
    original = config.PaddleOCRVLConfig.__init__

    @functools.wraps(original)
    def init(self, *args, **kwargs):
        device = mock.patch.object(paddle.device, "get_device", return_value="gpu:0")
        cuda = {"return_value": (12, 6), "create": True}
        here, there = (
            mock.patch.object(module, "get_paddle_cuda_version", **cuda) for module in (config, env)
        )
        with device, here, there:
            original(self, *args, **kwargs)

    config.PaddleOCRVLConfig.__init__ = init

"""A drill: lets PaddleX believe, while it decides about fused kernels, that it runs on a GPU with CUDA 12.

PaddleOCRVLConfig sets `fuse_rms_norm` where paddle's device is a GPU and its build CUDA 12 or later. On a machine
whose build lacks the kernel (PaddlePaddle for Windows is suspected, a CPU build certainly lacks it) reading then
ends with "The kernel `fused_rms_norm_ext` is not registered". The drill answers those two questions as such a
machine would and changes nothing else, so that an unpatched PaddleX fails as it does there, and a PaddleX whose
_config.py has been cured passes.
"""

import contextlib
import functools

_MODULE = "paddlex.inference.models.doc_vlm.modeling.paddleocr_vl._config"


@contextlib.contextmanager
def _as_on_a_gpu(paddle, module):
    device, cuda = paddle.device.get_device, module.get_paddle_cuda_version
    paddle.device.get_device = lambda: "gpu:0"
    module.get_paddle_cuda_version = lambda: (12, 6)
    try:
        yield
    finally:
        paddle.device.get_device, module.get_paddle_cuda_version = device, cuda


def simulate_fused_gate():
    """Wrap PaddleOCRVLConfig.__init__ for the rest of this process."""
    import importlib

    import paddle

    module = importlib.import_module(_MODULE)
    original = module.PaddleOCRVLConfig.__init__

    @functools.wraps(original)
    def init(self, *args, **kwargs):
        with _as_on_a_gpu(paddle, module):
            original(self, *args, **kwargs)

    module.PaddleOCRVLConfig.__init__ = init

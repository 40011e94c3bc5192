"""The JSON files of the tiny checkpoint, and its sizes.

Which fields and files PaddleX really reads was found by leaving them out one at a time; the rest is not written.
"""

from . import vocabulary
from .vocabulary import BOS, EOS, PAD

MODEL_NAME = "PaddleOCR-VL-0.9B"
"""What the pipeline v1 asks for; inference.yml must say the same."""

# PaddleX 3.7.2 passes these limits for every block, 3.3.6 reads them from the checkpoint's preprocessor_config.json:
# with the same numbers there, both resize a block alike.
MIN_PIXELS, MAX_PIXELS = 112896, 1003520

_SECTIONS = 3  # of the rotary embedding: time, height, width


class Sizes:
    """The dimensions of a tiny model. Vision width and heads must be multiples of 4 and 2.

    `packing_position_embedding` has 32768 rows in PaddleX's code, so the vision width decides the file's size.
    """

    def __init__(self, width, inner, heads):
        self.vision_width, self.vision_inner, self.vision_heads = 16, 32, 2
        self.patch, self.grid = 14, 4
        self.layers, self.head_size, self.key_heads = 2, 16, 2
        self.width, self.inner, self.heads = width, inner, heads


RANDOM = Sizes(width=32, inner=64, heads=4)
COLOUR = Sizes(width=64, inner=96, heads=8)


def _rope_sections(head_size):
    """Split half a head into three parts, the first the smallest; their sum is what PaddleX checks."""
    half = head_size // 2
    first = half // 4
    second = (half - first) // 2
    return [first, second, half - first - second]


def config(sizes):
    """Return config.json."""
    ids = vocabulary.token_ids()
    return {
        "architectures": ["PaddleOCRVLForConditionalGeneration"],
        "model_type": "paddleocr_vl",
        "vocab_size": len(ids),
        "hidden_size": sizes.width,
        "intermediate_size": sizes.inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_heads,  # without it PaddleX ends in a TypeError
        "head_dim": sizes.head_size,
        "hidden_act": "silu",
        "use_bias": False,
        "rms_norm_eps": 1e-05,
        "rope_theta": 500000,
        "rope_scaling": {"mrope_section": _rope_sections(sizes.head_size), "rope_type": "default"},
        "tie_word_embeddings": False,
        "use_flash_attention": False,
        "max_position_embeddings": 131072,
        "image_token_id": ids["<|IMAGE_PLACEHOLDER|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|IMAGE_START|>"],
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
        "vision_config": _vision_config(sizes),
    }


def _vision_config(sizes):
    return {
        "architectures": ["SiglipVisionModel"],
        "model_type": "paddleocr_vl",
        "hidden_size": sizes.vision_width,
        "intermediate_size": sizes.vision_inner,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.vision_heads,
        "image_size": sizes.grid * sizes.patch,
        "patch_size": sizes.patch,
        "hidden_act": "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-06,
        "torch_dtype": "bfloat16",
    }


def generation_config():
    """Return generation_config.json; without it PaddleX forgets the end token and never stops."""
    return {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, "use_cache": False}


def preprocessor_config(sizes):
    """Return preprocessor_config.json."""
    return {
        "image_processor_type": "SiglipImageProcessor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "min_pixels": MIN_PIXELS,
        "max_pixels": MAX_PIXELS,
        "patch_size": sizes.patch,
        "temporal_patch_size": 1,
        "merge_size": 2,
    }


def tokenizer_config():
    """Return tokenizer_config.json."""
    return {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<unk>",
        "cls_token": "<|begin_of_sentence|>",
        "sep_token": "<|end_of_sentence|>",
        "additional_special_tokens": list(vocabulary.SPECIAL[2:]),
        "clean_up_tokenization_spaces": False,
    }


_IMAGE = '{{- "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>" -}}'
# PaddleX up to 3.3.5 hands over the prompt alone as the content, 3.3.6 and later a list of parts.
CHAT_TEMPLATE = (
    '{{- "<|begin_of_sentence|>" -}}'
    "{%- for message in messages -%}"
    '{%- if message["role"] == "user" -%}'
    '{{- "User: " -}}'
    '{%- if message["content"] is string -%}' + _IMAGE + '{{- message["content"] -}}'
    "{%- else -%}"
    '{%- for part in message["content"] if part["type"] == "image" -%}' + _IMAGE + "{%- endfor -%}"
    '{%- for part in message["content"] if part["type"] == "text" -%}{{- part["text"] -}}{%- endfor -%}'
    "{%- endif -%}"
    '{{- "\\n" -}}'
    "{%- endif -%}"
    "{%- endfor -%}"
    '{{- "Assistant: " -}}'
)

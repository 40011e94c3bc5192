"""The names and shapes of the checkpoint's tensors, and random values for them.

Names and layout are those of the released checkpoint (Linear as [out, in]; q, k, v and gate, up apart). PaddleX
transposes and fuses them and insists on exactly this set, so the pooling head, which never runs, is there too.
"""

import numpy as np

VISION = "visual.vision_model."
PACKING_ROWS = 32768


def _decoder_layer(sizes, number):
    query, key = sizes.heads * sizes.head_size, sizes.key_heads * sizes.head_size
    shapes = {
        "self_attn.q_proj": (query, sizes.width),
        "self_attn.k_proj": (key, sizes.width),
        "self_attn.v_proj": (key, sizes.width),
        "self_attn.o_proj": (sizes.width, query),
        "mlp.gate_proj": (sizes.inner, sizes.width),
        "mlp.up_proj": (sizes.inner, sizes.width),
        "mlp.down_proj": (sizes.width, sizes.inner),
        "input_layernorm": (sizes.width,),
        "post_attention_layernorm": (sizes.width,),
    }
    return {"model.layers.%d.%s.weight" % (number, name): shape for name, shape in shapes.items()}


def _with_bias(prefix, shapes):
    """Return weight and bias of layers; the bias is as long as the weight's first side."""
    out = {}
    for name, shape in shapes.items():
        out[prefix + name + ".weight"] = shape
        out[prefix + name + ".bias"] = shape[:1]
    return out


def _mlp(sizes):
    return {
        "mlp.fc1": (sizes.vision_inner, sizes.vision_width),
        "mlp.fc2": (sizes.vision_width, sizes.vision_inner),
    }


def _vision_layer(sizes, number):
    width = sizes.vision_width
    norms = {"layer_norm1": (width,), "layer_norm2": (width,)}
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    attention = {"self_attn." + name: (width, width) for name in names}
    prefix = "%sencoder.layers.%d." % (VISION, number)
    return _with_bias(prefix, {**norms, **attention, **_mlp(sizes)})


def _vision_ends(sizes):
    width, patch = sizes.vision_width, sizes.patch
    conv = {"embeddings.patch_embedding": (width, 3, patch, patch), "post_layernorm": (width,)}
    return {
        **_with_bias(VISION, conv),
        VISION + "embeddings.position_embedding.weight": (sizes.grid**2, width),
        VISION + "embeddings.packing_position_embedding.weight": (PACKING_ROWS, width),
    }


def _pooling_head(sizes):
    width = sizes.vision_width
    layers = {"attention.out_proj": (width, width), "layernorm": (width,), **_mlp(sizes)}
    return {
        **_with_bias(VISION + "head.", layers),
        VISION + "head.probe": (1, 1, width),
        VISION + "head.attention.in_proj_weight": (3 * width, width),
        VISION + "head.attention.in_proj_bias": (3 * width,),
    }


def _projector(sizes):
    merged = 4 * sizes.vision_width  # 2 x 2 patches side by side
    layers = {
        "pre_norm": (sizes.vision_width,),
        "linear_1": (merged, merged),
        "linear_2": (sizes.width, merged),
    }
    return _with_bias("mlp_AR.", layers)


def shapes(sizes, vocabulary_size):
    """Return the shape of every tensor by name."""
    table = (vocabulary_size, sizes.width)
    out = {"model.embed_tokens.weight": table, "lm_head.weight": table, "model.norm.weight": (sizes.width,)}
    for number in range(sizes.layers):
        out.update(_decoder_layer(sizes, number))
        out.update(_vision_layer(sizes, number))
    return {**out, **_projector(sizes), **_vision_ends(sizes), **_pooling_head(sizes)}


def random_weights(sizes, vocabulary_size, seed):
    """Return float32 values for every tensor; NumPy guarantees that RandomState's stream never changes."""
    source = np.random.RandomState(seed)
    out = {}
    for name, shape in sorted(shapes(sizes, vocabulary_size).items()):
        out[name] = _random_tensor(source, name, shape).astype(np.float32)
    return out


def _random_tensor(source, name, shape):
    if "norm" in name and name.endswith("weight"):
        return np.ones(shape)
    if "packing_position_embedding" in name:  # never read on the pipeline's path
        return np.zeros(shape)
    if name.endswith("bias"):
        return 0.02 * source.standard_normal(shape)
    inputs = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
    scale = 1.0 if "embed_tokens" in name else inputs**-0.5
    return scale * source.standard_normal(shape)

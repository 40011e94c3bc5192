"""Weights in closed form: a tiny PaddleOCR-VL that reads a chart of four coloured quarters.

The answer is a function of the pixels and of the prompt, with margins wide enough for bfloat16:

    OCR:                ->  TL:red TR:green BL:blue BR:yellow [OCR]
    Table Recognition:  ->  <fcel>TL=red<fcel>TR=green<nl><fcel>BL=blue<fcel>BR=yellow<nl> [Table]

and then `</s>`. How:

vision     Width comes in pairs (+f, -f) of the features red, green, blue, x, y, plus a big constant pair, so the
           mean is 0 and the variance almost fixed: every LayerNorm is about a fixed scale. Colours are patch
           means from the convolution, x and y come from the position embedding.
projector  linear_1 averages the four merged patches into +f and -f; gelu(f) - gelu(-f) = f exactly, so linear_2
           passes f on as it was.
decoder    Layer 0: key head 0 holds (x, y, is-image) with the colour as its value, and query heads 0 to 3 each ask
           for one corner; key head 1 finds the task word of the prompt. The signal sits in the slowest rotary
           pairs only, where the angle is about 0 at any position.
head       logit(corner k, colour c) = state "corner k-1 was just written" + sign of c x colour seen at k, plus or
           minus "the prompt says Table". The state is in the embedding of the token just written.

Everything else is small random noise: it runs, and must not disturb.
"""

import numpy as np

from .vocabulary import COLOURS, CORNERS, SPACE, TASKS, plain_piece, table_piece, task_piece
from .weights import VISION, random_weights

NOISE = 0.03

# Places in the vision stream: feature f at 2f (+) and 2f+1 (-).
RED, GREEN, BLUE, X, Y, STEADY = range(6)
_STEADY_VALUE = 4.0

# Places in the decoder's stream.
CONST = 0
STATE = 1  # + 0 nothing written, + 1..4 that corner, + 5 the task
SEEN = 7  # + 0..2: colour of an image token
WHERE = 10  # + 0..1: its x and y
IS_IMAGE = 12
CORNER = 13  # + 3k..3k+2: the colour found at corner k
TASK_ASKED = 25  # + t, in the prompt's task word
TASK_FOUND = 31  # + t, after attention
IS_TASK = 37
FREE = 38  # from here on: noise

_DONE = 1 + len(CORNERS)
_DIRECTIONS = ((-1, -1), (1, -1), (-1, 1), (1, 1))
_TABLE = TASKS.index("Table")
# The state must outweigh colour (up to 54) and task (up to 29), so that the order of tokens is never in doubt.
_STATE_LOGIT, _COLOUR_LOGIT, _TASK_LOGIT = 60.0, 3.0, 4.0


def colour_weights(sizes, ids, seed):
    """Return the float32 tensors of the colour model by name; `ids` maps tokens to their numbers."""
    tensors = random_weights(sizes, len(ids), seed)
    noise = _Noise(seed + 1)
    _quieten(tensors, sizes)
    _write_vision(tensors, sizes)
    _write_projector(tensors, sizes, noise)
    _write_embedding(tensors, ids, noise)
    _write_attention(tensors, sizes, noise)
    _write_head(tensors, ids, noise)
    return tensors


class _Noise:
    """Small random values from a frozen stream."""

    def __init__(self, seed):
        self.source = np.random.RandomState(seed)

    def __call__(self, *shape):
        return (NOISE * self.source.standard_normal(shape)).astype(np.float32)


def _quieten(tensors, sizes):
    """Turn everything that the layers add to their stream into small noise."""
    for number in range(sizes.layers):
        vision = "%sencoder.layers.%d." % (VISION, number)
        for name in ("self_attn.out_proj", "mlp.fc2"):
            tensors[vision + name + ".weight"] *= NOISE
            tensors[vision + name + ".bias"][:] = 0
        decoder = "model.layers.%d." % number
        for name in ("self_attn.o_proj", "mlp.down_proj"):
            tensors[decoder + name + ".weight"] *= NOISE


def _pair(array, feature, values, axis=-1):
    """Write +values and -values into the two places of a vision feature along an axis."""
    view = np.moveaxis(array, axis, 0)
    view[2 * feature], view[2 * feature + 1] = values, -values


def _write_vision(tensors, sizes):
    embeddings = VISION + "embeddings."
    filters = np.zeros_like(tensors[embeddings + "patch_embedding.weight"])
    for feature in (RED, GREEN, BLUE):
        filters[2 * feature, feature] = 1.0 / sizes.patch**2
        filters[2 * feature + 1, feature] = -1.0 / sizes.patch**2
    tensors[embeddings + "patch_embedding.weight"] = filters
    bias = np.zeros_like(tensors[embeddings + "patch_embedding.bias"])
    _pair(bias, STEADY, np.float32(_STEADY_VALUE))
    tensors[embeddings + "patch_embedding.bias"] = bias
    axis = np.linspace(-1, 1, sizes.grid, dtype=np.float32)
    places = np.zeros((sizes.grid, sizes.grid, sizes.vision_width), np.float32)
    _pair(places, X, axis[None, :])
    _pair(places, Y, axis[:, None])
    tensors[embeddings + "position_embedding.weight"] = places.reshape(-1, sizes.vision_width)
    tensors[VISION + "post_layernorm.bias"][:] = 0
    tensors["mlp_AR.pre_norm.bias"][:] = 0


def _write_projector(tensors, sizes, noise):
    width = sizes.vision_width
    first, second = noise(4 * width, 4 * width), 0.1 * noise(sizes.width, 4 * width)
    second[:FREE] = 0
    for feature, place in ((RED, SEEN), (GREEN, SEEN + 1), (BLUE, SEEN + 2), (X, WHERE), (Y, WHERE + 1)):
        average = np.zeros(4 * width, np.float32)
        for patch in range(4):
            _pair(average[patch * width : (patch + 1) * width], feature, np.float32(0.125))
        _pair(first, feature, average, axis=0)
        _pair(second[place], feature, np.float32(1.5))
    bias = np.zeros(sizes.width, np.float32)
    bias[CONST], bias[IS_IMAGE] = 4.0, 3.0
    tensors["mlp_AR.linear_1.weight"], tensors["mlp_AR.linear_2.weight"] = first, second
    tensors["mlp_AR.linear_1.bias"] = np.zeros(4 * width, np.float32)
    tensors["mlp_AR.linear_2.bias"] = bias


def _write_embedding(tensors, ids, noise):
    table = noise(*tensors["model.embed_tokens.weight"].shape)
    table[:, :FREE] = 0
    table[:, CONST] = 4.0
    table[:, STATE] = 3.0
    for k, corner in enumerate(CORNERS):
        for colour in COLOURS:
            for piece in (plain_piece(corner, colour), table_piece(corner, colour)):
                table[ids[piece], [STATE, STATE + 1 + k]] = 0.0, 3.0
    for t, task in enumerate(TASKS):
        table[ids[task_piece(task)], [STATE, STATE + _DONE]] = 0.0, 3.0
        for word in (task, SPACE + task):
            table[ids[word], [TASK_ASKED + t, IS_TASK]] = 3.0
    tensors["model.embed_tokens.weight"] = table


def _write_attention(tensors, sizes, noise):
    """Write layer 0; key head 0 serves the corner heads, key head 1 the task head, further heads idle."""
    size, group = sizes.head_size, sizes.heads // sizes.key_heads
    names = ["model.layers.0.self_attn.%s_proj.weight" % letter for letter in "qkvo"]
    query, key, value, out = (np.zeros_like(tensors[name]) for name in names)
    slow_x, slow_y, slow_mark = size // 2 - 1, size // 2 - 2, size // 2 - 3  # the slowest rotary pairs
    for head, (right, down) in enumerate(_DIRECTIONS):
        query[head * size + slow_x, CONST] = 2.0 * right
        query[head * size + slow_y, CONST] = 2.0 * down
        query[head * size + slow_mark, CONST] = 4.0
        for c in range(3):
            out[CORNER + 3 * head + c, head * size + c] = 4.0
    key[slow_x, WHERE], key[slow_y, WHERE + 1], key[slow_mark, IS_IMAGE] = 6.0, 6.0, 2.0
    for c in range(3):
        value[c, SEEN + c] = 1.0
    query[group * size + slow_mark, CONST] = 4.0
    key[size + slow_mark, IS_TASK] = 4.0
    for t in range(len(TASKS)):
        value[size + t, TASK_ASKED + t] = 1.0
        out[TASK_FOUND + t, group * size + t] = 2.0
    for head in range(group + 1, sizes.heads):
        place = slice(head * size, (head + 1) * size)
        query[place] = noise(size, sizes.width)
        out[FREE:, place] = noise(sizes.width - FREE, size)
    tensors.update(zip(names, (query, key, value, out)))  # noqa: B905 - strict= needs Python 3.10


def _signs(number):
    return np.array([1.0 if number >> bit & 1 else -1.0 for bit in range(3)], np.float32)


def _write_head(tensors, ids, noise):
    head = 0.3 * noise(*tensors["lm_head.weight"].shape)
    for k, corner in enumerate(CORNERS):
        for number, colour in enumerate(COLOURS):
            for piece, table in ((plain_piece(corner, colour), -1.0), (table_piece(corner, colour), 1.0)):
                row = head[ids[piece]]
                row[STATE : STATE + _DONE + 1] = 0
                row[STATE + k] = _STATE_LOGIT - (4 if table > 0 else 0)  # without a task word: running text
                row[CORNER + 3 * k : CORNER + 3 * k + 3] = _COLOUR_LOGIT * _signs(number)
                row[TASK_FOUND + _TABLE] = _TASK_LOGIT * table
    for t, task in enumerate(TASKS):
        head[ids[task_piece(task)], STATE + _DONE - 1] = _STATE_LOGIT
        head[ids[task_piece(task)], TASK_FOUND + t] = _TASK_LOGIT
    head[ids["</s>"], STATE + _DONE] = 2 * _STATE_LOGIT
    tensors["lm_head.weight"] = head

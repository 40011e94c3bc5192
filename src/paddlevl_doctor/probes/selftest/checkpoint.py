"""Writes a complete model folder of a tiny PaddleOCR-VL: eight files, about 1.3 MB, in some 40 ms."""

import json
import os

from . import safetensors_file, sentencepiece_file, settings, vocabulary
from .colour_weights import colour_weights
from .weights import random_weights

SEED = 7
"""Of the noise in the weights; the golden text of the random model belongs to it."""


def write_colour(folder):
    """Write the model that reads colour charts."""
    _write(folder, settings.COLOUR, colour_weights(settings.COLOUR, vocabulary.token_ids(), SEED))


def write_random(folder):
    """Write the model with random weights: its text has no meaning, and changes with any computation."""
    _write(folder, settings.RANDOM, random_weights(settings.RANDOM, len(vocabulary.pieces()), SEED))


def _write(folder, sizes, tensors):
    os.makedirs(folder)
    _text(folder, "inference.yml", "Global:\n  model_name: %s\n" % settings.MODEL_NAME)
    _text(folder, "chat_template.jinja", settings.CHAT_TEMPLATE)
    _json(folder, "config.json", settings.config(sizes))
    _json(folder, "generation_config.json", settings.generation_config())
    _json(folder, "preprocessor_config.json", settings.preprocessor_config(sizes))
    _json(folder, "tokenizer_config.json", settings.tokenizer_config())
    with open(os.path.join(folder, "tokenizer.model"), "wb") as file:
        file.write(sentencepiece_file.encode(vocabulary.pieces()))
    safetensors_file.write(os.path.join(folder, "model.safetensors"), tensors)


def _text(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _json(folder, name, document):
    _text(folder, name, json.dumps(document, indent=2) + "\n")

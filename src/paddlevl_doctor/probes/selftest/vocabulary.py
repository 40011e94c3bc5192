"""The tokens of the tiny model: the prompts of the pipeline, and the possible answers of the colour model.

A piece of the colour model's answer is also a state of that model (it says what comes next), which is why every
piece of the two wordings below is a token of its own.
"""

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
"""Piece types of SentencePiece's ModelProto."""

COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
"""The index is the colour: bit 0 red, bit 1 green, bit 2 blue."""
CORNERS = ("TL", "TR", "BL", "BR")
"""The four quarters of a chart in reading order."""
TASKS = ("OCR", "Table", "Formula", "Chart", "Spotting", "Seal")
"""First words of the prompts that the pipeline sends."""

SPECIAL = (
    "<|begin_of_sentence|>",
    "<|end_of_sentence|>",
    "<|IMAGE_START|>",
    "<|IMAGE_PLACEHOLDER|>",  # PaddleOCRVLProcessor looks for exactly this name
    "<|IMAGE_END|>",
    "<|video_pad|>",  # and for this one
)
PAD, BOS, EOS = 0, 1, 2
SPACE = "\u2581"
_PROMPT_WORDS = ("User", "Assistant", "Recognition", *TASKS)


def plain_piece(corner, colour):
    """Return the token for one corner in running text: `TL:red TR:green ...`."""
    return "%s%s:%s" % ("" if corner == "TL" else SPACE, corner, colour)


def table_piece(corner, colour):
    """Return the token for one corner as a cell of OTSL, which the pipeline turns into HTML."""
    return "<fcel>%s=%s%s" % (corner, colour, "<nl>" if corner in ("TR", "BR") else "")


def task_piece(task):
    """Return the last token of an answer: the task of the prompt."""
    return "%s[%s]" % (SPACE, task)


def _answer_pieces():
    corners = [(corner, colour) for corner in CORNERS for colour in COLOURS]
    return [
        *(plain_piece(*corner) for corner in corners),
        *(table_piece(*corner) for corner in corners),
        *map(task_piece, TASKS),
    ]


def _normal_pieces():
    words = [SPACE, *_PROMPT_WORDS, *(SPACE + word for word in _PROMPT_WORDS)]
    return [*words, *(chr(code) for code in range(33, 127)), *_answer_pieces()]


def pieces():
    """Return every token as (text, score, type); the position is the token's id.

    The unigram model chooses the segmentation with the highest sum of scores, so single characters score low.
    """
    fixed = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    fixed += [(text, USER_DEFINED) for text in SPECIAL]
    fixed += [("<0x%02X>" % byte, BYTE) for byte in range(256)]
    normal = enumerate(_normal_pieces())
    scored = [(text, -1.0 - 0.001 * i - (5.0 if len(text) == 1 else 0.0), NORMAL) for i, text in normal]
    return [(text, 0.0, kind) for text, kind in fixed] + scored


def token_ids():
    """Return the id of every token."""
    return {text: number for number, (text, _, _) in enumerate(pieces())}

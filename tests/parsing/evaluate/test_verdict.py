"""The verdict passes equal text, fails different text, and names the place."""

import dataclasses

import pytest

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing.evaluate.ground_truth import Truth, TruthBlock, TruthPage, load_truth
from paddlevl_doctor.parsing.evaluate.verdict import (
    NATIVE_CLAIMS,
    READER_CLAIMS,
    THRESHOLDS,
    compare_with_truth,
)
from paddlevl_doctor.parsing.run.report import Judgement
from paddlevl_doctor.values.pages import Block
from samples import reading
from wording import worded

TRUTH = load_truth(ASSETS / "demo.json")
BLOCKS = TRUTH.pages[0].blocks
NOT_JUDGED = "Not evaluated, because this engine does not read it: formula, figure, table structure."
FIGURE = "Not evaluated, because this engine does not read it: figure."


def reader_block(block):
    text = "\n".join("\t".join(row) for row in block.rows) or block.text or "E = S + D + I"
    return Block("text", text, block.box)


def native_block(block):
    if block.rows:
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in block.rows)
        return Block("table", f"<table border=1>{rows}</table>", block.box)
    if block.latex:
        return Block("display_formula", f"$$ {block.latex} $$", block.box)
    return Block({"title": "doc_title", "figure": "chart"}.get(block.kind, block.kind), block.text, block.box)


PERFECT = tuple(map(reader_block, BLOCKS))
NATIVE = tuple(map(native_block, BLOCKS))


def judged(blocks, truth=TRUTH, lang="en", **changes):
    options = {"claims": READER_CLAIMS, "threshold": THRESHOLDS["reader"], **changes}
    return worded(compare_with_truth(reading(*blocks), truth, **options), lang)


def native(blocks):
    return judged(blocks, claims=NATIVE_CLAIMS, threshold=THRESHOLDS["native"])


def test_a_perfect_reading_passes_and_names_the_kinds_that_were_not_judged():
    assert judged(PERFECT) == Judgement(True, 1.0, 0.97, "demo.json", (NOT_JUDGED,), order=1.0)


def test_a_perfect_native_reading_is_judged_on_all_but_the_figure():
    assert native(NATIVE) == Judgement(True, 1.0, 0.9, "demo.json", (FIGURE,), order=1.0)


def test_whitespace_and_the_shape_of_quotes_dashes_and_full_width_signs_do_not_matter():
    truth = Truth("x", (TruthPage((TruthBlock("text", "“A–B” says: ｆｕｌｌ，it’s １"),)),))

    assert judged([Block("text", '"A-B"says:full,it\'s 1', (0, 0, 1, 1))], truth).similarity == 1.0


def test_the_size_of_the_picture_does_not_matter():
    half = [dataclasses.replace(b, box=tuple(n // 2 for n in b.box)) for b in PERFECT]

    assert compare_with_truth(
        reading(*half, width=620, height=877), TRUTH, claims=READER_CLAIMS, threshold=0.97
    ).passed


def test_a_blank_page_fails():
    assert judged([]) == Judgement(
        False, 0.0, 0.97, "demo.json", ("Nothing was read.", NOT_JUDGED), order=1.0
    )
    assert not compare_with_truth(
        dataclasses.replace(reading(), pages=()), TRUTH, claims=READER_CLAIMS, threshold=0.0
    ).passed


@pytest.mark.parametrize("number", [n for n, b in enumerate(BLOCKS) if b.kind not in ("figure", "formula")])
def test_a_missing_part_fails_however_short_it_is(number):
    verdict = judged(PERFECT[:number] + PERFECT[number + 1 :])

    name = (BLOCKS[number].text or " ".join(BLOCKS[number].rows[0]))[:12]
    assert not verdict.passed
    assert len(verdict.reasons) == 2
    assert name in verdict.reasons[0]


def test_exchanged_columns_fail_because_of_their_order():
    ids = {block.text[:6]: n for n, block in enumerate(BLOCKS)}
    left, right, after = ids["1 Find"], ids["2 Read"], ids["Table "]
    blocks = PERFECT[:left] + PERFECT[right:after] + PERFECT[left:right] + PERFECT[after:]

    verdict = judged(blocks)

    assert verdict.reasons == (
        "14 of 17 parts are in the order of the page: 82% (required: 95%).",
        "heading '1 Finding the parts' came after 'Here C counts the charac…', "
        "but belongs after '阅读一页文档，不只是认出每一个字。读者还要分清标…'.",
        NOT_JUDGED,
    )
    assert (verdict.passed, verdict.order) == (False, 0.8235)
    assert verdict.similarity < 0.75


SENTENCES = (
    "The harbour master counted eleven barges before the fog rolled in from the north.",
    "Nobody in the valley remembers a winter as long as the one that has just ended.",
    "A good kettle sings long before the water boils, as every cook will tell you.",
    "Her notebooks are full of birds, of which she drew the feathers one by one.",
    "The second train leaves at noon and reaches the coast when the shops are closing.",
)
TEN = tuple(
    block
    for name, words in zip(("Ships", "Weather", "Tea", "Birds", "Trains"), SENTENCES, strict=True)
    for block in (TruthBlock("heading", name), TruthBlock("text", words))
)
TEN_PARTS = Truth("ten", (TruthPage(TEN),))
TEN_READ = tuple(Block(block.kind, block.text, (0, 0, 1, 1)) for block in TEN)


def test_two_short_headings_that_were_exchanged_fail_and_are_named() -> None:
    blocks = [TEN_READ[n] for n in (0, 1, 6, 3, 4, 5, 2, 7, 8, 9)]

    verdict = judged(blocks, TEN_PARTS, threshold=0.9)

    assert verdict.similarity > 0.95
    assert (verdict.passed, verdict.order, verdict.reasons) == (
        False,
        0.8,
        (
            "8 of 10 parts are in the order of the page: 80% (required: 95%).",
            "heading 'Weather' came after 'A good kettle sings long…', but belongs after 'The harbour master count…'.",
            "heading 'Birds' came after 'The harbour master count…', but belongs after 'A good kettle sings long…'.",
        ),
    )


def test_the_reason_of_a_part_at_either_end_names_where_it_belongs() -> None:
    assert judged([*TEN_READ[1:], TEN_READ[0]], TEN_PARTS).reasons[1] == (
        "heading 'Ships' came after 'The second train leaves…', but belongs at the beginning."
    )
    assert judged([TEN_READ[9], *TEN_READ[:9]], TEN_PARTS).reasons[1] == (
        "text 'The second train leaves…' came at the beginning, but belongs after 'Trains'."
    )


def test_a_moved_footnote_of_a_long_document_is_named_and_passes() -> None:
    lines = [
        f"{word * 9} stands in line {n} of the list." for n, word in enumerate("abcdefghijklmnopqrstuvwx")
    ]
    long = Truth("x", (TruthPage(tuple(TruthBlock("text", line) for line in lines)),))
    blocks = [Block("text", line, (0, 0, 1, 1)) for line in (*lines[:3], *lines[4:], lines[3])]

    verdict = judged(blocks, long, threshold=0.9)

    assert (verdict.passed, verdict.order) == (True, 0.9583)
    assert verdict.reasons == (
        "text 'ddddddddd stands in line…' came after 'xxxxxxxxx stands in line…', "
        "but belongs after 'ccccccccc stands in line…'.",
    )


def test_parts_read_as_one_block_and_repeated_headings_are_in_order() -> None:
    merged = Block("text", "\n".join(block.text for block in TEN_READ[:7]), (0, 0, 1, 1))
    twice = Truth("x", (TruthPage((*TEN, TruthBlock("heading", "Ships"), TruthBlock("text", "The end."))),))
    read = [merged, *TEN_READ[7:], TEN_READ[0], Block("text", "The end.", (0, 0, 1, 1))]

    assert judged(read, twice) == Judgement(True, 1.0, 0.97, "x", order=1.0)


@pytest.mark.parametrize("where", [0, len(SENTENCES[0]) + 30, None])
@pytest.mark.parametrize(
    "extra", ["Moons were sold by a baker in Delft.", "月亮在去年被一位面包师买下来了。"]
)
def test_an_invented_sentence_is_named_even_if_the_reading_passes(extra: str, where: int | None) -> None:
    words = " ".join(SENTENCES)
    truth = Truth("x", (TruthPage((TruthBlock("text", words),)),))
    read = [words, extra] if where is None else [f"{words[:where]}{extra}{words[where:]}"]

    verdict = judged([Block("text", one, (0, 0, 1, 1)) for one in read], truth, threshold=0.9)

    assert (verdict.passed, verdict.reasons) == (True, (f"Not in the ground truth (page 1): '{extra}'",))


def test_columns_read_straight_across_fail():
    left = next(b for b in BLOCKS if b.text.startswith("Columns are")).text.split()
    right = next(b for b in BLOCKS if b.text.startswith("Once the")).text.split()
    mixed = " ".join(word for pair in zip(left, right, strict=False) for word in pair)
    blocks = [dataclasses.replace(b, text=mixed) if b.text.startswith("Columns are") else b for b in PERFECT]

    assert not judged([b for b in blocks if not b.text.startswith("Once the")]).passed


def test_a_page_in_the_wrong_language_fails_at_its_chinese_parts():
    garbled = [dataclasses.replace(b, text=b.text.encode("ascii", "replace").decode()) for b in PERFECT]

    verdict = judged(garbled)

    assert not verdict.passed
    assert [reason[:12] for reason in verdict.reasons[:3]] == [
        "heading '摘要'",
        "heading '结语'",
        "text '阅读一页文档",
    ]


def test_text_read_twice_fails():
    verdict = judged((*PERFECT, PERFECT[1]))

    assert verdict.reasons == ("text 'A printed page is made f…' was read 2 times.", NOT_JUDGED)
    assert not verdict.passed


def test_endless_repetition_fails_even_if_the_similarity_is_sufficient():
    long = Truth(
        "x", (TruthPage((TruthBlock("text", "".join(f"Sentence number {n}. " for n in range(200))),)),)
    )
    blocks = [Block("text", long.pages[0].blocks[0].text + "again " * 7, (0, 0, 1, 1))]

    verdict = judged(blocks, long)

    assert verdict.similarity > 0.97
    assert verdict == Judgement(
        False,
        verdict.similarity,
        0.97,
        "x",
        (
            "'again' is repeated 7 times in a row: the engine did not stop.",
            "Not in the ground truth (page 1): 'again again again again again again again'",
        ),
        order=1.0,
    )


def test_repetition_in_the_document_itself_is_no_fault():
    dotted = Truth("x", (TruthPage((TruthBlock("text", "Contents " + "." * 60 + " 7"),)),))

    assert judged([Block("text", "Contents " + "." * 60 + " 7", (0, 0, 1, 1))], dotted).passed


def test_invented_text_is_named_as_the_reason():
    extra = Block("text", "".join(chr(0x4E00 + 7 * n) for n in range(300)), (0, 0, 1, 1))

    verdict = judged((*PERFECT, extra))

    assert verdict.reasons[0].startswith("1")
    assert "text was repeated or made up" in verdict.reasons[0]


def test_many_small_mistakes_fail_and_name_the_part_that_differs_most():
    wrong = [dataclasses.replace(b, text=b.text.replace("e", "c")) for b in PERFECT]

    verdict = judged(wrong)

    assert not verdict.passed
    assert verdict.reasons[0].startswith("The part that differs most is ")


def test_a_native_table_that_was_not_read_as_one_fails():
    flat = [
        dataclasses.replace(b, kind="text", text=" ".join(map(" ".join, t.rows))) if t.rows else b
        for b, t in zip(NATIVE, BLOCKS, strict=True)
    ]

    assert native(flat).reasons == ("Table 1 ('Format Width (mm) Height…') was not read as a table.", FIGURE)


def test_a_wrong_native_formula_fails():
    wrong = [dataclasses.replace(b, text="a^2+b^2=c^2") if "formula" in b.kind else b for b in NATIVE]

    verdict = native(wrong)

    assert not verdict.passed
    assert verdict.reasons[0].startswith("formula 'E = \\frac{S + D + I}{N}…'")


def test_chinese_reasons_are_chinese():
    verdict = judged(PERFECT[1:], lang="zh")

    assert verdict.reasons[0].startswith("标题“How a Machine Reads a Pa…”：识别结果中只找到其中的 ")
    assert verdict.reasons[1] == "未评估（该引擎不识别此类内容）：公式、图像、表格结构。"

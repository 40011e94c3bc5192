"""The verdict passes what says the same, fails what does not, and names the place."""

import dataclasses

import pytest

from paddlevl_doctor.commands.parse import ASSETS
from paddlevl_doctor.parsing import verdict as module
from paddlevl_doctor.parsing.model import Block
from paddlevl_doctor.parsing.truth import Truth, TruthBlock, TruthPage, load_truth
from paddlevl_doctor.parsing.verdict import NATIVE_CLAIMS, READER_CLAIMS, THRESHOLDS, Verdict, judge
from parsing.samples import reading

TRUTH = load_truth(ASSETS / "demo.json")
BLOCKS = TRUTH.pages[0].blocks
NOT_JUDGED = "Not judged, because this engine does not claim to read it: formula, figure, table structure."
FIGURE = "Not judged, because this engine does not claim to read it: figure."


def as_the_reader_reads(block):
    text = "\n".join("\t".join(row) for row in block.rows) or block.text or "E = S + D + I"
    return Block("text", text, block.box)


def as_native_reads(block):
    if block.rows:
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in block.rows)
        return Block("table", f"<table border=1>{rows}</table>", block.box)
    if block.latex:
        return Block("display_formula", f"$$ {block.latex} $$", block.box)
    return Block({"title": "doc_title", "figure": "chart"}.get(block.kind, block.kind), block.text, block.box)


PERFECT = tuple(map(as_the_reader_reads, BLOCKS))
NATIVE = tuple(map(as_native_reads, BLOCKS))


def judged(blocks, truth=TRUTH, **changes):
    options = {"claims": READER_CLAIMS, "threshold": THRESHOLDS["reader"], **changes}
    return judge(reading(*blocks), truth, **options)


def native(blocks):
    return judged(blocks, claims=NATIVE_CLAIMS, threshold=THRESHOLDS["native"])


def test_a_perfect_reading_passes_and_says_what_was_not_judged():
    assert judged(PERFECT) == Verdict(True, 1.0, 0.97, "demo.json", (NOT_JUDGED,))


def test_a_perfect_native_reading_is_judged_on_all_but_the_figure():
    assert native(NATIVE) == Verdict(True, 1.0, 0.9, "demo.json", (FIGURE,))


def test_whitespace_and_the_shape_of_quotes_dashes_and_full_width_signs_do_not_matter():
    truth = Truth("x", (TruthPage((TruthBlock("text", "“A–B” says: ｆｕｌｌ，it’s １"),)),))

    assert judged([Block("text", '"A-B"says:full,it\'s 1', (0, 0, 1, 1))], truth).similarity == 1.0


def test_the_size_of_the_picture_does_not_matter():
    half = [dataclasses.replace(b, box=tuple(n // 2 for n in b.box)) for b in PERFECT]

    assert judge(reading(*half, width=620, height=877), TRUTH, claims=READER_CLAIMS, threshold=0.97).passed


def test_a_blank_page_fails():
    assert judged([]) == Verdict(False, 0.0, 0.97, "demo.json", ("Nothing was read.", NOT_JUDGED))
    assert not judge(
        dataclasses.replace(reading(), pages=()), TRUTH, claims=READER_CLAIMS, threshold=0.0
    ).passed


@pytest.mark.parametrize("number", [n for n, b in enumerate(BLOCKS) if b.kind not in ("figure", "formula")])
def test_no_part_can_be_missing_however_short(number):
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

    assert verdict.reasons == ("All parts were read, but not in the order of the page.", NOT_JUDGED)
    assert not verdict.passed
    assert verdict.similarity < 0.75


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


def test_endless_repetition_fails_even_where_the_similarity_would_do():
    long = Truth(
        "x", (TruthPage((TruthBlock("text", "".join(f"Sentence number {n}. " for n in range(200))),)),)
    )
    blocks = [Block("text", long.pages[0].blocks[0].text + "again " * 7, (0, 0, 1, 1))]

    verdict = judged(blocks, long)

    assert verdict.similarity > 0.97
    assert verdict == Verdict(
        False,
        verdict.similarity,
        0.97,
        "x",
        ("'again' is repeated 7 times on end: the engine did not stop.",),
    )


def test_repetition_that_the_document_itself_has_is_no_fault():
    dotted = Truth("x", (TruthPage((TruthBlock("text", "Contents " + "." * 60 + " 7"),)),))

    assert judged([Block("text", "Contents " + "." * 60 + " 7", (0, 0, 1, 1))], dotted).passed


def test_made_up_text_is_called_that():
    extra = Block("text", "".join(chr(0x4E00 + 7 * n) for n in range(300)), (0, 0, 1, 1))

    verdict = judged((*PERFECT, extra))

    assert verdict.reasons[0].startswith("1")
    assert "text was repeated or made up" in verdict.reasons[0]


def test_many_small_mistakes_fail_and_name_the_part_that_differs_most():
    wrong = [dataclasses.replace(b, text=b.text.replace("e", "c")) for b in PERFECT]

    verdict = judged(wrong)

    assert not verdict.passed
    assert verdict.reasons[0].startswith("The part that differs most is ")


def test_a_native_table_of_another_shape_fails():
    lost = [dataclasses.replace(b, text=b.text.replace("</td></tr><tr>", "</td>", 1)) for b in NATIVE]

    assert native(lost).reasons == ("A table has 4 x 4 rows x columns, but 3 x 8 was read.", FIGURE)


def test_a_native_table_that_was_not_read_as_one_fails():
    flat = [
        dataclasses.replace(b, kind="text", text=" ".join(map(" ".join, t.rows))) if t.rows else b
        for b, t in zip(NATIVE, BLOCKS, strict=True)
    ]

    assert native(flat).reasons == ("A table has 4 x 4 rows x columns, but 0 x 0 was read.", FIGURE)


def test_a_wrong_native_formula_fails():
    wrong = [dataclasses.replace(b, text="a^2+b^2=c^2") if "formula" in b.kind else b for b in NATIVE]

    verdict = native(wrong)

    assert not verdict.passed
    assert verdict.reasons[0].startswith("formula 'E = \\frac{S + D + I}{N}…'")


def test_chinese_reasons_are_chinese():
    verdict = judged(PERFECT[1:], lang="zh")

    assert verdict.reasons[0].startswith("标题“How a Machine Reads a Pa…”：读出的内容中只找到了其中的 ")
    assert verdict.reasons[1] == "未评判（该引擎不负责读取）：公式、插图、表格结构。"
    assert all(set(words) == {"en", "zh"} for words in (module._SENTENCES | module._KINDS).values())

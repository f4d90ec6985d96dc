"""What recognised words become: text without the spaces and marks of engines, even sizes, pages like others."""

from __future__ import annotations

import pytest

from difyrpc_services.documents.formats.pdf.recognised import even_sizes, fragments_of
from difyrpc_services.documents.ocr import OcrLine, OcrWord
from difyrpc_services.documents.ocr.languages import model_of, tags_of
from difyrpc_services.documents.ocr.remote import lines_of as remote_lines
from difyrpc_services.documents.ocr.tesseract import languages_in
from difyrpc_services.documents.ocr.tesseract import lines_of as hocr_lines


def line(*words: tuple[str, float, float], top: float = 100, size: float = 40, confidence: float = 0.9) -> OcrLine:
    """A line of words with their left and right edges."""
    made = [
        OcrWord(text=text, left=left, top=top, right=right, bottom=top + size, confidence=confidence)
        for text, left, right in words
    ]
    return OcrLine(words=made, size=size)


def texts(*lines: OcrLine) -> list[str]:
    return [fragment.text for fragment in fragments_of(lines, 0.24)[0]]


def test_english_words_are_separated_by_spaces():
    assert texts(line(("due", 0, 50), ("on", 58, 80), ("demand", 90, 200))) == ["due on demand"]


def test_spaces_that_engines_make_between_chinese_signs_go():
    assert texts(line(("合同", 0, 80), ("当事人", 98, 220), ("的", 230, 270))) == ["合同当事人的"]


def test_a_space_between_a_chinese_number_and_its_text_stays():
    assert texts(line(("第一条", 0, 120), ("合同", 150, 230))) == ["第一条 合同"]


def test_marks_beside_chinese_signs_are_as_wide_as_those():
    words = line(("(一)", 0, 90), ("权益", 92, 170), (",", 200, 205), ("义务", 240, 320), (";", 330, 335))
    assert texts(words) == ["（一）权益，义务；"]
    assert texts(line(("12,450.00", 0, 90), ("(net)", 100, 150))) == ["12,450.00 (net)"]


def test_numerals_that_an_engine_took_for_a_sign_are_mended_in_their_order():
    lines = [line((text, 0, 300), top=100 * place) for place, text in enumerate(["（一）甲", "(=) 乙", "( = ）丙"])]
    assert texts(*lines) == ["（一）甲", "（二）乙", "（三）丙"]


def test_a_wide_gap_separates_the_cells_of_a_table():
    assert texts(line(("Pump", 0, 90), ("12", 300, 330))) == ["Pump", "12"]


def test_dirt_that_nobody_can_read_goes_and_unsure_words_stay():
    dirt, word = line(("~|", 0, 20), confidence=0.2), line(("maybe", 0, 80), top=200, confidence=0.2)
    fragments, confidences = fragments_of([dirt, word], 0.24)
    assert [fragment.text for fragment in fragments] == ["maybe"]
    assert confidences == {fragments[0].start: pytest.approx(0.2)}


def test_places_are_points_of_the_page():
    ((fragment,), _) = fragments_of([line(("word", 100, 200))], 0.24)
    assert (fragment.left, fragment.top, fragment.right, fragment.bottom) == pytest.approx((24, 24, 48, 33.6))


def test_sizes_that_differ_by_chance_are_one_and_titles_stay_larger():
    assert even_sizes([(10.2, 80), (9.8, 70), (10.9, 75), (15.8, 12), (16.4, 10)]) == [10.0, 10.0, 10.0, 16.0, 16.0]


def test_a_few_signs_have_the_size_of_the_others():
    assert even_sizes([(10, 80), (7.4, 3)]) == [10.0, 10.0]


HOCR = """
<div class='ocr_page' title='image ""; bbox 0 0 2479 3508; ppageno 0'>
<span class='ocr_line' id='l1' title="bbox 100 200 500 240; baseline 0 -8; x_size 40; x_descenders 8; x_ascenders 9">
<span class='ocrx_word' id='w1' title='bbox 100 200 180 232; x_wconf 96'>Fee</span>
<span class='ocrx_word' id='w2' title='bbox 190 210 260 240; x_wconf 50'><strong>&lt;pay&gt;</strong></span>
<span class='ocrx_word' id='w3' title='bbox 270 210 280 240; x_wconf 95'> </span>
</span>
<span class='ocr_header' id='l2' title="bbox 100 300 500 340; baseline 0.01 -4; x_size 30">
<span class='ocrx_word' id='w4' title='bbox 100 300 180 332; x_wconf 0'>A&amp;B</span></span>
<span class='ocr_line' id='l3' title="bbox 900 0 940 900; textangle 90; x_size 40">
<span class='ocrx_word' id='w5' title='bbox 900 0 940 900; x_wconf 90'>sideways</span></span>
</div>
"""


def test_the_lines_and_words_of_hocr_are_read():
    first, second = hocr_lines(HOCR)
    assert [(word.text, word.confidence) for word in first.words] == [("Fee", 0.96), ("<pay>", 0.5)]
    assert [word.text for word in second.words] == ["A&B"]


def test_words_of_a_line_stand_on_an_even_ground():
    first, _ = hocr_lines(HOCR)
    assert len({(word.top, word.bottom) for word in first.words}) == 1


def test_nothing_recognised_is_no_line():
    assert hocr_lines("<html></html>") == []


@pytest.mark.parametrize(
    ("tag", "model"),
    [
        ("en", "eng"), ("en-GB", "eng"), ("zh", "chi_sim"), ("zh-Hans-CN", "chi_sim"), ("zh_TW", "chi_tra"),
        ("zh-Hant-HK", "chi_tra"), ("DE", "deu"), ("tlh", ""), ("", ""),
    ],
)  # fmt: skip
def test_languages_have_models(tag: str, model: str):
    assert model_of(tag) == model


def test_models_that_are_no_language_are_not_listed():
    assert tags_of(["osd", "eng", "chi_sim", "equ", "script/Latin"]) == ("en", "zh-Hans")


def test_an_endpoints_lines_are_read():
    answer = '{"text": "合同", "box": [1, 2, 3.5, 4], "confidence": 7}\n\n{"text": "x", "box": [0, 0, 1, 1]}\n'
    first, second = remote_lines(answer.encode())
    assert (first.words[0].text, first.words[0].right, first.words[0].confidence) == ("合同", 3.5, 1.0)
    assert second.words[0].confidence == 1.0


@pytest.mark.parametrize("answer", [b"{", b"[]", b'{"text": 1}', b'{"text": "x", "box": [1]}', b"\xff",
                                    b'{"text": "x", "box": [5, 0, 1, 1]}', b"null"])  # fmt: skip
def test_what_is_no_line_is_an_error(answer: bytes):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        remote_lines(answer)


def page(text: str, confidence: float = 0.95) -> list[OcrLine]:
    return [line((word, 0, 10), confidence=confidence) for word in text.split()]


@pytest.mark.parametrize(
    ("text", "confidence", "languages"),
    [
        ("Payment is due on demand", 0.95, ("eng", "deu")),
        ("合同当事人 应当付款", 0.95, ("chi_sim",)),
        ("合同 contract 当事人 party", 0.95, ("chi_sim", "eng", "deu")),
        ("Pavmeut 1s dne", 0.4, ("chi_sim", "eng", "deu")),
    ],
)
def test_the_next_page_is_first_read_in_the_script_of_this_one(
    text: str, confidence: float, languages: tuple[str, ...]
):
    assert languages_in(page(text, confidence), ("chi_sim", "eng", "deu")) == languages


def test_a_script_without_a_language_of_its_own_leaves_all():
    assert languages_in(page("Payment is due"), ("chi_sim",)) == ("chi_sim",)

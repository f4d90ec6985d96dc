"""Text in any encoding, long and short, marked and not, whole and slightly broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difyrpc_services.documents.formats.charset import decoded, known

TEXTS = {
    "gb2312 gb18030 utf-16-le utf-16-be utf-16 utf-32 utf-32-le utf-32-be utf-8-sig hz": (
        "合同编号：2024第15号",
        "甲方：北京某某科技有限公司",
        "会议纪要\n时间：2024年3月5日\n地点：三楼会议室",
        "苹果公司今天发布了新款手机，售价5999元起。",
    ),
    "big5 utf-16-le utf-16-be": (
        "本合約依照中華民國法律訂立，雙方當事人應當遵守其規定，並且負擔費用。",
        "會議記錄\n時間：三月五日",
        "歡迎光臨臺北市政府網站",
    ),
    "shift_jis euc_jp iso2022_jp utf-16-le": (
        "この契約は日本国の法律に基づいて解釈されるものとします。",
        "お客様各位 平素は格別のご高配を賜り、厚く御礼申し上げます。",
        "会議の議事録",
    ),
    "euc_kr iso2022_kr utf-16-be": (
        "이 계약은 대한민국의 법률에 따라 해석되며 당사자는 이를 준수하여야 한다.",
        "안녕하세요. 반갑습니다.",
        "서울특별시 강남구 테헤란로 123",
    ),
    "cp1251 koi8_r cp866 iso8859_5 utf-16-le": (
        "Настоящий договор вступает в силу с момента его подписания обеими сторонами.",
        "Москва, Россия",
        "ДОГОВОР АРЕНДЫ НЕЖИЛОГО ПОМЕЩЕНИЯ",
    ),
    "cp1252": (
        "Die Parteien vereinbaren für die Übergabe „Bremen“ – Größe gemäß Anhang.",
        "L’élève a reçu son diplôme à l’été 2020",
        "mañana",
        "The price is £50 or €60 – see §4.",
    ),
    "cp1250 iso8859_2": ("Umowa zostaje zawarta na czas nieokreślony i może być rozwiązana.", "Zażółć gęślą jaźń"),
    "cp1254": ("Bu sözleşme taraflarca imzalandığı tarihte yürürlüğe girer.",),
    "cp1253": ("Η παρούσα σύμβαση διέπεται από το ελληνικό δίκαιο.",),
    "cp1255": ("הסכם זה ייכנס לתוקף ביום חתימתו על ידי הצדדים.",),
    "cp1256": ("يسري هذا العقد اعتبارا من تاريخ توقيعه من قبل الطرفين.",),
    "cp874": ("สัญญานี้มีผลใช้บังคับตั้งแต่วันที่ลงนามเป็นต้นไป",),
}
SHORT = [(encoding, text) for encodings, texts in TEXTS.items() for encoding in encodings.split() for text in texts]
SHORT = [(encoding, text) for encoding, text in SHORT if text.encode(encoding, "replace").decode(encoding) == text]


@pytest.mark.parametrize(("encoding", "text"), SHORT)
def test_a_line_in_any_encoding_is_read(encoding, text):
    assert decoded(text.encode(encoding))[0] == text


@pytest.mark.parametrize(("encoding", "text"), SHORT)
def test_a_long_text_in_any_encoding_is_read(encoding, text):
    text = "".join(f"{number} {text}\n" for number in range(200))
    assert decoded(text.encode(encoding))[0] == text


@pytest.mark.parametrize(("name", "text"), [("gb18030", "合同编号"), ("cp1252", "Größe gemäß Anhang")])
def test_a_guess_is_told(name, text):
    (notice,) = decoded(text.encode(name))[1]
    assert notice.reason == "ENCODING_GUESSED"
    assert name in notice.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_is_certain_is_no_guess(encoding):
    assert decoded("合同编号 Größe".encode(encoding))[1] == ()


@pytest.mark.parametrize("stated", ["gbk", "GB2312", '"gb18030"', "x-gbk"])
def test_a_stated_encoding_is_believed(stated):
    assert decoded("欢迎".encode("gb18030"), stated=stated) == ("欢迎", ())


def test_a_stated_encoding_does_not_undo_utf8():
    assert decoded("合同编号".encode(), stated="gbk") == ("合同编号", ())


def test_a_wrongly_stated_utf8_is_passed_over():
    text = "Die Parteien vereinbaren für die Übergabe Bremen, Größe gemäß Anhang."
    assert decoded(text.encode("cp1252"), stated="utf-8")[0] == text


def test_an_unknown_stated_encoding_is_passed_over():
    assert decoded("欢迎光临北京".encode("gb18030"), stated="x-nothing")[0] == "欢迎光临北京"
    assert known("x-nothing") == known("rot13") == known("zip") == ""


def test_a_few_broken_bytes_lose_nothing_else():
    data = bytearray(("第一条 为了保护民事主体的合法权益，制定本法。\n" * 20).encode())
    data[100:100] = b"\xff\xfe\xff"
    text, (notice,) = decoded(bytes(data))
    assert text.replace("\ufffd", "").count("第一条") == 20
    assert notice.reason == "GARBLED_TEXT"


def test_broken_bytes_in_chinese_do_not_change_its_encoding():
    data = ("第一条 为了保护民事主体的合法权益，制定本法。\n" * 20).encode("gb18030")
    assert decoded(data[:101] + b"\xff" + data[101:])[0].count("第一条") >= 19


def test_a_text_that_is_cut_inside_a_character_is_read_to_there():
    assert decoded("合同编号".encode()[:-1]) == ("合同编", ())


def test_line_ends_become_newlines():
    assert decoded(b"a\r\nb\rc\nd")[0] == "a\nb\nc\nd"


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "gbk", "utf-7", "iso-2022-jp", "hz", "base64", "idna"]))
def test_any_bytes_are_read_as_something(data, stated):
    text, notices = decoded(data, stated=stated)
    assert isinstance(text, str)
    assert len(notices) <= 1

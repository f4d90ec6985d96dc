"""Says how likely bytes are as text of an encoding: by the signs that texts in its languages are made of."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_REPLACED: Final = -25.0  # logarithm of the chance of a byte that an encoding does not have
_STRANGE: Final = -14.0  # of a sign that no text in the encoding's languages is made of
_TORN: Final = -3.0  # of a letter beside letters that it does not stand with
_PLAIN: Final = -3.0  # of an ASCII sign
_ENOUGH: Final = 8  # signs
_CAPITALS: Final = 0.1  # what each letter of a text all in capitals is less likely
_ASCII: Final = frozenset(range(0x20, 0x7F)) | {9, 10, 11, 12, 13}

_HANS: Final = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成"
    "事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部"
    "正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市合同条款甲乙"
    "规定应依据责任权利义务支付双违约期限管登记件"
)
_HANT: Final = (
    "的一是不了在人有我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後小麼心多天而能好都然沒日於起還發成"
    "事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長知民樣現分將外但身些與高意進把法此實回二理美點月明其種聲全工己話兒者向情部"
    "正名定女問力機給等幾很業最間新什打便位因重被走電四第門相次東政海口使教西再平真聽世氣信北少關並內加化由卻代軍產入先山五太水萬市合同條款甲乙"
    "規定應依據責任權利義務支付雙違約期限管登記件"
)
_KANJI: Final = (
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力学問高代明実円関"
    "決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取都和統以機平総加山思家話世受区領多県続進"
    "契約条甲乙規定義務支払書類文字料品"
)
_HANGUL: Final = (
    "이다는의에고을가하지은를로한도기사그나어자아시대인리서과들해만있스보으부정장일수라제여와오것전게었비상주원성적니면무조할동공구우국신소중생말"
    "관미안물계화용위경내단연선두까때문음년발실회약선된되방당체본않없했세각법권규따며및거모습든데교결업간작개설행"
)
_CJK_POINTS: Final = "，。、；：？！“”‘’（）《》「」『』【】〈〉—…·～　"
_JAPANESE_POINTS: Final = "、。「」・（）『』ー？！：〜～　“”々"
_TYPOGRAPHIC: Final = (("’“”–—", 0.004), ("…„«»‘°§€•", 0.0015), ("\xa0·©®™£²³½µ±×ª²¹", 0.0006))
_ENGLISH: Final = (("’", 0.3), ("“”–—", 0.12), ("£€…‘§", 0.03), ("é°©®™•×²", 0.01), ("\xa0½±èáöüñçïôµ·", 0.003))
_FRENCH: Final = (
    ("é", 0.5), ("èà’", 0.12), ("êç", 0.05), ("ôûîùâ", 0.02), ("ÉœïÀ\xa0", 0.008), ("ëÈÊÇŒÎæ", 0.002), *_TYPOGRAPHIC,
)  # fmt: skip
_GERMAN: Final = (("ü", 0.34), ("ä", 0.27), ("ö", 0.17), ("ß", 0.14), ("ÜÄÖ", 0.012), ("éàèëïåø", 0.002), *_TYPOGRAPHIC)
_IBERIAN: Final = (
    ("óíáéã", 0.12), ("çñú", 0.07), ("êõâ", 0.03), ("àüìòùèô", 0.015), ("ÁÉÍÓÚÑÇÃÂÀ¿¡º", 0.006), *_TYPOGRAPHIC,
)  # fmt: skip
_ITALIAN: Final = (("àèòùé", 0.15), ("ì’", 0.1), ("ÈÀÉÒíóáîÙ", 0.005), *_TYPOGRAPHIC)
_NORDIC: Final = (("åäö", 0.2), ("øæ", 0.14), ("ÅÄÖØÆé", 0.012), ("ðþýáíóúÞÍÁÚüàè", 0.005), *_TYPOGRAPHIC)
_POLISH: Final = (("łąę", 0.16), ("óżś", 0.11), ("ćńź", 0.045), ("ŁŚŻÓĆŹ", 0.008), *_TYPOGRAPHIC)
_CZECH: Final = (
    ("áíé", 0.13), ("ěščřžýů", 0.07), ("úťďňľôĺŕä", 0.012), ("ŠČŘŽÚÝÁÍÉ", 0.005), *_TYPOGRAPHIC,
)  # fmt: skip
_HUNGARIAN: Final = (("áé", 0.3), ("öóő", 0.09), ("üíúű", 0.045), ("ÁÉÖÓŐÜÍÚŰ", 0.005), *_TYPOGRAPHIC)
_ROMANIAN: Final = (("ăîâ", 0.18), ("şţ", 0.16), ("ŞŢÎÂĂ", 0.01), ("á", 0.001), *_TYPOGRAPHIC)
_SOUTH_SLAVIC: Final = (("čšž", 0.25), ("ćđ", 0.1), ("ČŠŽĆĐ", 0.01), ("áéí", 0.001), *_TYPOGRAPHIC)
_TURKISH: Final = (("ı", 0.3), ("üşğ", 0.12), ("çö", 0.08), ("İ", 0.05), ("ŞÇÖÜĞâîû", 0.008), *_TYPOGRAPHIC)
_RUSSIAN: Final = (
    ("о", 0.11), ("еа", 0.083), ("инт", 0.068), ("с", 0.055), ("рвл", 0.046), ("кмдпу", 0.03), ("яыьгзб", 0.018),
    ("чй", 0.013), ("хж", 0.0095), ("шю", 0.007), ("цщэф", 0.0035), ("ё", 0.001),
    ("іїєґў", 0.004), ("ОПВСНКАТМИРДГЕБЗЛЯУФЭЧ", 0.0018), ("ХЖШЮЦЩЙЁЬЫЪъІЇЄ№", 0.0006), ("«»—–„“”…’\xa0§", 0.0025),
)  # fmt: skip
_GREEK: Final = (
    ("αοιετσν", 0.07), ("ηυρπκμλςωόάίέή", 0.025), ("δγχθφβύώξζψ", 0.009), ("ΑΕΟΤΗΠΣΚΜΝΔΙΓΛΡΥΘΦΧΒΆΈΉΌΏ", 0.0015),
    ("«»·’–—…\xa0", 0.002), ("ϊϋΐΰΪΫ", 0.0005),
)  # fmt: skip
_HEBREW: Final = (("יוהלאתרמשבנ", 0.06), ("דחעםקפכגטזןסצךףץ", 0.02), ("״׳–־₪", 0.001))
_ARABIC: Final = (
    ("اليمنترو", 0.065), ("هبعدةسفكقحأجشصطى", 0.02), ("خإذزضظغثئءآؤ،؟؛ـ", 0.006), ("ًٌٍَُِّْ", 0.001),
    ("پچژگکی", 0.003),
)  # fmt: skip
_THAI: Final = (
    ("านรอกเงมยลวดทสตะปบคแ่้ีัิ", 0.03), ("หำุชูจพโไใข็ึผถซ์ื", 0.012), ("ณธศฉษภฟญฐฝๆฆฮฬ", 0.003), ("๐๑๒๓๔๕๖๗๘๙ฯ", 0.001)
)  # fmt: skip
_LATIN: Final = {
    "english": _ENGLISH, "french": _FRENCH, "german": _GERMAN, "iberian": _IBERIAN, "italian": _ITALIAN,
    "nordic": _NORDIC, "polish": _POLISH, "czech": _CZECH, "hungarian": _HUNGARIAN, "romanian": _ROMANIAN,
    "south_slavic": _SOUTH_SLAVIC, "turkish": _TURKISH,
}  # fmt: skip
_MISPLACED: Final = re.compile(r"ς(?=\w)|σ\b|[ךםןףץ](?=[א-ת])|[เแโใไ](?![ก-ฮ])|(?<![ก-ฮ])[ัิีึืุู]|(?<![ก-ฮัิีึืุู])[็-๎]")
"""Letters that end words inside of them, one that does not at an end; Thai vowels and tones without a consonant."""
_MIXED: Final = re.compile(r"[ß-öø-ÿа-џα-ώ](?=[À-ÖØ-ÞЀ-ЯΑ-Ϋ])")  # a capital behind a small letter
_HIGH: Final = r"[^\W\d_\x00-\x7f]"
_AMONG_ASCII: Final = re.compile(rf"{_HIGH}(?={_HIGH})")
_AMONG_OTHERS: Final = re.compile(rf"[A-Za-z](?={_HIGH})|{_HIGH}(?=[A-Za-z])")


@dataclass(frozen=True)
class _Script:
    """What texts of a script are made of."""

    chances: Mapping[str, float]
    """Logarithm of the chance of each sign beyond ASCII."""
    beside_ascii: bool
    """Its letters stand among ASCII letters."""
    others: tuple[int, int, float] = (0, -1, 0.0)
    """First and last code point of further signs, and the logarithm of the chance of each."""


def _script(classes: Iterable[tuple[str, float]], *, beside_ascii: bool = False) -> _Script:
    """Takes signs with the chance of each one."""
    chances: dict[str, float] = {}
    for signs, chance in classes:
        for sign in signs:
            chances.setdefault(sign, math.log(chance))
    return _Script(chances, beside_ascii)


_HAN_SIGNS: Final = "".join(map(chr, range(0x4E00, 0x9FA6)))
_HANGUL_SIGNS: Final = "".join(map(chr, range(0xAC00, 0xD7A4)))


def _square(encoding: str, first: int, last: int, signs: str = _HAN_SIGNS, least: int = 0) -> str:
    """Answers those of `signs` whose first byte is one from `first` to `last` and whose second is `least` or more."""
    data = signs.encode(encoding, "ignore")
    places = zip(data.decode(encoding), data[::2], data[1::2], strict=True)
    return "".join(sign for sign, lead, second in places if first <= lead <= last and second >= least)


def _shared(signs: str, mass: float) -> tuple[str, float]:
    """Answers a class whose signs share a chance."""
    return signs, mass / len(signs)


def _scripts() -> dict[str, _Script]:
    kana = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7))))
    wide = "".join(map(chr, range(0xFF01, 0xFF5F)))
    half = "".join(map(chr, range(0xFF61, 0xFFA0)))
    boxes = "─│┌┐└┘├┤┬┴┼═║①②③④⑤⑥⑦⑧⑨⑩●○■□◆◇★☆※→←↑↓℃％‰×÷±"
    simple = (
        _shared(_HANS, 0.55), _shared(_CJK_POINTS, 0.12), _shared(_square("gb2312", 0xB0, 0xD7), 0.3),
        _shared(_square("gb2312", 0xD8, 0xF7), 0.015), _shared(wide, 0.01), _shared(boxes, 0.005),
        _shared(_square("gbk", 0x81, 0xA0), 0.002), _shared(kana, 0.001),
    )  # fmt: skip
    traditional = (
        _shared(_HANT, 0.55), _shared(_CJK_POINTS, 0.12), _shared(_square("big5", 0xA4, 0xC6), 0.3),
        _shared(_square("big5", 0xC9, 0xF9), 0.015), _shared(wide, 0.01), _shared(boxes, 0.005), _shared(kana, 0.001),
    )  # fmt: skip
    japanese = (
        _shared(kana, 0.55), _shared(_JAPANESE_POINTS, 0.1), _shared(_KANJI, 0.17),
        _shared(_square("shift_jis", 0x88, 0x97), 0.15), _shared(_square("shift_jis", 0x98, 0xEA), 0.005),
        _shared(wide, 0.02), _shared(boxes, 0.005), _shared(half, 0.01),
    )  # fmt: skip
    korean = (
        _shared(_HANGUL, 0.75), _shared(_square("cp949", 0xB0, 0xC8, _HANGUL_SIGNS, 0xA1), 0.23),
        _shared(_CJK_POINTS, 0.02), _shared(_square("cp949", 0xCA, 0xFD), 0.004), _shared(boxes, 0.005),
        _shared(wide, 0.002),
    )  # fmt: skip
    found = {
        "simple": _script(simple), "traditional": _script(traditional), "japanese": _script(japanese),
        "korean": _script(korean), "russian": _script(_RUSSIAN), "greek": _script(_GREEK), "hebrew": _script(_HEBREW),
        "arabic": _script(_ARABIC), "thai": _script(_THAI),
    }  # fmt: skip
    for name, classes in _LATIN.items():
        found[name] = _script(classes, beside_ascii=True)
    found["korean"] = _Script(found["korean"].chances, False, (0xAC00, 0xD7A3, math.log(0.002 / 8_000)))
    return found


_SCRIPTS: Final = _scripts()  # made once, in the process that workers are forked from


class Spelled:
    """A text, weighed."""

    def __init__(self, text: str) -> None:
        """Takes a text as an encoding reads it, U+FFFD where it could not."""
        self._text = text
        self._all_capitals = text.isupper()
        self._signs = Counter(text.lower() if self._all_capitals else text)
        self._torn: dict[bool, int] = {}

    def mean(self, script: str) -> float:
        """Answers the likelihood of a sign beyond ASCII; that of a few signs says nothing, it is very small."""
        plain = sum(count for sign, count in self._signs.items() if ord(sign) in _ASCII)
        others = self._signs.total() - plain
        return (self.likelihood(script) - plain * _PLAIN) / others if others >= _ENOUGH else _REPLACED

    def likelihood(self, script: str) -> float:
        """Answers the logarithm of the chance that a text of a script is this one."""
        model = _SCRIPTS[script]
        first, last, further = model.others
        total = letters = 0.0
        for sign, count in self._signs.items():
            code = ord(sign)
            if code in _ASCII:
                total += count * _PLAIN
            elif sign == "\ufffd" or code < 0xA0:
                total += count * _REPLACED
            else:
                letters += count
                total += count * model.chances.get(sign, further if first <= code <= last else _STRANGE)
        if self._all_capitals:
            total -= letters * _CAPITALS
        if model.beside_ascii not in self._torn:
            self._torn[model.beside_ascii] = _torn(self._text, beside_ascii=model.beside_ascii)
        return total + _TORN * self._torn[model.beside_ascii]


def _torn(text: str, *, beside_ascii: bool) -> int:
    """Counts letters that do not stand where they are."""
    wrong = (_MIXED, _AMONG_ASCII) if beside_ascii else (_MIXED, _AMONG_OTHERS, _MISPLACED)
    return sum(len(pattern.findall(text)) for pattern in wrong)

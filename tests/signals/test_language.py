"""The language of a prompt: coarse, and silent where it cannot tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.signals.language import language_group


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I get a stain out of a white shirt?", "en"),
        ("Wie bekomme ich den Fleck aus dem Hemd, und was ist mit der Hose?", "de"),
        ("Comment enlever une tache de vin sur une chemise et dans le pantalon ?", "fr"),
        ("¿Cómo puedo quitar una mancha de vino de la camisa y con qué?", "es"),
        (
            "Come posso togliere la macchia di vino dalla camicia, e che cosa è meglio per il resto?",
            "it",
        ),
        ("帮我数一下这句话有几个字", "zh"),
        ("このシャツのしみを取るにはどうすればいいですか", "ja"),
        ("셔츠에 묻은 얼룩은 어떻게 지우나요", "ko"),
        ("Как вывести пятно с белой рубашки?", "cyrillic"),
        ("كيف أزيل البقعة عن القميص الأبيض", "arabic"),
        ("मैं कमीज से दाग कैसे हटाऊं", "devanagari"),
        ("Explain what 我 means in this sentence and how it is used.", "en"),
    ],
)
def test_languages_are_told(text: str, language: str) -> None:
    assert language_group(text) == language


@pytest.mark.parametrize(
    "text", ["", "hi", "ok thanks", "x = y + z; return x", "12345 67890 12345", "?" * 99]
)
def test_what_does_not_tell_says_nothing(text: str) -> None:
    assert language_group(text) is None


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    found = language_group(text)
    assert found is None or found.isalpha()

"""What two texts that answer one request show: signs, distances, JSON, tools, numbers."""

from __future__ import annotations

import json
import math
import re
import time

import numpy as np
import pytest

from nibai.predictions import COSINE, JSON_VALID
from nibai.texts.chat import TextAnswer, ToolCall, chat_answer, same_arguments, same_tools
from nibai.texts.distances import MAX_EDIT_TOKENS, chrf, edit_distance, token_distance
from nibai.texts.json_answers import NOT_JSON, canonical, parsed
from nibai.texts.language import language
from nibai.texts.numbers import final_number, same_number
from nibai.texts.pairs import (
    ARGUMENTS_CHANGED,
    CHRF,
    EDIT_DISTANCE,
    EMPTY,
    FINISH,
    FIRST_DIFFERENCE,
    JSON_PARSES,
    LANGUAGE_CHANGED,
    LENGTH_RATIO,
    NUMBER_CHANGED,
    REFUSED,
    REPETITION,
    TOOL_ARGUMENTS_VALID,
    TOOL_CALL,
    TOOLS_CHANGED,
    Looking,
    said,
    text_columns,
)
from nibai.texts.signs import loops, refuses
from nibai.texts.tokens import shared_prefix, tokens


def flips(baseline, candidate, looking=None):
    old, new = text_columns(baseline, candidate, looking).answers
    return [one != other for one, other in zip(old, new, strict=True)]


# -- distances ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)],
)
def test_edit_distance_of_known_words(one, other, edits):
    assert edit_distance(one, other) == edits


def test_the_edit_distance_of_long_texts_is_capped_after_what_they_share():
    shared = ["same"] * 1_000
    one, other = [[*shared, *(f"{side}{i}" for i in range(5_000))] for side in "ab"]
    assert token_distance(one, other) == MAX_EDIT_TOKENS / (1_000 + MAX_EDIT_TOKENS)


def test_equal_texts_are_no_edit_apart_and_strangers_one_edit_per_token():
    assert token_distance(["a", "b"], ["a", "b"]) == 0
    assert token_distance([], []) == 0
    assert token_distance(["a", "b"], ["c"]) == 1


def test_chrf_is_that_of_sacrebleu():
    # sacrebleu 2.5: CHRF(eps_smoothing=False).sentence_score(new, [old])
    old = "the cat sat on the mat"
    assert chrf(old, "the cat sat on a mat") == pytest.approx(0.6597965990995549, abs=1e-12)
    assert chrf(old, old) == pytest.approx(1.0)
    assert chrf(old, "xyz") == 0
    assert chrf("", "") == 1
    assert chrf(old, "") == 0


def test_where_texts_part():
    assert shared_prefix(tokens("It is a cat."), tokens("It is a dog.")) == 3
    assert shared_prefix(tokens("Yes"), tokens("Yes, it is")) == 1


# -- signs of one answer --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m very sorry, I cannot assist with this request.",
        "I cannot provide medical advice.",
        "I am unable to open links.",
        "As an AI language model, I don't have opinions and cannot vote.",
        "That would be against my guidelines.",
        "Es tut mir leid, aber ich kann das nicht beantworten.",
        "Lo siento, pero no puedo ayudar con eso.",
        "Je suis désolé, mais je ne peux pas répondre.",
        "申し訳ありませんが、お答えできません。",
    ],
)
def test_refusals_are_seen(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can't wait to show you the results.",
        "Sorry to hear that! Here is a recipe.",
        "You cannot provide an empty list here.",
        "",
        "word " * 200 + "I cannot help with that.",
    ],
)
def test_other_answers_are_no_refusals(text):
    assert not refuses(text)


def test_loops_are_seen_and_tables_and_lists_are_not():
    assert loops(tokens("It works. " + "very " * 30))
    assert loops(tokens("The answer is no. And then " * 6))
    assert not loops(tokens("no no no no"))
    assert not loops(tokens("| --- | --- | --- | --- | --- | --- | --- |"))
    assert not loops(tokens(" ".join(f"step {i} of the plan" for i in range(40))))


def test_a_unit_of_sixteen_tokens_is_the_longest_that_is_seen():
    words = [f"w{i}" for i in range(17)]
    assert loops(words[:16] * 4)
    assert not loops(words[:16] * 3 + words[:15])
    assert not loops(words * 6)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The model that you have asked for is not in this list of ours.", "en"),
        (
            "Das ist nicht der Fall, denn die Antwort wird durch das Modell auf Deutsch gegeben.",
            "de",
        ),
        ("Les réponses sont dans le texte qui est sur la page avec une image pour vous.", "fr"),
        ("Los datos son del servidor y no se han perdido, pero los resultados como tales.", "es"),
        ("Questo modello è stato addestrato per non sbagliare, il che è anche utile.", "it"),
        ("Os dados não foram perdidos, mas o modelo com uma resposta mais longa são bons.", "pt"),
        ("Het model is niet te zien op de pagina, dat wordt later voor een klant gedaan.", "nl"),
        ("Это ответ на вопрос пользователя.", "cyrillic"),
        ("二倍速いというのは本当ですか。", "ja"),
        ("这个模型的速度真的快了两倍吗?", "zh"),
        ("정말 두 배 빠른가요? 확인해 봅시다.", "ko"),
        ("نعم، هذا صحيح تماما", "arabic"),
        ("def f(x): return x + 1", ""),
        ("Yes.", ""),
        ("", ""),
    ],
)
def test_languages_are_guessed_or_left_open(text, code):
    assert language(text) == code


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("So 12 apples.\n#### 1,234", 1234.0),
        ("we get \\boxed{-3.5} after 7 steps", -3.5),
        ("The answer is $42. That took 3 steps.", 42.0),
        ("3, 4 and then 5.", 5.0),
        ("about 1e-3 seconds", 0.001),
        ("from −7", -7.0),  # a true minus sign
        ("GPT4 v1.2.3", None),
        ("none", None),
        ("1e999", None),
    ],
)
def test_the_final_number(text, number):
    found = final_number(text)
    if text.startswith("GPT4"):  # versions are read as whatever numbers they hold
        assert found is None or math.isfinite(found)
    else:
        assert found == number


def test_numbers_are_equal_up_to_rounding():
    assert same_number(1 / 3, 0.33333333)
    assert not same_number(42.0, 42.1)
    assert same_number(None, None)


# -- JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["{", "{'a': 1}", "NaN", '{"a": Infinity}', "```json\n{}\n```", "", "[1,]", "[" * 100_000],
)
def test_what_a_strict_reader_refuses_is_not_json(text):
    assert parsed(text) is NOT_JSON


def test_deep_answers_are_not_json_and_brackets_in_strings_are_not_depth():
    assert parsed("[" * 101 + "]" * 101) is NOT_JSON
    assert parsed("[" * 100 + "]" * 100) is not NOT_JSON
    assert parsed(json.dumps(["[{" * 200])) == ["[{" * 200]


def test_numbers_too_long_for_an_integer_do_not_break_the_reader():
    assert parsed("9" * 10_000) == math.inf


def test_hostile_texts_take_linear_time():
    texts = [
        '"' + '\\"' * 10_000 + "[" * 200,
        "[" * 20_000,
        '{"a":' * 5_000,
        "-" * 20_000,
        "1," * 10_000,
    ]
    started = time.process_time()
    for text in texts:
        text_columns([text], [text + "x"], Looking(json=True))
        text_columns([text], [text + "x"])
    assert time.process_time() - started < 5


def test_canonical_json_keeps_true_apart_from_one():
    assert canonical(parsed('{"a": 1.0, "b": [true]}')) == '{"a":1,"b":[true]}'
    assert canonical(parsed("true")) != canonical(parsed("1"))


def test_json_answers_flip_when_their_value_does():
    looking = Looking(json=True)
    old = ['{"a": 1, "b": 2}', '{"a": 1}', "not json", "not json"]
    new = ['{"b":2.0,"a":1}', '{"a": 2}', "not  json", "{}"]
    assert flips(old, new, looking) == [False, True, False, True]
    assert flips(old[:1], new[:1]) == [True]  # as texts they differ


def test_json_signals_tell_parsing_from_fitting():
    looking = Looking(json=True, fits=lambda value: isinstance(value, dict))
    found = text_columns(["{}", "[]", "x"], ["{}", "{}", "{}"], looking)
    assert [side.tolist() for side in found.signals[JSON_PARSES]] == [[1, 1, 0], [1, 1, 1]]
    assert [side.tolist() for side in found.signals[JSON_VALID]] == [[1, 0, 0], [1, 1, 1]]
    assert JSON_VALID not in text_columns(["{}"], ["{}"]).signals


# -- chat answers ---------------------------------------------------------------------------


def body(content="", reason="stop", calls=None, tokens_used=None):
    message = {"role": "assistant", "content": content}
    if calls is not None:
        message["tool_calls"] = [
            {"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in calls
        ]
    usage = {} if tokens_used is None else {"usage": {"completion_tokens": tokens_used}}
    return {"choices": [{"message": message, "finish_reason": reason}], **usage}


def test_chat_answers_are_read():
    found = chat_answer(body("Hi", "tool_calls", [("add", '{"a": 1}')], 7))
    assert found == TextAnswer("Hi", "tool_calls", (ToolCall("add", '{"a": 1}'),), 7)
    assert chat_answer({"choices": [{"text": "Hi", "finish_reason": "length"}]}) == TextAnswer(
        "Hi", "length"
    )
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert chat_answer(body(parts)).text == "ab"
    old_form = {"choices": [{"message": {"content": None, "function_call": {"name": "f"}}}]}
    assert chat_answer(old_form).tool_calls == (ToolCall("f", "{}"),)


@pytest.mark.parametrize(
    "broken",
    [None, 3, "text", [], {}, {"choices": []}, {"choices": [3]}, {"choices": [{"message": 3}]}],
)
def test_other_bodies_are_no_chat_answers(broken):
    assert chat_answer(broken) is None


@pytest.mark.parametrize("odd", [{"tool_calls": [3, {"function": 3}]}, {"tool_calls": "x"}])
def test_odd_tool_calls_are_left_out(odd):
    assert chat_answer({"choices": [{"message": odd}]}).tool_calls == ()


def test_tools_are_compared_by_name_and_by_what_their_arguments_say():
    one = (ToolCall("add", '{"a": 1, "b": 2}'),)
    assert same_arguments(one, (ToolCall("add", '{"b":2,"a":1.0}'),))
    assert not same_arguments(one, (ToolCall("add", '{"a": 1}'),))
    assert not same_tools(one, (ToolCall("sub", '{"a": 1, "b": 2}'),))
    assert not same_tools(one, one + one)


def test_tool_signals_and_events():
    old = [chat_answer(body(calls=[("f", '{"a": 1}')])) for _ in range(4)] + [
        chat_answer(body("x"))
    ]
    new = [
        chat_answer(body(calls=[("f", '{"a":1}')])),
        chat_answer(body(calls=[("f", '{"a": 2}')])),
        chat_answer(body(calls=[("g", '{"a": 1}')])),
        chat_answer(body(calls=[("f", "{a: 1}")])),
        chat_answer(body("x")),
    ]
    found = text_columns(old, new)
    assert [a != b for a, b in zip(*found.answers, strict=True)] == [False, True, True, True, False]
    assert found.events[TOOLS_CHANGED].tolist() == [0, 0, 1, 0, -1]
    assert found.events[ARGUMENTS_CHANGED].tolist() == [0, 1, -1, 1, -1]
    assert [side.tolist() for side in found.signals[TOOL_ARGUMENTS_VALID]] == [
        [1, 1, 1, 1, -1],
        [1, 1, 1, 0, -1],
    ]
    assert found.signals[TOOL_CALL][0].tolist() == [1, 1, 1, 1, 0]


def test_finish_reasons_are_signals_of_the_pairs_that_tell_them():
    old = [chat_answer(body("a")), chat_answer(body("a")), TextAnswer("a")]
    new = [chat_answer(body("a", "length")), chat_answer(body("a", "odd")), TextAnswer("a")]
    found = text_columns(old, new).signals
    assert [side.tolist() for side in found[FINISH + "length"]] == [[0, 0, -1], [1, 0, -1]]
    assert [side.tolist() for side in found[FINISH + "other"]] == [[0, 0, -1], [0, 1, -1]]
    assert FINISH + "length" not in text_columns(["a"], ["a"]).signals


# -- pairs ----------------------------------------------------------------------------------


def test_only_white_space_may_differ():
    old, new = ["a b", "a b", "a", ""], [" a\n\tb ", "a  B", "a.", "  "]
    assert flips(old, new) == [False, True, True, False]


def test_signals_events_and_numbers_of_texts():
    stuck = "I see. " + "and so on " * 12
    old = ["The total is 12 of it.", "Yes, that is fine for you and the team.", "", "a b"]
    new = ["The total is 13 of it.", "Ja, das ist gut für dich und das Team.", stuck, "a c d"]
    found = text_columns(old, new)
    assert [side.tolist() for side in found.signals[EMPTY]] == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert found.signals[REPETITION][1].tolist() == [0, 0, 1, 0]
    assert found.events[NUMBER_CHANGED].tolist() == [1, -1, -1, -1]
    assert found.events[LANGUAGE_CHANGED].tolist() == [0, 1, -1, -1]
    assert found.numbers[FIRST_DIFFERENCE].tolist() == [3, 0, 0, 1]
    assert found.numbers[LENGTH_RATIO][3] == 1.5
    assert math.isnan(found.numbers[LENGTH_RATIO][2])  # of an empty answer
    assert found.numbers[EDIT_DISTANCE][3] == pytest.approx(2 / 3)
    assert 0 < found.numbers[CHRF][0] < 1


def test_pairs_that_agree_are_nothing_apart():
    found = text_columns(["same 1", "x"], ["same  1", "x"])
    assert found.numbers[EDIT_DISTANCE].tolist() == [0, 0]
    assert found.numbers[CHRF].tolist() == [1, 1]
    assert np.isnan(found.numbers[FIRST_DIFFERENCE]).all()


def test_the_models_own_token_counts_win():
    found = text_columns([TextAnswer("a b c", length=10)], [TextAnswer("a b c", length=30)])
    assert found.numbers[LENGTH_RATIO].tolist() == [3.0]


def test_no_pairs_are_no_problem():
    found = text_columns([], [])
    assert found.answers == ([], [])
    assert all(values.shape == (0,) for values in found.numbers.values())


def test_an_encoder_of_the_users_gives_cosines():
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0], "": [0.0, 0.0]}
    looking = Looking(encode=lambda texts: np.array([vectors[text] for text in texts]))
    cosines = text_columns(["a", "a", "a"], ["a", "b", ""], looking).numbers[COSINE]
    assert cosines[:2].tolist() == [1.0, 0.0]
    assert math.isnan(cosines[2])


def test_a_refusal_pattern_of_the_users():
    looking = Looking(refusal=re.compile("NO CAN DO"))
    assert text_columns(["NO CAN DO"], ["I cannot help."], looking).signals[REFUSED][
        0
    ].tolist() == [1]


def test_tool_calls_cannot_be_faked_by_text():
    call = TextAnswer("", tool_calls=(ToolCall("f", "{}"),))
    assert said(call) != said(TextAnswer("f{}"))

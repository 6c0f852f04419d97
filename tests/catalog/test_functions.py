"""The `function:` section of a model file: what it becomes, and what is said of mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from localai.catalog.read import YamlModels, parse_yaml
from localai.wire.call_formats import HERMES, PRESETS
from localai.wire.functions import (
    FunctionSettings,
    Markers,
    Replacement,
    TagFormat,
    Trigger,
    function_settings,
)


def read(section: str) -> YamlModels:
    lines = "\n".join(f"  {line}" for line in section.splitlines())
    return parse_yaml(f"name: a\nfunction:\n{lines}\n", shown="m.yaml", models_path=Path("/m"))


def settings(section: str) -> FunctionSettings:
    """The settings of a section that has nothing wrong with it."""
    models = read(section)
    assert (models.problems, models.warnings) == ((), ())
    return function_settings(models.specs[0].settings)


# Sections of LocalAI's gallery, as they are written there
GALLERY = {
    "hermes-2-pro": """
        disable_no_action: true
        grammar:
          disable: true
          parallel_calls: true
          expect_strings_after_json: true
        json_regex_match:
        - "(?s)<tool_call>(.*?)</tool_call>"
        - "(?s)<tool_call>(.*)"
        capture_llm_results:
          - (?s)<scratchpad>(.*?)</scratchpad>
        replace_llm_results:
          - key: (?s)<scratchpad>(.*?)</scratchpad>
            value: ""
    """,
    "command-r": """
        disable_no_action: true
        grammar:
          mixed_mode: true
          disable_parallel_new_lines: true
        return_name_in_function_response: true
        replace_function_results:
        - key: '(?s)^[^{\\[]*'
          value: ""
        - key: "'([^']*?)'"
          value: "_DQUOTE_${1}_DQUOTE_"
        - key: '\\\\"'
          value: "__TEMP_QUOTE__"
    """,
    "deephermes": """
        disable_no_action: true
        grammar:
          triggers:
          - word: "<tool_call>"
            at_start: false
    """,
    "llama3.1-grammar": r"""
        disable_no_action: true
        grammar:
          no_mixed_free_string: true
          mixed_mode: true
          schema_type: llama3.1 # or JSON is supported too (json)
        response_regex:
        - <function=(?P<name>\w+)>(?P<arguments>.*)</function>
    """,
    "lfm": r"""
        response_regex:
            - '<\|tool_call_start\|>\[(?P<name>\w+)\((?P<arguments>.*?)\)\]<\|tool_call_end\|>'
        argument_regex:
            - '(?P<key>\w+)\s*=\s*"(?P<value>[^"]*)"'
        argument_regex_key_name: key
        argument_regex_value_name: value
    """,
    "today": "grammar: {disable: true}\nautomatic_tool_parsing_fallback: true",
}


@pytest.mark.parametrize("section", GALLERY.values(), ids=GALLERY)
def test_sections_of_the_gallery_are_read_as_they_are(section: str) -> None:
    import textwrap

    settings(textwrap.dedent(section).strip())


def test_every_key_has_its_place() -> None:
    assert settings(
        """
        disable_no_action: false
        no_action_function_name: say
        no_action_description_name: Says it.
        function_name_key: tool
        function_arguments_key: with
        response_regex: ['(?P<tool>\\w+) (?P<with>.*)']
        json_regex_match: ['<a>(.*)', b]
        argument_regex: ['(?P<k>.) (?P<v>.)']
        argument_regex_key_name: k
        argument_regex_value_name: v
        replace_function_results: [{key: a, value: b}]
        replace_llm_results: [{key: c}]
        capture_llm_results: <x>(.*)</x>
        grammar:
          disable: yes
          parallel_calls: no
          disable_parallel_new_lines: true
          mixed_mode: true
          no_mixed_free_string: true
          prefix: "<a>\\n"
          expect_strings_after_json: true
          properties_order: "name, arguments,city"
          schema_type: LLAMA3.1
          triggers: [{word: <a>, at_start: true}, {word: b}]
        """.replace("\n        ", "\n").strip()
    ) == FunctionSettings(
        disable_no_action=False,
        no_action_function_name="say",
        no_action_description_name="Says it.",
        function_name_key="tool",
        function_arguments_key="with",
        response_regex=(r"(?P<tool>\w+) (?P<with>.*)",),
        json_regex_match=("<a>(.*)", "b"),
        argument_regex=("(?P<k>.) (?P<v>.)",),
        argument_regex_key_name="k",
        argument_regex_value_name="v",
        replace_function_results=(Replacement("a", "b"),),
        replace_llm_results=(Replacement("c"),),
        capture_llm_results=("<x>(.*)</x>",),
        grammar_disable=True,
        grammar_parallel_calls=False,
        grammar_disable_parallel_new_lines=True,
        grammar_mixed_mode=True,
        grammar_no_mixed_free_string=True,
        grammar_prefix="<a>\n",
        grammar_expect_strings_after_json=True,
        grammar_properties_order=("name", "arguments", "city"),
        grammar_schema_type="llama3.1",
        grammar_triggers=(Trigger("<a>", at_start=True), Trigger("b")),
    )


def test_older_spellings() -> None:
    found = settings(
        "no_grammar: true\nparallel_calls: true\nreturn_name_in_function_response: true"
    )
    assert found == FunctionSettings(grammar_disable=True, grammar_parallel_calls=True)


@pytest.mark.parametrize("name", PRESETS)
def test_formats_have_names(name: str) -> None:
    found = settings(f"xml_format_preset: {name}")
    assert found.format == PRESETS[name]
    assert found.further_formats == ()


def test_the_fallback_adds_all_formats() -> None:
    found = settings("xml_format_preset: glm-4.5\nautomatic_tool_parsing_fallback: true")
    assert found.format == PRESETS["glm-4.5"]
    assert HERMES in found.further_formats
    assert found.format not in found.further_formats
    assert set(PRESETS.values()) <= {found.format, *found.further_formats}


def test_a_format_can_be_described() -> None:
    found = settings(
        "xml_format:\n  tool_start: '<call '\n  tool_sep: '>'\n  tool_end: </call>\n"
        "  key_start: '<'\n  key_val_sep: '>'\n  val_end: </>\n  last_val_end: ''\n"
        "  raw_argval: true\n  trim_raw_argval: true\n  key_val_sep2: ~"
    )
    assert found.format == TagFormat(
        tool_start="<call ", tool_sep=">", tool_end="</call>", key_start="<", key_val_sep=">",
        val_end="</>", last_val_end="", raw_argval=True, trim_raw_argval=True,
    )  # fmt: skip


def test_a_format_whose_parts_are_json_is_read_as_json() -> None:
    kimi = settings(
        "xml_format:\n  tool_start: <b>\n  tool_sep: '<c>{'\n  key_start: '\"'\n"
        "  key_val_sep: '\":'\n  val_end: ','\n  last_val_end: ''\n  tool_end: '}<e>'"
    )
    assert kimi.format == TagFormat(
        tool_start="<b>", tool_sep="<c>", tool_end="<e>", last_val_end=""
    )
    mimo = settings(
        'xml_format:\n  tool_start: "<t>\\n{\\"name\\": \\""\n  tool_sep: \'", "arguments": {\'\n'
        "  key_start: '\"'\n  key_val_sep: '\": '\n  val_end: ', '\n  tool_end: \"}\\n</t>\""
    )
    assert mimo.format == Markers("<t>", "</t>")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("response_regex:\n  - (?P<name>a)\n  - (b", "m.yaml:5: function.response_regex: '(b' is no"),
        ("response_regex: [a]", "m.yaml:3: function.response_regex: 'a' has no group (?P<name>...)"),
        ("function_name_key: do\nresponse_regex: [a]", "has no group (?P<do>...)"),
        ("json_regex_match: ['(?=a)']", "m.yaml:3: function.json_regex_match: '(?=a)' is no pattern"),
        ("capture_llm_results: '*'", "missing argument to repetition operator"),
        ("argument_regex: ['(?P<key>a)']", "has no group (?P<value>...)"),
        ("argument_regex: ['(?P<key>.)(?P<value>.)']\nargument_regex_key_name: k", "(?P<k>...)"),
        ("replace_llm_results: [a]", "each entry is one of the mappings with `key` and `value`"),
        ("replace_llm_results: a", "a list of mappings with `key` and `value` is needed"),
        ("replace_llm_results:\n- key: a\n- value: b", "m.yaml:5: function.replace_llm_results: each"),
        ("replace_function_results: [{key: '['}]", "'[' is no pattern: missing closing ]"),
        ("replace_function_results: [{key: a, vlaue: b}]", "'vlaue' is none of key, value"),
        ("xml_format_preset: qwen", "'qwen' is none of functionary,"),
        ("xml_format: x", "a mapping of the format's parts is needed"),
        ("xml_format: {tool_sep: a}", "`tool_start` is missing"),
        ("xml_format: {tool_start: a}", "`tool_sep` is missing"),
        ("xml_format: {tool_start: a, key_start: b}", "`key_start` needs `key_val_sep` and `val_end`"),
        ("xml_format:\n  tool_start: a\n  tool_end: [b]", "m.yaml:5: function.xml_format: this is a list"),
        ("xml_format: {tool_begin: a}", "'tool_begin' is none of"),
        (
            "xml_format: {tool_start: '{\"name\": \"', tool_sep: a, key_start: '\"', key_val_sep: b, val_end: c}",
            "calls in plain JSON are found without a format",
        ),
        ("disable_no_action: maybe", "'maybe' is neither true nor false"),
        ("function_name_key: [a]", "this is a list; a text is needed"),
        ("function_name_key: arguments", "is the same as the key of the name"),
        ("grammar: x", "function.grammar: a mapping of keys to values is needed"),
        ("grammar: {schema_type: xml}", "function.grammar.schema_type: 'xml' is none of json, llama3.1"),
        ("grammar: {triggers: [{at_start: true}]}", "each entry needs a `word`"),
        ("grammar: {triggers: [a]}", "each entry is one of the mappings with a `word`"),
        (f"json_regex_match: [{', '.join('a' * 51)}]", "a list of at most 50 entries is needed"),
        (f"json_regex_match: ['{'a' * 20_000}']", "a pattern has at most 10000 characters"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_problem_with_its_place(section: str, says: str) -> None:
    models = read(section)
    (problem,) = models.problems
    assert says in problem
    assert models.specs == ()


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("gramar: {}", "function.gramar: unknown key; did you mean grammar?"),
        (
            "grammar: {prefixes: a}",
            "function.grammar.prefixes: unknown key; did you mean prefix?",
        ),
        ("disable_peg_parser: true", "function.disable_peg_parser: has no effect"),
    ],
)
def test_what_has_no_effect_is_a_warning(section: str, says: str) -> None:
    models = read(section)
    (warning,) = models.warnings
    assert says in warning
    assert len(models.specs) == 1


def test_what_says_nothing_changes_nothing() -> None:
    assert (
        settings("disable_peg_parser: false\nresponse_regex: []\ngrammar: {prefix: }")
        == FunctionSettings()
    )

"""The table of features: what each API can do, each cell with a test that asks a live server.

A test says with the mark `covers` which row it stands behind, and in which columns. A column that
an API has nothing for says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EVERY_API = {
    "chat": "OpenAI chat",
    "completions": "OpenAI completions",
    "responses": "Responses",
    "messages": "Anthropic",
    "ollama": "Ollama",
}
TALKS = {key: name for key, name in EVERY_API.items() if key != "completions"}
_NO_FIELD = "the API has no field for it"
_ONLY_BASE64 = "its images are base64 only"
_OURS = "a field that LocalAI added to OpenAI's API"


@dataclass(frozen=True)
class Row:
    """A feature. `without` says of a column why the API has nothing of it."""

    name: str
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A table; a single column has no name of its own."""

    title: str
    columns: Mapping[str, str]
    rows: tuple[Row, ...]


def _rows(*names: str) -> tuple[Row, ...]:
    return tuple(Row(name) for name in names)


SECTIONS: tuple[Section, ...] = (
    Section(
        "Answers",
        EVERY_API,
        (
            Row("The answer, whole or as it is made"),
            Row("True counts of tokens"),
            Row("A limit of tokens, which is told as the end"),
            Row("Texts that end the answer"),
            Row("Log probabilities", {"messages": _NO_FIELD}),
            Row("A seed, which makes an answer repeatable", {"messages": _NO_FIELD}),
            Row("Biases of tokens", {"messages": _NO_FIELD, "ollama": _NO_FIELD}),
            Row(
                "Several answers at once",
                dict.fromkeys(("responses", "messages", "ollama"), _NO_FIELD),
            ),
            Row("Errors in the API's own form"),
        ),
    ),
    Section(
        "Tools",
        TALKS,
        (
            Row("A call, its result, and the answer"),
            Row("The model may call or answer"),
            Row("No call where none is wanted", {"ollama": _NO_FIELD}),
            Row("A call is guaranteed where one is required", {"ollama": _NO_FIELD}),
            Row("A named function is guaranteed to be called", {"ollama": _NO_FIELD}),
            Row("Several calls in one turn, each with its id"),
            Row("At most one call, if wanted", {"ollama": _NO_FIELD}),
            Row(
                "Arguments come in pieces, which together are JSON",
                {"ollama": "its lines hold whole calls"},
            ),
            Row("Arguments of a strict tool obey all of its schema", {"ollama": _NO_FIELD}),
            Row(
                "A strict tool that cannot be obeyed is refused with the place",
                {"ollama": _NO_FIELD},
            ),
            Row("Models whose template knows no tools"),
            Row(
                "Older `functions` and `function_call`",
                dict.fromkeys(("responses", "messages", "ollama"), "never was in this API"),
            ),
        ),
    ),
    Section(
        "Forms",
        EVERY_API,
        (
            Row("An answer that obeys a JSON Schema"),
            Row("Any JSON object", {"messages": _NO_FIELD}),
            Row("A schema that cannot be obeyed is refused with the place"),
            *(
                Row(name, dict.fromkeys(("responses", "messages", "ollama"), _OURS))
                for name in (
                    "LocalAI's `grammar`, in GBNF",
                    "LocalAI's `grammar_json_functions`",
                    "A wrong grammar is refused with line and column",
                )
            ),
        ),
    ),
    Section(
        "Thinking",
        TALKS,
        (
            Row("Thoughts stand apart from the answer"),
            Row("A request says whether the model thinks, and how much"),
            Row(
                "`chat_template_kwargs`, `enable_thinking`, and LocalAI's `metadata`",
                dict.fromkeys(("responses", "messages", "ollama"), _OURS),
            ),
        ),
    ),
    Section(
        "Images, sounds and documents",
        TALKS,
        (
            Row("Images as base64"),
            Row("Images by their address", {"ollama": _ONLY_BASE64}),
            Row("Images that were uploaded, by id", {"ollama": _ONLY_BASE64}),
            Row(
                "Addresses that are private are refused, if nobody allows them",
                {"ollama": _ONLY_BASE64},
            ),
            Row(
                "Sounds, for models that hear",
                dict.fromkeys(("responses", "messages", "ollama"), _NO_FIELD),
            ),
            Row("Documents, read as text", {"ollama": _NO_FIELD}),
        ),
    ),
    Section(
        "What a model file decides",
        {"file": ""},
        _rows(
            "The model's own Jinja template, where the file has none",
            "`template.chat`",
            "`template.chat_message`",
            "`template.function`",
            "`template.completion` and `template.edit`",
            "`template.multimodal`",
            "`template.join_chat_messages_by_character`",
            "`template.use_tokenizer_template`",
            "`template.reply_prefix`",
            "A `.tmpl` file beside the model",
            "Pipelines, `range`, `with`, `if`, variables and functions of templates",
            "A template that fails is told with line and column",
            "`roles`",
            "`system_prompt`",
            "`stopwords`",
            "`cutstrings`, `extract_regex`, `trimspace`, `trimsuffix`",
            "`reasoning:`",
            "`function:` with `response_regex`, `json_regex_match` and `argument_regex`",
            "`function:` with an XML preset",
            "`function:` with the pseudo tool that answers (`disable_no_action: false`)",
            "`function.grammar:`",
        ),
    ),
    Section(
        "OpenAI's other routes",
        {"openai": ""},
        _rows(
            "`/v1/embeddings`: order, usage and indexes",
            "`/v1/embeddings`: floats and base64; texts, lists and tokens",
            "`/v1/embeddings`: `dimensions`",
            "`/v1/edits`",
            "`/v1/files`",
        ),
    ),
    Section(
        "Only in Anthropic's API",
        {"anthropic": ""},
        _rows(
            "`system`, as a text or as blocks",
            "Text, calls, results and thoughts as blocks of the history",
            "`stop_reason`, with the `stop_sequence` that came",
            "`/v1/messages/count_tokens`, and counts of the cache in `usage`",
            "Events in their order, from `message_start` to `message_stop`",
            "Arguments of calls as `input_json_delta`",
            "`ping` events while the model is not ready",
            "An `error` event when an answer breaks off",
            "Keys in `x-api-key`",
            "Models in its form",
        ),
    ),
    Section(
        "Only in Open Responses",
        {"openresponses": ""},
        _rows(
            "Texts and items as input",
            "Every field that the specification requires",
            "`instructions`, which the next turn does not inherit",
            "`truncation`, `metadata`, `include`",
            "`status: incomplete`, with its reason",
            "A `sequence_number` in every event",
            "`previous_response_id`, over any number of turns",
            "`store: false` keeps nothing",
            "Conversations",
            "`background`: polled and deleted",
            "`background`: cancelled",
            "`background`: a stream that is resumed with `starting_after`",
            "`input_items`",
            "What is stored survives a kill; what was running has failed, and says so",
            "A time to live of what is stored",
        ),
    ),
    Section(
        "Only in Ollama's API",
        {"ollama-api": ""},
        _rows(
            "`/api/generate`, also `raw`",
            "`/api/embed` and `/api/embeddings`",
            "`/api/tags`, `/api/show`, `/api/ps`, `/api/version`",
            "`keep_alive`",
            "`options`",
            "`num_ctx`",
            "Names with `:latest`",
            "Lines of JSON, the last with counts and durations",
            "`HEAD /` and `GET /`, by which clients look for a server",
        ),
    ),
    Section(
        "Ranking and tokens",
        {"ranking": ""},
        _rows(
            "`/v1/rerank`, as Jina has it, and `/v2/rerank`, as Cohere has it",
            "`/v1/tokenize` and `/v1/detokenize`",
        ),
    ),
    Section("Everywhere", {"every": ""}, _rows("Unknown paths say what exists")),
)

"""Small GGUF files for tests: real ones that the engine loads, with known or random answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for m in messages %}"
    "{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# ChatML with tools, in the form that Hermes and Qwen models were trained on.
HERMES = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {{- "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n" }}
    {{- "You are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and " }}
    {{- "arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n" }}
    {{- "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>" }}
    {{- "<|im_end|>\n" }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "tool" %}
        {{- '<|im_start|>user\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response><|im_end|>\n' }}
    {%- elif message.role == "assistant" and message.tool_calls %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}{{- '\n' + message.content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{\"name\": \"' }}
            {{- tool_call.name }}
            {{- '\", \"arguments\": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}
"""

# The same for models that think: llama.cpp sees from the template where their thoughts stand.
THINKING = HERMES.replace(
    r"'\n' + message.content + '<|im_end|>' + '\n' }}",
    r"""'\n' }}
        {%- if message.role == "assistant" and message.reasoning_content %}
            {{- '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}
        {%- endif %}
        {{- message.content + '<|im_end|>\n' }}""",
).replace(
    r"{{- '<|im_start|>assistant\n' }}",
    r"""{{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}""",
)

HEAD_DIM = 64
END_OF_TEXT, TURN_START, TURN_END = 256, 257, 258
NEWLINE = 10  # the token of byte 10: the vocabulary starts with the 256 bytes in order
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a llama-architecture model."""

    layers: int = 2
    embedding: int = 256
    heads: int = 2
    kv_heads: int = 1
    feed_forward: int = 512


def byte_tokens() -> list[str]:
    """Give GPT-2's printable spelling of each byte, in byte order."""
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)}
    plain |= set(range(ord("®"), ord("ÿ") + 1))
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def make_scripted(
    path: Path | str,
    pieces: Sequence[str],
    *,
    after: Mapping[str, Sequence[str]] | None = None,
    control: Sequence[str] = (),
    template: str | None = HERMES,
    context_length: int = 2048,
    name: str | None = None,
) -> Path:
    """Write a model that answers `pieces`, one token each, whenever its prompt ends in a newline.

    Attention and feed-forward are zero and embeddings one-hot, so the next token depends on the
    last one only: `pieces` in order, then the end of the turn. Pieces must differ from each other
    and from single bytes. `after` has other answers, by the one character that a prompt ends in. `control` are pieces that
    are control tokens, such as the tags of calls in some models.
    """
    spell = byte_tokens()
    answers = {"\n": pieces, **(after or {})}
    said = [piece for answer in answers.values() for piece in answer]
    words = ["".join(spell[byte] for byte in piece.encode()) for piece in said]
    tokens = _padded([*spell, *SPECIAL, *words])
    size = len(tokens)
    shape = Shape(
        layers=1, embedding=size, heads=size // HEAD_DIM, kv_heads=1, feed_forward=HEAD_DIM
    )
    writer = _writer(path, shape, context_length=context_length, name=name)
    marks = [256 + len(SPECIAL) + said.index(piece) for piece in control]
    used = 256 + len(SPECIAL) + len(words)
    _add_vocabulary(writer, tokens, used=used, template=template, control=marks)

    following = np.zeros((size, size), np.float32)  # row: next token; column: last token
    following[TURN_END, :] = 2.0  # RMSNorm scales a one-hot by sqrt(size): a logit of about 36
    first = 256 + len(SPECIAL)
    for begin, answer in answers.items():
        chain = [ord(begin), *range(first, first + len(answer)), TURN_END]
        first += len(answer)
        for last, then in pairwise(chain):
            following[TURN_END, last] = 0.0
            following[then, last] = 2.0
    tensors = {
        name: np.zeros(dims, np.float32) for name, dims in _layer_shapes(shape, layer=0).items()
    }
    tensors["blk.0.attn_norm.weight"] = tensors["blk.0.ffn_norm.weight"] = np.ones(size, np.float32)
    tensors["token_embd.weight"] = np.eye(size, dtype=np.float32)
    tensors["output.weight"] = following
    tensors["output_norm.weight"] = np.ones(size, np.float32)
    return _finish(writer, path, tensors)


def make_tiny_llama(
    path: Path | str,
    *,
    shape: Shape | None = None,
    context_length: int = 2048,
    template: str | None = CHATML,
    seed: int = 0,
    scale: float = 0.08,
    architecture: str = "llama",
    name: str | None = "tiny-random",
) -> Path:
    """Write a llama with random weights: it answers noise, the same noise for the same seed."""
    shape = shape or Shape()
    random = np.random.default_rng(seed)
    writer = _writer(
        path, shape, context_length=context_length, name=name, architecture=architecture
    )
    tokens = _padded([*byte_tokens(), *SPECIAL])
    _add_vocabulary(writer, tokens, used=256 + len(SPECIAL), template=template)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(tokens), shape.embedding),
        "output_norm.weight": (shape.embedding,),
        "output.weight": (len(tokens), shape.embedding),
    }
    for layer in range(shape.layers):
        shapes |= _layer_shapes(shape, layer=layer)
    tensors = {
        name: np.ones(dims, np.float32)
        if name.endswith("norm.weight")
        else (random.standard_normal(dims) * scale).astype(np.float32)
        for name, dims in shapes.items()
    }
    return _finish(writer, path, tensors)


def _padded(tokens: list[str]) -> list[str]:
    if len(set(tokens)) != len(tokens):
        raise ValueError("every token must be different: the engine aborts on duplicates")
    missing = -len(tokens) % HEAD_DIM
    return tokens + [f"<pad{len(tokens) + index}>" for index in range(missing)]


def _layer_shapes(shape: Shape, *, layer: int) -> dict[str, tuple[int, ...]]:
    width, inner = shape.embedding, shape.feed_forward
    kv_width = shape.kv_heads * (width // shape.heads)
    shapes = {
        "attn_norm": (width,),
        "ffn_norm": (width,),
        "attn_q": (width, width),
        "attn_k": (kv_width, width),
        "attn_v": (kv_width, width),
        "attn_output": (width, width),
        "ffn_gate": (inner, width),
        "ffn_up": (inner, width),
        "ffn_down": (width, inner),
    }
    return {f"blk.{layer}.{part}.weight": dims for part, dims in shapes.items()}


def _writer(
    path: Path | str,
    shape: Shape,
    *,
    context_length: int,
    name: str | None,
    architecture: str = "llama",
) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    if name is not None:
        writer.add_name(name)
    writer.add_context_length(context_length)
    writer.add_embedding_length(shape.embedding)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.embedding // shape.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    return writer


def _add_vocabulary(
    writer: gguf.GGUFWriter,
    tokens: list[str],
    *,
    used: int,
    template: str | None,
    control: Sequence[int] = (),
) -> None:
    control = {*range(256, 256 + len(SPECIAL)), *control}
    kinds = [
        gguf.TokenType.CONTROL
        if index in control
        else gguf.TokenType.NORMAL
        if index < used
        else gguf.TokenType.UNUSED
        for index in range(len(tokens))
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h"])  # never applied: "th" is no token; but the key must be there
    writer.add_bos_token_id(END_OF_TEXT)
    writer.add_eos_token_id(TURN_END)
    writer.add_add_bos_token(value=False)
    if template is not None:
        writer.add_chat_template(template)


def _finish(writer: gguf.GGUFWriter, path: Path | str, tensors: dict[str, np.ndarray]) -> Path:
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Path(path)

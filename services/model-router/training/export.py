"""Writes a checkpoint as a GGUF file that llama.cpp loads.

Run from the repository root:
    uv run --group training python services/model-router/training/export.py --from DIR
"""

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from household import model, tokenizer
from numpy.typing import NDArray

TARGET = Path(__file__).parents[1] / "src/ensemble/model_router/embedded/household.gguf"

# The model was trained on single requests in lower case: the template drops what came before the
# last user message, takes markers out of what the user typed and lowers its case.
CHAT_TEMPLATE = (
    "{%- set ns = namespace(first=0) -%}"
    "{%- for m in messages -%}"
    "{%- if m['role'] == 'user' -%}{%- set ns.first = loop.index0 -%}{%- endif -%}"
    "{%- endfor -%}"
    "{%- for m in messages -%}"
    "{%- if loop.index0 >= ns.first and m['role'] in ['user', 'assistant', 'tool'] -%}"
    "{{- '<|im_start|>' + m['role'] + '\n' -}}"
    "{%- if m['role'] == 'user' -%}"
    "{{- m['content'] | lower | replace('<tool_call>', ' ') | replace('</tool_call>', ' ')"
    " | replace('<decline>', ' ') | replace('<|im_start|>', ' ') | replace('<|im_end|>', ' ')"
    " | replace('<|endoftext|>', ' ') | trim -}}"
    "{%- elif m['role'] == 'assistant' and m['tool_calls'] -%}"
    "{%- for c in m['tool_calls'] -%}"
    "{{- '<tool_call>\n{\"name\": \"' + c['function']['name'] + '\", \"arguments\": ' -}}"
    "{%- if c['function']['arguments'] is string -%}{{- c['function']['arguments'] -}}"
    "{%- else -%}{{- c['function']['arguments'] | tojson -}}{%- endif -%}"
    "{{- '}\n</tool_call>' -}}"
    "{%- endfor -%}"
    "{%- else -%}{{- m['content'] -}}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def _paired(matrix: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorders [inputs, outputs] so that rotated halves of a head become neighbouring pairs."""
    inputs, outputs = matrix.shape
    halves = matrix.reshape(inputs, heads, 2, outputs // heads // 2)
    return halves.swapaxes(2, 3).reshape(inputs, outputs)


def write(source: Path, target: Path) -> None:
    """Exports the checkpoint in `source` to `target`; matrices become 16-bit floats."""
    shape = model.Shape(**json.loads((source / "shape.json").read_text()))
    with (source / "checkpoint.pickle").open("rb") as file:
        params: dict[str, Any] = pickle.load(file)[0]
    words = tokenizer.load(source / "tokenizer.json")
    tokens = [words.id_to_token(number) or "" for number in range(shape.vocabulary)]
    kinds = [_kind(token) for token in tokens]

    writer = gguf.GGUFWriter(str(target), "llama")
    writer.add_name("ensemble-household")
    writer.add_description("Household commands to tool calls, and tool results to sentences.")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(model.NORM_EPSILON)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(model.ROPE_BASE)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(tokenizer.merges_of(words))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)

    def matrix(name: str, values: NDArray[np.float32]) -> None:
        writer.add_tensor(f"{name}.weight", np.ascontiguousarray(values, np.float16))

    def gains(name: str, values: NDArray[np.float32]) -> None:
        writer.add_tensor(f"{name}.weight", np.ascontiguousarray(values, np.float32))

    matrix("token_embd", params["embedding"])
    gains("output_norm", params["norm"])
    for number, layer in enumerate(params["layers"]):
        block = f"blk.{number}"
        gains(f"{block}.attn_norm", layer["attention_norm"])
        gains(f"{block}.ffn_norm", layer["feed_norm"])
        matrix(f"{block}.attn_q", _paired(layer["query"], shape.heads).T)
        matrix(f"{block}.attn_k", _paired(layer["key"], shape.heads).T)
        for ours, theirs in (("value", "attn_v"), ("output", "attn_output"), ("gate", "ffn_gate"),
                             ("up", "ffn_up"), ("down", "ffn_down")):  # fmt: skip
            matrix(f"{block}.{theirs}", layer[ours].T)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kind(token: str) -> gguf.TokenType:
    if token in tokenizer.CONTROL:
        return gguf.TokenType.CONTROL
    if token in tokenizer.USER_DEFINED:
        return gguf.TokenType.USER_DEFINED
    return gguf.TokenType.NORMAL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--to", dest="target", type=Path, default=TARGET)
    options = parser.parse_args()
    options.target.parent.mkdir(parents=True, exist_ok=True)
    write(options.source, options.target)
    print(f"{options.target}: {options.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()

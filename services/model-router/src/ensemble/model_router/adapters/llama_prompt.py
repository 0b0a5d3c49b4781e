"""Writes a conversation the way a GGUF's own chat template wants it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ensemble.model_router.domain import Call, Message, Role
from ensemble.model_router.markers import CALL_OPEN, format_call, strip_markers

_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PROBE = "tool-result-probe"
_TOOLS_INTRO = (
    "You may call one of these functions to help with the request:\n<tools>\n{tools}\n</tools>\n"
    "To call one, answer with nothing but\n"
    '<tool_call>\n{{"name": NAME, "arguments": ARGUMENTS}}\n</tool_call>'
)


class PromptWriter:
    """Renders prompts from a model's metadata.

    Args:
        template: Jinja chat template of the GGUF; ChatML when empty.
        bos: Text of the token that begins a document; may be empty.
        eos: Text of the token that ends a turn; may be empty.
        control: Texts of the vocabulary's control tokens; taken out of what people and
            tools say, so that nobody can open a turn of their own.
    """

    def __init__(self, template: str, bos: str, eos: str, control: Sequence[str]) -> None:
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        self._format = Jinja2ChatFormatter(template or _CHATML, eos_token=eos, bos_token=bos)
        self._control = tuple(text for text in control if text)
        self._native_tools = CALL_OPEN in template
        self._tool_role = self._shows_tool_role()

    def write(self, call: Call) -> str:
        """Return the prompt up to and including the answer's committed text."""
        messages = [part for message in call.messages for part in self._message(message)]
        tools = [_function(t.name, t.description, t.schema_json) for t in call.tools]
        if tools and not self._native_tools:
            intro = _TOOLS_INTRO.format(tools="\n".join(map(json.dumps, tools)))
            if messages[0]["role"] == "system":
                messages[0]["content"] = f"{messages[0]['content']}\n\n{intro}"
            else:
                messages.insert(0, {"role": "system", "content": intro})
            tools = []
        return self._render(messages, tools) + call.committed_text

    def _message(self, message: Message) -> list[dict[str, Any]]:
        if message.role is Role.TOOL:
            if self._tool_role:
                return [
                    {
                        "role": "tool",
                        "content": self._clean(r.content_json),
                        "tool_call_id": r.call_id,
                    }
                    for r in message.results
                ]
            wrapped = (
                f"<tool_response>\n{self._clean(r.content_json)}\n</tool_response>"
                for r in message.results
            )
            return [{"role": "user", "content": "\n".join(wrapped)}]
        content = self._clean(message.text)
        if message.calls:
            # Spelt out here and not left to the template: templates differ in whether they
            # take the arguments as text or as an object, and the text must stay the model's.
            calls = (format_call(c.name, self._clean(c.arguments_json)) for c in message.calls)
            content = "\n".join((*((content,) if content else ()), *calls))
        return [{"role": message.role.value, "content": content}]

    def _clean(self, text: str) -> str:
        while True:
            before = text
            text = strip_markers(text)
            for control in self._control:
                text = text.replace(control, "")
            if text == before:
                return text

    def _shows_tool_role(self) -> bool:
        """Whether the template accepts the role ``tool`` and puts its text into the prompt."""
        messages = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "tool", "content": _PROBE, "tool_call_id": "c"},
        ]
        try:
            return _PROBE in self._render(messages, [])
        except Exception:  # whatever a foreign template raises
            return False

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        format_: Any = self._format
        return str(format_(messages=messages, tools=tools or None).prompt)


def _function(name: str, description: str, schema_json: str) -> dict[str, Any]:
    try:
        parameters: Mapping[str, Any] = json.loads(schema_json or "{}")
    except ValueError:
        parameters = {"type": "object"}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }

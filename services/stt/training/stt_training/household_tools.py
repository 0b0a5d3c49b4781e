"""Household tools with utterances of their own, for tuning and tests of the recogniser."""

import json

from ensemble.stt.grammar.tools import SpokenTool

_ROOM = {
    "type": "string",
    "enum": [
        "kitchen", "bedroom", "bathroom", "living room", "dining room", "hallway", "office",
        "garage", "nursery", "attic", "basement", "garden", "all",
    ],
}  # fmt: skip
_DEVICE = {
    "type": "string",
    "enum": ["light", "lamp", "fan", "heater", "radio", "television", "oven", "speaker"],
}
_STATE = {"type": "string", "enum": ["on", "off"]}
_LEVEL = {"type": "integer", "minimum": 0, "maximum": 100}
_AMOUNT = {"type": "integer", "minimum": 1, "maximum": 120}
_UNIT = {"type": "string", "enum": ["second", "minute", "hour"]}
_THING = {"type": "string", "examples": ["call mum", "feed the cat", "take the medicine",
          "water the plants", "check the oven", "walk the dog", "lock the door"]}  # fmt: skip
_SUBJECT = {"type": "string", "examples": ["car key", "passport", "spare battery", "umbrella",
            "door code", "remote control"]}  # fmt: skip
_FACT = {"type": "string", "examples": ["in the drawer", "on the table", "under the bed",
         "in the garage", "four two seven one"]}  # fmt: skip
_OPERAND = {"type": "integer", "minimum": 0, "maximum": 100}

_TOOLS: list[tuple[str, dict[str, object], list[str]]] = [
    ("set_device", {"room": _ROOM, "device": _DEVICE, "state": _STATE}, [
        "[please] (turn|switch) {state} the {room} {device} [please]",
        "[please] (turn|switch) the {room} {device} {state} [please]",
        "(turn|switch) {state} the {device} in the {room} [please]",
        "turn {state} all the lights",
    ]),
    ("set_level", {"room": _ROOM, "device": _DEVICE, "level": _LEVEL}, [
        "[please] (set|dim) the {room} {device} to {level} [percent] [please]",
        "turn the {room} {device} (up|down) to {level} percent",
    ]),
    ("get_device", {"room": _ROOM, "device": _DEVICE}, [
        "is the {room} {device} (on|off)",
        "is the {device} (on|off) in the {room}",
    ]),
    ("set_timer", {"amount": _AMOUNT, "unit": _UNIT}, [
        "[please] (set|start) a timer for {amount} ({unit}|seconds|minutes|hours) [please]",
        "[please] set a {amount} {unit} timer [please]",
    ]),
    ("list_timers", {}, ["(what|which) timers are (running|set)", "list (my|the) timers",
                         "how much time is left"]),
    ("cancel_timer", {"amount": _AMOUNT, "unit": _UNIT}, [
        "cancel the timer", "cancel all [the] timers", "cancel the {amount} {unit} timer",
        "stop the timer"]),
    ("add_reminder", {"text": _THING, "amount": _AMOUNT, "unit": _UNIT}, [
        "remind me to {text} in {amount} ({unit}|seconds|minutes|hours)",
        "remind me in {amount} ({unit}|seconds|minutes|hours) to {text}",
    ]),
    ("list_reminders", {}, ["(what are|list) my reminders", "what reminders do i have"]),
    ("cancel_reminder", {"text": _THING}, ["cancel the reminder to {text}",
                                           "cancel all [the] reminders"]),
    ("get_time", {}, ["[please] what time is it [please]", "what is the time",
                      "[please] tell me the time"]),
    ("get_date", {}, ["what day is it [today]", "what is the date [today]",
                      "what is today's date"]),
    ("calculate", {"a": _OPERAND, "b": _OPERAND}, [
        "what is {a} (plus|minus|times|divided by) {b}",
        "(calculate|how much is) {a} (plus|minus|times|divided by) {b}",
    ]),
    ("remember", {"subject": _SUBJECT, "fact": _FACT}, [
        "remember that the {subject} is {fact}", "[please] remember the {subject} is {fact}"]),
    ("recall", {"subject": _SUBJECT}, [
        "where is (the|my) {subject}", "what do you know about the {subject}"]),
    ("smalltalk", {}, ["hello", "good morning", "good evening", "thank you", "thanks",
                       "what can you do", "stop", "good night"]),
]  # fmt: skip

TOOLS: tuple[SpokenTool, ...] = tuple(
    SpokenTool(name, json.dumps({"type": "object", "properties": properties}), tuple(utterances))
    for name, properties, utterances in _TOOLS
)

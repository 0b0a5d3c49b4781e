# ruff: noqa: E501 (lists read best with one pattern a line, words as prose)
"""Requests about devices: switching, levels, questions."""

from household.dialogue import Dialogue, Draw, call
from household.spoken_numbers import spoken
from household.vocabulary import DEVICES

SWITCH: tuple[str, ...] = (
    "(turn|switch|put) {state} [the] {room} {device}",
    "(turn|switch|put) [the] {room} {device} {state}",
    "(turn|switch) {state} [the] {device} in [the] {room}",
    "(turn|switch|put) [the] {device} in [the] {room} {state}",
    "(turn|switch) [the] {device} {state} in [the] {room}",
    "(turn|switch|put) {state} the {device} of the {room}",
    "(flip|click|flick|toggle) [the] {room} {device} {state}",
    "{room} {device} {state}",
    "[the] {device} in the {room} {state}",
    "{room} {device} (turn|switch) {state}",
    "{device} {state} in [the] {room}",
    "{device} {room} {state}",
    "{state} [with] the {room} {device}",
    "(i want|i need|i would like|i'd like|we need|we want|i'd love) the {room} {device} {state}",
    "(i want|i would like|i'd like) the {room} {device} [to be] (turned|switched) {state}",
    "(i want|i need|i'd like) the {device} in the {room} [to be] [turned|switched] {state}",
    "(i want|i would like|i'd like|i need) you to (turn|switch) {state} the {room} {device}",
    "(can|could) (i|we) have the {room} {device} {state}",
    "(can|could) (i|we) have the {device} {state} in the {room}",
    "(can|could|would|will) you (turn|switch) (my|our|the) {room} {device} {state}",
    "(can|could|would|will) you (turn|switch) {state} (my|our|the) {device} in the {room}",
    "(make sure|see to it|see) that the {room} {device} is [turned|switched] {state}",
    "make sure the {device} in the {room} is {state}",
    "the {room} {device} should be [turned|switched] {state}",
    "the {device} in the {room} should be {state}",
    "the {room} {device} (must|has to|needs to) be [turned|switched] {state}",
    "let's have the {room} {device} {state}",
    "get the {room} {device} (turned|switched) {state}",
    "would you mind (turning|switching) {state} the {room} {device}",
    "would you mind (turning|switching) the {device} {state} in the {room}",
    "how about (turning|switching) {state} the {room} {device}",
    "set [the] {room} {device} [to] {state}",
    "set the {device} in the {room} to {state}",
    "change the {room} {device} to {state}",
    "go [to] the {room} and (turn|switch) {state} the {device}",
    "in the {room} (turn|switch) [the] {device} {state}",
    "in the {room} (turn|switch) {state} the {device}",
    "for the {room} (turn|switch) the {device} {state}",
    "have the {room} {device} (turned|switched) {state}",
    "(you can|you may|time to|it is time to) (turn|switch) {state} the {room} {device}",
    "i (forgot|want|have) to (turn|switch) {state} the {room} {device}",
    "turn {state} that {device} in the {room}",
    "(turn|switch) it {state}, the {room} {device}",
    "my {room} {device} {state}",
    "(someone|somebody) (turn|switch) {state} the {room} {device}",
    "try (turning|switching) {state} the {room} {device}",
    "leave the {room} {device} {state}",
    "(turn|switch) the {device} that is in the {room} {state}",
)
SWITCH_ON: tuple[str, ...] = (
    "start [up] [the] {room} {device}",
    "start [up] the {device} in the {room}",
    "(activate|enable|power up|power on|fire up) [the] {room} {device}",
    "(activate|enable|fire up) the {device} in the {room}",
    "get the {device} in the {room} (running|going|working)",
    "get the {room} {device} (running|going|started)",
    "(it is|it's|its) (so|too|very|really) (dark|cold|hot|quiet|boring|warm) (in here|here|in the {room}), "
    "(turn|switch|put) on the {room} {device}",
    "(it is|it's) (dark|cold|hot|quiet|late|early) (turn|switch|put) the {room} {device} on",
    "i (can not|cannot|can't) see [a thing|anything], (turn|switch) on the {room} {device}",
    "(put|get) the {device} on in the {room}",
    "i need the {device} in the {room}",
    "let the {room} {device} (run|play|shine)",
    "(bring|wake) up the {room} {device}",
    "run the {room} {device}",
)
SWITCH_OFF: tuple[str, ...] = (
    "stop [the] {room} {device}",
    "stop the {device} in the {room}",
    "shut (off|down) [the] {room} {device}",
    "shut [the] {room} {device} (off|down)",
    "shut (off|down) the {device} in the {room}",
    "(deactivate|disable|kill|cut|power off|power down) [the] {room} {device}",
    "(deactivate|disable|kill|cut) the {device} in the {room}",
    "(i am|i'm|we are) (leaving|going to bed|done), (turn|switch) off the {room} {device}",
    "(i do not|i don't|we do not|we don't) need the {room} {device} [any more|anymore|now]",
    "(it is|it's|its) (so|too|very) (bright|warm|hot|loud|noisy) (turn|switch) off the {room} {device}",
    "(no more|enough of the) {room} {device}, (turn|switch) it off",
    "the {room} {device} (can|may) go off",
    "the {room} {device} is (not needed|too loud|too bright), (turn|switch) it off",
)
EVERYWHERE: tuple[str, ...] = (
    "(turn|switch|put) {state} (all|all the|all of the|all my|all our) {device}s",
    "(turn|switch|put) (all|all the|all of the) {device}s {state}",
    "(turn|switch) {state} every [single] {device}",
    "(turn|switch) every {device} {state}",
    "all [the] {device}s {state}",
    "every {device} {state}",
    "(turn|switch) {state} the {device}s (everywhere|in every room|in all rooms|in the whole house)",
    "(turn|switch) the {device}s {state} (everywhere|in all [the] rooms|in each room)",
    "{device}s {state} (everywhere|in all rooms|in the whole house)",
    "(i want|we need|i'd like|make sure) all [the] {device}s {state}",
    "(make sure|see that) (all the {device}s are|every {device} is) {state}",
    "everywhere (turn|switch) the {device}s {state}",
    "(turn|switch) {state} the {device}s in the [whole|entire] house",
    "[no,|wait,|no wait,|sorry,] (turn|switch) {state} all the {device}s",
)
LEVEL: tuple[str, ...] = (
    "(set|put|turn|bring|change|adjust|move) [the] {room} {device} (to|at) {level}",
    "(set|put|turn|bring|change|adjust) the {device} in the {room} (to|at) {level}",
    "(set|put|turn|adjust) the level of the {room} {device} to {level}",
    "(set|put) the {device} level in the {room} to {level}",
    "(dim|lower|reduce|drop|raise|increase|boost|brighten) [the] {room} {device} to {level}",
    "(dim|lower|reduce|raise|increase|boost|brighten) the {device} in the {room} to {level}",
    "(turn|bring|take|move|crank) [the] {room} {device} (up|down) to {level}",
    "(turn|bring|take) (up|down) [the] {room} {device} to {level}",
    "(turn|bring|take) the {device} in the {room} (up|down) to {level}",
    "{room} {device} [to|at] {level}",
    "{device} in the {room} (to|at) {level}",
    "{room} {device} level {level}",
    "(set|make|put) {room} {device} {level}",
    "make the {room} {device} {level}",
    "(i want|i need|i would like|i'd like|we want) the {room} {device} (at|to be at|to be|set to) {level}",
    "(i want|i'd like) the {device} in the {room} (at|set to) {level}",
    "the {room} {device} should be (at|set to) {level}",
    "the {device} in the {room} should be (at|set to) {level}",
    "(can|could|would) you (set|dim|turn|bring|put) the {room} {device} (to|down to|up to) {level}",
    "(can|could) (i|we) have the {room} {device} at {level}",
    "set the (brightness|volume|power|speed|strength|intensity) of the {room} {device} to {level}",
    "set the {room} {device} (brightness|volume|power|speed|intensity) to {level}",
    "{room} {device} (brightness|volume|power|speed) [to|at] {level}",
    "(turn|put) the (volume|brightness) of the {device} in the {room} to {level}",
    "(turn|change|adjust) the {room} {device} (volume|brightness|speed|power) (to|up to|down to) {level}",
    "give me {level} on the {room} {device}",
    "{level} (on|for) the {room} {device}",
    "(run|keep|have|leave|hold) the {room} {device} (at|on) {level}",
    "in the {room} set the {device} to {level}",
    "go to {level} on the {room} {device}",
    "would you mind (setting|putting|turning) the {room} {device} to {level}",
    "make sure the {room} {device} is (at|set to) {level}",
    "(dim|set|turn) {room} {device} {level}",
    "fade the {room} {device} to {level}",
)
LEVEL_EVERYWHERE: tuple[str, ...] = (
    "(set|dim|put|turn|bring|raise|lower|change) (all|all the|all of the) {device}s (to|at) {level}",
    "(set|dim|put|turn) every {device} to {level}",
    "(all|all the) {device}s [to|at] {level}",
    "(set|dim|put) the {device}s (everywhere|in all rooms|in every room) to {level}",
    "(i want|we need) all [the] {device}s at {level}",
)
ASK: tuple[str, ...] = (
    "is the {room} {device} [still|currently|now] [on|off|on or off]",
    "is the {device} in the {room} [still|already|currently] (on|off|on or off)",
    "is the {device} [still] (on|off) in the {room}",
    "are the {room} {device}s [still] (on|off)",
    "are the {device}s in the {room} (on|off)",
    "is there a {device} on in the {room}",
    "is the {room} {device} (switched|turned) (on|off)",
    "is the {room} {device} (running|working|going)",
    "is the {device} (running|going|playing) in the {room}",
    "(did|have) (i|we|you|somebody|anyone|someone) (leave|left) the {room} {device} on",
    "did (i|we|you|somebody|anyone) leave the {device} on in the {room}",
    "did (i|we|you|somebody|anyone) (turn|switch) (on|off) the {room} {device}",
    "have (i|we|you) (turned|switched) (on|off) the {room} {device}",
    "(check|check on|look at) the {room} {device}",
    "(check|look|see) (if|whether) the {room} {device} is [still] (on|off|on or off)",
    "(check|see) (if|whether) the {device} in the {room} is [still] (on|off)",
    "check the {device} in the {room}",
    "(do you know|can you tell me|could you tell me|can you see) (if|whether) the {room} {device} is [still] (on|off)",
    "(tell me|i want to know|i'd like to know|find out) (if|whether) the {room} {device} is (on|off)",
    "(tell me|i need to know) (if|whether) the {device} in the {room} is (on|off)",
    "(what's|what is|whats) the (state|status|level|setting) of the {room} {device}",
    "(what's|what is|tell me|give me|show me) the {room} {device} (state|status|level|setting)",
    "(what's|what is) the (state|status|level) of the {device} in the {room}",
    "{room} {device} (state|status)",
    "(state|status) of the {room} {device}",
    "(state|status) of the {device} in the {room}",
    "how (bright|loud|strong|high|warm|fast) is the {room} {device} [set]",
    "how (bright|loud|high) is the {device} in the {room}",
    "what (level|brightness|volume|setting) is the {room} {device} (at|on|set to)",
    "(at what|on what|what) level is the {room} {device}",
    "is my {room} {device} (on|off)",
    "was the {room} {device} left on",
    "does the {room} {device} (run|work) (now|right now|at the moment)",
    "how is the {room} {device} set",
    "what about the {room} {device}, is it (on|off)",
    "the {room} {device}, is it [still] (on|off)",
    "is it (true|right) that the {room} {device} is (on|off)",
    "i (wonder|forgot|am not sure|do not know|don't know) (if|whether) the {room} {device} is (on|off)",
    "i think i left the {room} {device} on",
    "is the {room} {device} (lit|playing|heating|shining|spinning)",
)
ASK_EVERYWHERE: tuple[str, ...] = (
    "are (all|all the|any|any of the|the) {device}s [still] (on|off) [everywhere|in the house]",
    "are (all|any) [of the] {device}s on",
    "is (any|every|each) {device} [still] (on|off)",
    "(check|tell me) (if|whether) (all|any) [the] {device}s are (on|off)",
    "(did|have) (i|we) (leave|left) any {device}s on",
    "(check|what about) all [the] {device}s",
)


def _slots(draw: Draw) -> tuple[dict[str, str], dict[str, str]]:
    room, device = draw.place()
    words = {"room": draw.room_words(room), "device": draw.device_words(device)}
    return {"room": room, "device": device}, words


def _everywhere(draw: Draw) -> tuple[dict[str, str], dict[str, str]]:
    device = draw.rng.choice(("light",) * 5 + DEVICES)
    words = draw.device_words(device, plural=0)
    if words in ("lighting", "heating", "tv set"):
        words = device
    return {"room": "all", "device": device}, {"device": words}


def switch(draw: Draw) -> Dialogue:
    state = draw.rng.choice(("on", "off"))
    if draw.chance(0.15):
        arguments, words = _everywhere(draw)
        patterns: tuple[str, ...] = EVERYWHERE
    else:
        arguments, words = _slots(draw)
        patterns = SWITCH
        if draw.chance(0.25):
            patterns = SWITCH_ON if state == "on" else SWITCH_OFF
    user = draw.say(patterns, {**words, "state": state})
    arguments["state"] = state
    return Dialogue("set_device", user, (("assistant", call("set_device", arguments)),))


def level(draw: Draw) -> Dialogue:
    rng = draw.rng
    value = draw.number(0, 100)
    if draw.chance(0.2):
        value = rng.choice((0, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 100))
    number = _level_words(draw, value)
    if draw.chance(0.1):
        arguments, words = _everywhere(draw)
        patterns = LEVEL_EVERYWHERE
    else:
        arguments, words = _slots(draw)
        patterns = LEVEL
    user = draw.say(patterns, {**words, "level": number})
    full: dict[str, object] = {**arguments, "level": value}
    return Dialogue("set_level", user, (("assistant", call("set_level", full)),))


def _level_words(draw: Draw, value: int) -> str:
    rng = draw.rng
    named = {50: ("half", "fifty percent"), 100: ("full", "maximum", "one hundred percent")}
    if value in named and draw.chance(0.2):
        return rng.choice(named[value])
    number = spoken(value, rng)
    if number.isdigit():
        return number + rng.choice(("", "", "%", "%", " %", " percent", " percent", " per cent"))
    return number + rng.choice(("", "", " percent", " percent", " percent", " per cent"))


def ask(draw: Draw) -> Dialogue:
    if draw.chance(0.08):
        arguments, words = _everywhere(draw)
        patterns = ASK_EVERYWHERE
    else:
        arguments, words = _slots(draw)
        patterns = ASK
    user = draw.say(patterns, words, question=True)
    return Dialogue("get_device", user, (("assistant", call("get_device", arguments)),))

# ruff: noqa: E501 (lists read best with one pattern a line, words as prose)
"""Small talk the assistant answers itself, and requests it has to ask back about."""

from household import texts
from household.dialogue import Dialogue, Draw
from household.spoken_numbers import spoken
from household.vocabulary import DEVICES

# name: (answer, patterns)
TALK = {
    "greeting": (
        "Hello! What can I do for you?",
        (
            "(hello|hi|hey|hiya|howdy|hallo|greetings|yo) [there|assistant|ensemble|again|you|everyone|friend|house|computer]",
            "(hello|hi|hey), [how are you|good morning|good evening|good day|nice to see you|my friend]",
            "good (morning|afternoon|evening|day) [assistant|ensemble|to you|everyone]",
            "(hello|hi) and good (morning|evening)",
            "(nice|good|pleased) to (meet|see) you",
            "(how are you|how are you doing|how's it going|how is it going) [today]",
            "(are you there|anybody there|is anyone there|can you hear me|do you hear me)",
            "(what's up|i'm home|i am home|i am back|i'm back)",
            "morning",
            "evening",
        ),
    ),
    "thanks": (
        "You are welcome.",
        (
            "(thanks|thank you|thx|cheers|ta) [a lot|so much|very much|again|ensemble|assistant|for that|for your help|for everything]",
            "(many|great|ok|okay), thanks",
            "(great|good|perfect|wonderful|nice|excellent), (thanks|thank you)",
            "(thanks|thank you|cheers), (that's|that is|this is) (great|good|all|nice|perfect|fine|kind of you)",
            "(that was|that's|that is|you were|you are) (very|really|so) (helpful|kind|nice) [of you], [thanks|thank you]",
            "(i am|i'm) (grateful|very grateful)",
            "(much|really) appreciated",
            "(well done|good job|nice work|good work)",
            "i (thank you|appreciate it|appreciate that)",
            "thanks for (helping|the help|reminding me|telling me)",
        ),
    ),
    "help": (
        "I can switch and dim devices, set timers and reminders, do sums, tell the time and date, and remember things "
        "for you. Try: turn on the kitchen light. A larger model in the models folder can do more.",
        (
            "(help|help me|i need help|i need some help|can you help me|could you help me|please help)",
            "what can (you|i) (do|do for me|help with|help me with|ask|ask you|say|say to you|tell you)",
            "what (are you able to do|do you do|can i use you for|are your skills|are your functions|do you know how to do)",
            "(how|with what) can you (help|assist) [me|us]",
            "how (do i use you|does this work|do you work|do i use this|can i use you)",
            "(tell me|show me|list) (what you can do|your skills|your functions|your commands|what i can say|all commands)",
            "(which|what) commands (are there|do you know|can i use|do you understand|can i say)",
            "(what|which) (things|tasks|tools) can you (do|handle|use)",
            "i (do not|don't) know (what to say|what you can do|how this works|how to use you)",
            "give me (an example|some examples|a hint|some help)",
            "(i'm|i am) (lost|stuck), help",
            "what else can you do",
            "(is there|do you have) (a manual|instructions|a help page|any help)",
        ),
    ),
    "who": (
        "I am Ensemble, a small assistant that runs on this machine and looks after the house.",
        (
            "(who|what) are you [really|exactly|actually]",
            "(what's|what is|tell me) your name",
            "what (are you called|should i call you|do i call you|can i call you|may i call you)",
            "(who|what) am i (talking|speaking) (to|with)",
            "(are you|is this) (a|an) (robot|computer|machine|human|person|program|bot|ai|assistant)",
            "(are you|is this) (real|human|alive|a real person|artificial|ensemble)",
            "(tell me|say something) about yourself",
            "introduce yourself",
            "do you have a name",
            "who is (speaking|talking|there|this)",
            "what kind of (assistant|robot|machine|program|thing) are you",
            "(who|what) (is|are) ensemble",
            "and who are you then",
        ),
    ),
    "goodbye": (
        "Goodbye!",
        (
            "(bye|goodbye|bye bye|good bye|cheerio|ciao|so long|farewell) [for now|then|ensemble|assistant|everyone|now]",
            "(see you|see ya|talk to you) [later|soon|tomorrow|then|around|again]",
            "good night [ensemble|assistant|everyone|then|sleep well]",
            "(have a|have a very) (good|nice|great|lovely) (day|evening|night|one|weekend)",
            "(that is all|that's all|that will be all|that would be all) [for today|for now|thanks|thank you]",
            "(i am|i'm) (off|going|leaving) (now|then), bye",
            "(until|till) (later|tomorrow|next time|then)",
            "(take care|catch you later|later)",
            "night night",
        ),
    ),
}  # fmt: skip

ROOM = "In which room? Please say it all, for example: turn on the kitchen light."
AMOUNT = "For how long? Please say it all, for example: set a timer for 10 minutes."
WHEN = "When? I count from now, so say for example: remind me to call mum in 10 minutes."
WHAT = "What should I remind you of? Say for example: remind me to call mum in 10 minutes."
LEVEL = "To which level, from 0 to 100? Say for example: set the kitchen light to 40 percent."
DEVICE = "Which device? Please say it all, for example: turn on the kitchen light."
RANGE = "I can only count from 1 to 120 seconds, minutes or hours."
LEVEL_RANGE = "Levels go from 0 to 100."
ONE = "One thing at a time, please."

NO_ROOM: tuple[str, ...] = (
    "(turn|switch|put) {state} (the|my|a|that) {device}",
    "(turn|switch|put) (the|my|that) {device} {state}",
    "(turn|switch) {state} {device}",
    "{device} {state}",
    "the {device} {state}",
    "(can|could|would) you (turn|switch) {state} the {device}",
    "(can|could|would) you (turn|switch) the {device} {state}",
    "(i want|i'd like|i need|we need) the {device} {state}",
    "(start|stop|activate|deactivate|shut off|kill) the {device}",
    "is the {device} [still] {state}",
    "(check|what about) the {device}",
    "(set|dim|turn) the {device} to {level} [percent]",
    "the {device} should be {state}",
    "make sure the {device} is {state}",
)
NO_LEVEL: tuple[str, ...] = (
    "(dim|brighten) the {room} {device}",
    "(turn|bring) (up|down) the {room} {device}",
    "(turn|bring) the {room} {device} (up|down)",
    "make the {room} {device} (brighter|darker|louder|quieter|warmer|softer|stronger|weaker|dimmer)",
    "(turn|bring) the {device} in the {room} (up|down) [a bit|a little]",
    "(set|change|adjust) the {room} {device}",
    "(more|less) {device} in the {room}",
    "{room} {device} (brighter|louder|up|down|higher|lower)",
    "the {room} {device} is too (bright|loud|dark|quiet|dim)",
    "(turn|bring) the {device} (up|down)",
    "(increase|decrease|raise|lower|reduce) the {room} {device}",
    "(dim|brighten) the {device}",
)
NO_DEVICE: tuple[str, ...] = (
    "(turn|switch) {state} the {room}",
    "(turn|switch) the {room} {state}",
    "(turn|switch) {state} something in the {room}",
    "(turn|switch) it {state}",
    "(turn|switch) {state}",
    "(turn|switch) everything {state}",
    "(turn|switch) {state} everything in the {room}",
    "the {room} please",
    "in the {room}",
)
NO_AMOUNT: tuple[str, ...] = (
    "(set|start|create|make|begin|add|open) (a|the|my|another|a new) timer",
    "(set|start) timer",
    "(i need|i want|i'd like|give me) a timer",
    "(can|could) (you set|i have|you start) a timer",
    "(start|begin) a countdown",
    "[a] [new] timer",
    "wake me up",
    "(set|start) a timer for (me|the pasta|the eggs|the cake|a while|some time|a bit|some minutes|a few minutes)",
    "(time me|count down)",
)
NO_WHEN: tuple[str, ...] = (
    "remind me to {chore}",
    "remind me (about|of) [the|my] {event}",
    "(set|make|add|create) a reminder to {chore}",
    "(set|make|add|create) a reminder (for|about) [the|my] {event}",
    "remind me to {chore} (tomorrow|tonight|later|on monday|next week|at five|at 7 pm|in the morning|at noon|on friday)",
    "remind me (tomorrow|tonight|later|on monday|next week|at five|at 7 pm|in the morning) to {chore}",
    "(do not|don't) let me forget to {chore}",
    "(can|could) you remind me to {chore}",
    "(set|put) (an alarm|the alarm|a timer) (for|at) (seven|7 am|six thirty|half past six|tomorrow morning|noon|8 o'clock)",
    "wake me (up|) (at|by) (seven|7 am|six thirty|half past six|noon|8 o'clock)",
)
NO_WHAT: tuple[str, ...] = (
    "remind me in {span}",
    "(set|make|add|create) a reminder (in|for) {span}",
    "(set|make|add|create) a reminder",
    "(i need|i want|give me) a reminder",
    "remind me [of something]",
    "in {span} remind me",
    "(add a|new|another) reminder",
)
TOO_FAR: tuple[str, ...] = (
    "(set|start) a timer (for|of) {far} {unit}s",
    "{far} {unit} timer",
    "(set|start) a {far} {unit} timer",
    "timer {far} {unit}s",
    "remind me in {far} {unit}s to {chore}",
    "remind me to {chore} in {far} {unit}s",
    "(cancel|stop) the {far} {unit} timer",
)
TOO_HIGH: tuple[str, ...] = (
    "(set|put|turn|dim) the {room} {device} to {high} [percent]",
    "(set|put|turn) the {device} in the {room} to {high} [percent]",
    "{room} {device} [to|at] {high} percent",
    "set all {device}s to {high} percent",
)
TWO: tuple[str, ...] = (
    "(turn|switch) {state} the {room} {device} and (set|start) a timer for {span}",
    "(turn|switch) {state} the {room} {device} and the {room2} {device2}",
    "(turn|switch) {state} the {room} {device} and (turn|switch) off the {room2} {device2}",
    "(set|start) a timer for {span} and (turn|switch) {state} the {room} {device}",
    "what time is it and (turn|switch) {state} the {room} {device}",
    "(turn|switch) {state} the {room} and {room2} {device}s",
    "remind me to {chore} in {span} and (turn|switch) {state} the {room} {device}",
    "(turn|switch) {state} the {device} and the {device2} in the {room}",
)
_ASK_BACK = (
    ("no_room", ROOM, NO_ROOM),
    ("no_room", ROOM, NO_ROOM),
    ("no_level", LEVEL, NO_LEVEL),
    ("no_device", DEVICE, NO_DEVICE),
    ("no_amount", AMOUNT, NO_AMOUNT),
    ("no_when", WHEN, NO_WHEN),
    ("no_what", WHAT, NO_WHAT),
    ("too_far", RANGE, TOO_FAR),
    ("too_high", LEVEL_RANGE, TOO_HIGH),
    ("two", ONE, TWO),
)


def talk(draw: Draw) -> Dialogue:
    name = draw.rng.choice(list(TALK))
    answer, patterns = TALK[name]
    user = draw.say(patterns, wrap=draw.chance(0.2))
    return Dialogue(name, user, (("assistant", answer),))


def ask_back(draw: Draw) -> Dialogue:
    rng = draw.rng
    kind, answer, patterns = rng.choice(_ASK_BACK)
    device = rng.choice(DEVICES)
    other = rng.choice([d for d in DEVICES if d != device])
    (room, _), (room2, _) = draw.place(), draw.place()
    unit = rng.choice(("minute", "second", "hour"))
    too_far = rng.choice((0, *[rng.randint(121, 999)] * 5))
    too_high = rng.choice((rng.randint(101, 200), rng.randint(101, 999)))
    slots = {
        "state": rng.choice(("on", "off")),
        "device": draw.device_words(device),
        "device2": draw.device_words(other),
        "room": draw.room_words(room),
        "room2": draw.room_words(room2),
        "span": draw.span_words(*draw.span()),
        "level": spoken(rng.randint(0, 100), rng),
        "far": spoken(too_far, rng),
        "high": spoken(too_high, rng),
        "unit": unit,
    }
    free = {"chore": texts.chore(draw), "event": texts.event(draw)}
    user = draw.say(patterns, slots, free)
    return Dialogue(kind, user, (("assistant", answer),))

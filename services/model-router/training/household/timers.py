# ruff: noqa: E501 (lists read best with one pattern a line, words as prose)
"""Requests about timers."""

from household.dialogue import Dialogue, Draw, call

SET: tuple[str, ...] = (
    "(set|start|create|make|begin|add|open|run) (a|the|my|another|one|a new) timer (for|of) {span}",
    "(set|start|put|make) [a] timer {span}",
    "(set|start|create|make|begin|add) (a|another|a new|me a) {spanned} timer",
    "(set|start) me a timer (for|of) {span}",
    "[a] {spanned} timer",
    "[a] timer (for|of) {span}",
    "timer {span}",
    "{span} timer",
    "{span} on the timer",
    "new timer [for|of] {span}",
    "timer on for {span}",
    "(i need|i want|i would like|i'd like|give me|we need|let me have) a timer (for|of) {span}",
    "(i need|i want|i'd like|give me|we need) a {spanned} timer",
    "(can|could|may) (i|we) (have|get) a timer (for|of) {span}",
    "(can|could|may) (i|we) (have|get) a {spanned} timer",
    "(can|could|would|will) you (set|start|make) (a|me a) timer (for|of) {span}",
    "(can|could|would) you time {span}",
    "time {span} [for me]",
    "time me (for|over) {span}",
    "(wake me|wake me up|wake us) (in|after) {span}",
    "(ring|beep|buzz|chime|ping me|alert me|call me|notify me|warn me) (in|after) {span}",
    "ring (the bell|a bell|an alarm|the alarm) (in|after) {span}",
    "(count|start counting) down [from] {span}",
    "(start|begin|do|run) a countdown (of|for|from) {span}",
    "(start|begin) a {spanned} countdown",
    "countdown [of] {span}",
    "(let me know|tell me|say so|give me a signal|give me a sign|shout) (in|after) {span}",
    "(let me know|tell me|say when) when {span} (have passed|are over|are up|have gone by|is up|is over|has passed)",
    "(tell me|let me know) once {span} (have passed|are over|are up|is up)",
    "(set|start) an alarm (for|in) {span} [from now]",
    "alarm in {span}",
    "(set|put) the timer (to|on|at) {span}",
    "put {span} on (the|a) (timer|clock)",
    "set {span}",
    "set the clock (for|to) {span}",
    "start a timer that (runs|lasts|goes) [for] {span}",
    "set a timer that (ends|rings|goes off) (in|after) {span}",
    "set a timer to go off in {span}",
    "i need to (wait|rest|pause) {span}, (set|start) a timer",
    "the (eggs|pasta|cake|pizza|rice|tea|bread) (needs|need|takes|take) {span}, (set|start) a timer",
    "(set|start) a timer for the (eggs|pasta|cake|pizza|rice|tea|bread|oven|laundry) [for] {span}",
    "(set|start) (a|an) (egg|tea|pasta|kitchen|cooking|pizza|nap|break) timer (for|of) {span}",
    "{spanned} timer for the (eggs|pasta|cake|pizza|rice|tea|bread|laundry|potatoes)",
    "(my break|my nap|the meeting|the game) is {span}, time it",
    "make it a {spanned} timer",
    "how about a timer (for|of) {span}",
    "would you mind (setting|starting) a timer for {span}",
    "{span} from now (ring|beep|wake me|alert me)",
    "in {span} (ring|beep|wake me|wake me up|alert me|let me know)",
    "after {span} (ring|beep|wake me up|let me know)",
)
LIST: tuple[str, ...] = (
    "(list|show|show me|read|tell me|give me|read me|display) (my|the|all|all the|all my|all of my) timers",
    "(list|show me|read out) (the|all|my) (running|active|current|open|set) timers",
    "(what|which) timers (are|do i have|have i|are there|did i set|are running|are active|are set|are on|are open)",
    "(what|which) timers (do|did) (i|we) (have|set|start)",
    "how many timers (are there|do i have|are running|are on|are set|have i set|did i set|are active)",
    "(are there|are|do i have|have i got|have we got|is there) any timers [running|active|set|on|left|going]",
    "any timers [running|on|set|left|active]",
    "(is|is there) (a|the|my|any) timer [still] (running|on|active|set|going)",
    "is (the|my) timer [still] (running|on|going|active)",
    "how (much time|long|much longer|many minutes) (is left|is there|remains|are left|do i have) [on|for] [the|my] timer",
    "how much [time] is left on (the|my|each|every) timer[s]",
    "how (long|much longer) (until|till|before) (the|my) timer (rings|goes off|ends|is done|is up|is over)",
    "how (long|much longer) does (the|my) timer (have|run|take) [left]",
    "when (does|will) (the|my|the next) timer (ring|go off|end|finish|be done|run out)",
    "when (is|are) (the|my) timer[s] (done|over|up|finished)",
    "(timers|timer list|timer status|list timers|show timers|my timers)",
    "what is (the|my) timer (at|on|doing|showing)",
    "what's (left on|the state of|the status of|up with) (the|my) timer[s]",
    "(check|check on) (the|my) timer[s]",
    "time left on (the|my) timer",
    "(do|did) (i|we) (have|set|start) a timer",
    "tell me (what|which) timers are (running|on|set|active)",
    "tell me how (long|much time) (is left on|remains on) (the|my) timer",
    "(remaining|left over) time on (the|my) timer",
    "status of (the|my|all) timer[s]",
    "how are (my|the) timers (doing|looking)",
    "i want to (see|hear|know) (my|the|all) timers",
    "let me (see|hear) (my|the|all) timers",
)
CANCEL: tuple[str, ...] = (
    "(cancel|stop|delete|remove|end|kill|clear|drop|abort|quit|silence|reset) (the|my|that|this) timer",
    "(cancel|stop|delete|remove|end) (the last|the latest|the newest|the current|the running|my last) timer",
    "(cancel|stop|delete|remove|clear|end) timer",
    "timer (off|stop|cancel)",
    "(turn|switch|shut) (off the|the|off my|my) timer [off]",
    "(get rid of|forget|forget about|scrap|throw away) (the|my|that) timer",
    "(i do not|i don't|we do not|we don't) (need|want) (the|that|my) timer [any more|anymore|any longer]",
    "(i no longer need|no need for|no more need for) (the|that) timer",
    "(stop|end|cancel) the countdown",
    "(never mind|forget) the timer",
    "the timer (can|should|may) (stop|be cancelled|be stopped|go)",
    "(call off|take away|take off|undo) the timer",
    "(can|could|would) you (stop|cancel|delete|end) (the|my|that) timer",
    "(stop|cancel) the (egg|tea|pasta|pizza|nap|kitchen) timer",
    "i want (the|my) timer (stopped|cancelled|gone|off)",
    "(make|let) the timer stop",
    "the timer is not needed [any more|anymore]",
    "would you mind (cancelling|stopping) the timer",
    "no [more] timer",
    "please no timer",
)
CANCEL_ONE: tuple[str, ...] = (
    "(cancel|stop|delete|remove|end|kill|clear|drop|abort) (the|my|that) {spanned} timer",
    "(cancel|stop|delete|remove|end|clear|drop) (the|my) timer (for|of|with) {span}",
    "(cancel|stop|delete) the timer that (runs|lasts|goes for|is) {span}",
    "(get rid of|forget|scrap|throw away) (the|my) {spanned} timer",
    "(get rid of|forget|scrap) the timer (for|of) {span}",
    "(i do not|i don't|we don't) (need|want) the {spanned} timer [any more|anymore]",
    "(i no longer need|no need for) the {spanned} timer",
    "{spanned} timer (off|stop|cancel)",
    "(turn|switch|shut) off the {spanned} timer",
    "(turn|switch) the {spanned} timer off",
    "(can|could|would) you (cancel|stop|delete|remove) (the|my) {spanned} timer",
    "(call off|take away|undo) the {spanned} timer",
    "(cancel|stop) [the] {spanned} countdown",
    "(i want|i'd like) the {spanned} timer (cancelled|stopped|gone|off)",
)
CANCEL_ALL: tuple[str, ...] = (
    "(cancel|stop|delete|remove|end|kill|clear|drop|abort|reset|silence) (all|all the|all my|all of my|every|each|all of the|every single) timer[s]",
    "(cancel|stop|delete|remove|clear|end) (the|my) timers",
    "(cancel|stop|delete|remove|clear) the timers, all of them",
    "(get rid of|forget|scrap) (all|all the|all my|every|my|the) timers",
    "(turn|switch|shut) off (all|all the|all my|every) timers",
    "(i do not|i don't) need (any|the|my) timers [any more|anymore]",
    "no more timers",
    "all timers (off|stop|cancel|gone)",
    "(can|could|would) you (cancel|stop|delete|clear|remove) (all|all the|all my|every) timer[s]",
    "(i want|i'd like) (all|all my|every) timer[s] (cancelled|stopped|gone|deleted)",
)


def _span(draw: Draw) -> tuple[dict[str, object], dict[str, str]]:
    amount, unit = draw.span()
    spoken = {
        "span": draw.span_words(amount, unit),
        "spanned": draw.span_words(amount, unit, adjective=True),
    }
    return {"amount": amount, "unit": unit}, spoken


def start(draw: Draw) -> Dialogue:
    arguments, spoken = _span(draw)
    user = draw.say(SET, spoken)
    return Dialogue("set_timer", user, (("assistant", call("set_timer", arguments)),))


def show(draw: Draw) -> Dialogue:
    user = draw.say(LIST, question=True)
    return Dialogue("list_timers", user, (("assistant", call("list_timers", {})),))


def cancel(draw: Draw) -> Dialogue:
    arguments: dict[str, object] = {}
    kind = draw.rng.choice(("newest", "one", "one", "all"))
    if kind == "newest":
        user = draw.say(CANCEL)
    elif kind == "one":
        arguments, spoken = _span(draw)
        user = draw.say(CANCEL_ONE, spoken)
    else:
        arguments = {"all": True}
        user = draw.say(CANCEL_ALL)
    return Dialogue("cancel_timer", user, (("assistant", call("cancel_timer", arguments)),))

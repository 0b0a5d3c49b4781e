# ruff: noqa: E501 (lists read best with one pattern a line, words as prose)
"""Requests about reminders."""

from household import texts
from household.dialogue import Dialogue, Draw, call

TO_DO: tuple[str, ...] = (
    "remind me to {chore} in {span}",
    "remind me in {span} to {chore}",
    "remind (us|me) to {chore} (in|after) {span} [from now]",
    "in {span} remind me to {chore}",
    "(after|in) {span}, remind me to {chore}",
    "(set|make|create|add|start|put in) a reminder to {chore} in {span}",
    "(set|make|create|add) a reminder in {span} to {chore}",
    "(set|make|create|add) a reminder for {span} [from now] to {chore}",
    "[set a|add a|new] reminder to {chore} in {span}",
    "reminder in {span} to {chore}",
    "[add a] reminder: {chore} in {span}",
    "[add a|make a] reminder {chore} in {span}",
    "(tell me|say) to {chore} in {span}",
    "(tell|ask) me in {span} to {chore}",
    "(nudge|poke|ping|alert|notify|prompt) me to {chore} in {span}",
    "(nudge|poke|ping|alert|notify|prompt) me in {span} to {chore}",
    "(do not|don't|dont) let me forget to {chore} in {span}",
    "(do not|don't) (let me forget|forget to remind me) in {span} to {chore}",
    "(i need|i want|i would like|i'd like|give me|i need you to set) a reminder to {chore} in {span}",
    "(i need|i want|i'd like|give me) a reminder in {span} to {chore}",
    "i (have to|need to|must|should) {chore} in {span}, remind me",
    "i (have to|need to|must|should) {chore} in {span}, (set a reminder|please remind me)",
    "(can|could|would|will) you remind me to {chore} in {span}",
    "(can|could|would|will) you remind me in {span} to {chore}",
    "(can|could) i (get|have) a reminder to {chore} in {span}",
    "{chore} in {span}, remind me",
    "{span} from now remind me to {chore}",
    "in {span} i (have to|need to|must) {chore}, remind me",
    "in {span} tell me to {chore}",
    "(make sure|see that) i {chore} in {span}",
    "make sure to remind me to {chore} in {span}",
    "would you mind reminding me to {chore} in {span}",
    "be so kind and remind me to {chore} in {span}",
    "please remember to remind me to {chore} in {span}",
    "help me remember to {chore} in {span}",
)
ABOUT: tuple[str, ...] = (
    "remind me (about|of) [the|my|our|a] {event} in {span}",
    "remind me in {span} (about|of) [the|my|our|a] {event}",
    "in {span} remind me (about|of) [the|my|our] {event}",
    "(set|make|create|add) a reminder (for|about) [the|my|our|a] {event} in {span}",
    "(set|make|create|add) a reminder in {span} (for|about) [the|my|our] {event}",
    "reminder (for|about) [the|my] {event} in {span}",
    "(i need|i want|give me) a reminder (for|about) [the|my] {event} in {span}",
    "(can|could|would) you remind me (about|of) [the|my|our] {event} in {span}",
    "(alert|notify|ping|nudge) me about [the|my] {event} in {span}",
    "(do not|don't) let me forget [the|my] {event} in {span}",
    "{event} reminder in {span}",
    "{event} in {span}, remind me",
)
THAT: tuple[str, ...] = (
    "remind me that {statement} in {span}",
    "remind me in {span} that {statement}",
    "in {span} remind me that {statement}",
    "tell me in {span} that {statement}",
    "in {span} tell me that {statement}",
    "(can|could) you remind me in {span} that {statement}",
    "set a reminder that {statement} in {span}",
)
LIST: tuple[str, ...] = (
    "(list|show|show me|read|tell me|give me|read me|read out|display) (my|the|all|all the|all my|all of my) reminders",
    "(what|which) reminders (are|do i have|have i|are there|did i set|are set|are open|are active|are left|are planned)",
    "(what|which) reminders (do|did) (i|we) (have|set|make|add)",
    "(what are|what're) (my|the|all my) reminders",
    "how many reminders (are there|do i have|are set|have i set|are open|are left)",
    "(are there|do i have|have i got|have we got|did i set) any reminders [set|today|left|coming up|for me]",
    "any [open|more|other|new] reminders [today|set|left|for me]",
    "what (will|are) you [going to] remind me (of|about)",
    "what did i (ask|tell) you to remind me (of|about)",
    "what (should|must|do|did) i [want to] be reminded (of|about)",
    "what am i (being|getting) reminded (of|about)",
    "(reminders|reminder list|list reminders|show reminders|my reminders)",
    "(is|is there) (a|my|the|any) reminder (set|open|active|left|coming up)",
    "(check|check on) (the|my) reminders",
    "when (is|are) (my|the) [next] reminder[s] [due|up]",
    "what is my next reminder",
    "what reminders are (still to come|next|due|waiting)",
    "(let me|i want to) (see|hear|know) (my|the|all my) reminders",
    "tell me (what|which) reminders (are set|i have|there are)",
    "status of my reminders",
    "what (do|did) you have to remind me (of|about)",
)
CANCEL_ONE: tuple[str, ...] = (
    "(cancel|delete|remove|drop|clear|stop|scrap|erase) (the|my|that) reminder to {chore}",
    "(cancel|delete|remove|drop|clear|scrap|erase) (the|my|that) reminder (about|for|of) [the|my] {event}",
    "(cancel|delete|remove|drop|clear) (the|my) {event} reminder",
    "(forget|forget about|get rid of|throw away) (the|my) reminder to {chore}",
    "(forget|forget about|get rid of|throw away) (the|my) reminder (about|for) [the|my] {event}",
    "(forget|get rid of) (the|my) {event} reminder",
    "(do not|don't) remind me to {chore} [any more|anymore]",
    "(do not|don't) remind me (about|of) [the|my] {event} [any more|anymore]",
    "(stop reminding me|you do not have to remind me|you don't need to remind me) to {chore}",
    "(stop reminding me|no need to remind me|you need not remind me) (about|of) [the|my] {event}",
    "(i do not|i don't) (need|want) (the|a) reminder to {chore} [any more|anymore]",
    "(i do not|i don't) (need|want) (the|a) reminder (about|for) [the|my] {event} [any more|anymore]",
    "(i no longer need|no need for) the reminder to {chore}",
    "(i no longer need|no need for) the reminder (about|for) [the|my] {event}",
    "(can|could|would) you (cancel|delete|remove) (the|my) reminder to {chore}",
    "(can|could|would) you (cancel|delete|remove) (the|my) reminder (about|for) [the|my] {event}",
    "(cancel|delete|remove) reminder to {chore}",
    "take (the|my) reminder to {chore} (off|off the list|away)",
    "(the|my) reminder to {chore} (can go|can be deleted|is not needed)",
    "(call off|undo) (the|my) reminder to {chore}",
    "(call off|undo) (the|my) reminder about [the|my] {event}",
)
CANCEL_ALL: tuple[str, ...] = (
    "(cancel|delete|remove|drop|clear|scrap|erase|stop) (all|all the|all my|all of my|every|each|every single) reminder[s]",
    "(cancel|delete|remove|clear|erase) (the|my) reminders",
    "(cancel|delete|remove|clear) (the|my) reminders, all of them",
    "(get rid of|forget|forget about|throw away) (all|all the|all my|every|my|the) reminders",
    "(i do not|i don't) (need|want) any reminders [any more|anymore]",
    "no more reminders",
    "stop reminding me of (anything|everything)",
    "(can|could|would) you (cancel|delete|clear|remove) (all|all my|every) reminder[s]",
    "(i want|i'd like) (all|all my) reminders (cancelled|gone|deleted|removed)",
    "empty (my|the) reminder list",
)


def add(draw: Draw) -> Dialogue:
    amount, unit = draw.span()
    spoken = {"span": draw.span_words(amount, unit)}
    kind = draw.rng.randrange(10)
    if kind <= 6:
        text, slot, patterns = texts.chore(draw), "chore", TO_DO
    elif kind <= 8:
        text, slot, patterns = texts.event(draw), "event", ABOUT
    else:
        text, slot, patterns = texts.statement(draw), "statement", THAT
    user = draw.say(patterns, spoken, {slot: text})
    arguments = {"text": text, "amount": amount, "unit": unit}
    return Dialogue("add_reminder", user, (("assistant", call("add_reminder", arguments)),))


def show(draw: Draw) -> Dialogue:
    user = draw.say(LIST, question=True)
    return Dialogue("list_reminders", user, (("assistant", call("list_reminders", {})),))


def cancel(draw: Draw) -> Dialogue:
    if draw.chance(0.3):
        user = draw.say(CANCEL_ALL)
        arguments: dict[str, object] = {"all": True}
    else:
        patterns = [p for p in CANCEL_ONE if "{chore}" in p]
        slot, text = "chore", texts.chore(draw)
        if draw.chance(0.5):
            patterns = [p for p in CANCEL_ONE if "{event}" in p]
            slot, text = "event", texts.event(draw)
        user = draw.say(patterns, None, {slot: text})
        arguments = {"text": text}
    return Dialogue("cancel_reminder", user, (("assistant", call("cancel_reminder", arguments)),))

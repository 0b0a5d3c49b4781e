# ruff: noqa: E501, SIM905 (lists read best with one pattern a line, words as prose)
"""Requests to remember and to recall."""

from household import texts
from household.dialogue import Dialogue, Draw, call
from household.vocabulary import NAMES, OBJECTS

# {note} is a whole statement; its forms are below.
REMEMBER: tuple[str, ...] = (
    "remember [that] {note}",
    "remember: {note}",
    "remember this: {note}",
    "please remember [that] {note}",
    "(keep|bear) in mind [that] {note}",
    "(note|note down|write down|jot down) [that] {note}",
    "(note|note this|for the record): {note}",
    "(make|take) a note that {note}",
    "(make|take) a note: {note}",
    "(do not|don't|dont|never) forget [that] {note}",
    "(save|store|keep) (this|the fact that|that) {note}",
    "(save|store) this: {note}",
    "(i want|i need|i would like|i'd like) you to (remember|know|note) [that] {note}",
    "(can|could|would|will) you (remember|note|keep in mind|make a note) that {note}",
    "(just so you know|for your information|so that you know|for later), {note}",
    "{note}, (remember that|please remember that|keep that in mind|note that|do not forget that|don't forget)",
    "(you should|you must|you need to) (know|remember) that {note}",
    "(let me tell you|i am telling you) that {note}, remember it",
    "remember for me that {note}",
    "remember for later that {note}",
    "remember that from now on {note}",
    "try to remember that {note}",
    "memorise [that] {note}",
    "(learn|know) that {note}",
    "it is (important|good to know) that {note}, remember it",
    "add a note that {note}",
)
RECALL: tuple[str, ...] = (
    "where (is|are) (my|our) {subject}",
    "where (did|have) (i|we) (put|leave|left|hide|store|place) (the|my|our) {subject}",
    "(do you know|can you tell me|do you remember|tell me|could you tell me) where (my|our|the) {subject} (is|are)",
    "(do you know|do you remember|can you remember|tell me|remind me) where (i|we) (put|left|hid|stored|placed) (the|my|our) {subject}",
    "(what's|what is|whats|what are|what was) (my|our) {subject}",
    "(what's|what is) (my|our) {subject} again",
    "what did i (tell you|say|note|tell you to remember) about (the|my|our) {subject}",
    "what did i (tell you|say) about {subject}",
    "what do you (know|remember|have) about (the|my|our) {subject}",
    "what do you (know|remember) about {subject}",
    "(do you know|do you remember|can you recall|did i tell you) anything about (the|my|our) {subject}",
    "(tell me|say) (what you know|what i said|what i told you|everything you know) about (the|my|our) {subject}",
    "(tell me|say) (what you know|what i said|what i told you) about {subject}",
    "(recall|look up|find|fetch) (my note|what i said|what i told you|my notes|the note) (about|on) (the|my|our) {subject}",
    "(recall|look up) [the|my|our] {subject}",
    "(do you remember|do you know|can you tell me|can you remember) (my|our) {subject}",
    "(do you remember|do you know|tell me|can you tell me) what (my|our) {subject} (is|was)",
    "(tell me|give me|remind me of|say) (my|our) {subject}",
    "(i forgot|i have forgotten|i can not remember|i don't know|i can't remember) where (i put my|my|our) {subject} [is|are]",
    "(i am looking for|i cannot find|i can't find|i can not find|i lost) (my|our) {subject}",
    "(i forgot|i can't remember|i cannot remember) (my|our) {subject}",
    "(which|what) (notes|note|information) do you have (on|about) (the|my|our) {subject}",
    "(is there|have you) (a note|anything) (about|on) (the|my|our) {subject}",
    "anything (noted|known|saved) about (the|my|our) {subject}",
    "have i (said|told you|mentioned) (something|anything) about (the|my|our) {subject}",
    "my {subject}, where (is it|are they|did i put it)",
    "remind me where (i put|i left|is) (the|my|our) {subject}",
    "remind me (what|where) (my|our) {subject} (is|was|are)",
)
RECALL_OBJECT: tuple[str, ...] = (
    "where (is|are) the {subject}",
    "(where's|wheres) (the|my) {subject}",
    "(have you seen|where do we keep|where do i keep|where can i find) (the|my|our) {subject}",
    "where (did|has) the {subject} (go|gone)",
    "(i am looking for|i cannot find|i can't find) the {subject}",
)
RECALL_SECRET: tuple[str, ...] = (
    "(what's|what is|whats|tell me|give me|do you know|do you remember|say|remind me of) the {subject}",
    "what (was|is) the {subject} again",
)
RECALL_NAMED: tuple[str, ...] = (
    "(when|what) is {subject}",
    "(what's|when's|tell me|do you know|do you remember|can you tell me) {subject}",
    "(tell me|do you know|do you remember) (when|what) {subject} is",
)
RECALL_PERSON: tuple[str, ...] = (
    "who is (my|our) {subject}",
    "what is (my|our) {subject} called",
    "what is the name of (my|our) {subject}",
    "(tell me|do you know|remind me) who (my|our) {subject} is",
    "when is (my|our) {subject}",
)
RECALL_PARKED: tuple[str, ...] = (
    "where (did|have) i (park|parked|put|leave|left) (the|my|our) {subject}",
    "where is (the|my|our) {subject} parked",
    "(do you know|tell me|do you remember|remind me) where i (parked|left|put) (the|my|our) {subject}",
)
_PEOPLE = ("doctor dentist plumber landlord teacher boss cleaner gardener lawyer mechanic vet coach "
           "accountant neighbour electrician hairdresser tenant babysitter").split()  # fmt: skip
_DATES = "anniversary appointment exam interview flight lesson next-meeting deadline".split()
_VEHICLES = "car bike truck scooter motorcycle bicycle trailer rental-car camper boat wagon".split()
_SECRETS = "code password pin number combination passcode key-code access-code".split()


def remember(draw: Draw) -> Dialogue:
    rng = draw.rng
    kind = rng.randrange(12)
    subject, fact = texts.subject(draw), texts.fact(draw)
    article = rng.choice(("the ", "the ", "my ", "our ", "", "a "))
    verb = rng.choice(("is", "is", "is", "are", "was"))
    if subject.endswith(("'s", "birthday", "number", "address")) and "'s" in subject:
        article = ""
    note = f"{article}{subject} {verb} {fact}"
    if kind <= 2:
        fact = texts.whereabouts(draw)
        subject = draw.word(OBJECTS, _VEHICLES, strange=0.3)
        verb = rng.choice(
            ("put", "left", "parked", "hid", "stored", "placed", "have", "keep", "dropped")
        )
        owner = rng.choice(("i", "i", "i", "we"))
        note = f"{owner} {verb} {rng.choice(('the', 'my', 'our'))} {subject} {fact}"
    elif kind == 3:
        subject = draw.word(NAMES, strange=0.4)
        verb = rng.choice(("likes", "hates", "loves", "lives in", "works at", "wants", "has", "owns", "needs",
                           "prefers", "eats", "drinks", "plays", "studies", "collects"))  # fmt: skip
        fact = f"{verb} {texts.event(draw)}"
        note = f"{subject} {fact}"
    user = draw.say(REMEMBER, None, {"note": note})
    arguments = {"subject": subject, "fact": fact}
    return Dialogue("remember", user, (("assistant", call("remember", arguments)),))


def recall(draw: Draw) -> Dialogue:
    rng = draw.rng
    kind = rng.randrange(12)
    patterns, subject = RECALL, texts.subject(draw)
    if kind <= 2:
        patterns = RECALL_OBJECT
        trait = (
            draw.word("spare second old new big small other good red blue car house shed".split())
            + " "
        )
        subject = (trait if draw.chance(0.3) else "") + draw.word(OBJECTS, strange=0)
    elif kind == 3:
        patterns = RECALL_SECRET
        what = draw.word(
            OBJECTS, "wifi alarm door gate safe bank locker shed router".split(), strange=0.1
        )
        subject = f"{what} {draw.word(_SECRETS, strange=0)}"
    elif kind == 4:
        patterns = RECALL_NAMED
        what = draw.word(
            "birthday wedding party phone-number number address appointment exam".split(), strange=0
        )
        subject = f"{draw.word(NAMES, strange=0.4)}'s {what}"
    elif kind == 5:
        patterns, subject = RECALL_PERSON, draw.word(_PEOPLE, _DATES, strange=0.1)
    elif kind == 6:
        patterns, subject = RECALL_PARKED, draw.word(_VEHICLES, OBJECTS, strange=0.15)
    user = draw.say(patterns, None, {"subject": subject}, question=True)
    return Dialogue("recall", user, (("assistant", call("recall", {"subject": subject})),))

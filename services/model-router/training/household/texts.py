# ruff: noqa: E501, SIM905 (lists read best with one pattern a line, words as prose)
"""Free text that the model has to copy: chores, subjects, facts."""

from household.dialogue import Draw
from household.vocabulary import (
    CHORES,
    CITIES,
    DEVICES,
    FOODS,
    FOREIGN_DEVICES,
    NAMES,
    OBJECTS,
    PLACES,
    PREPOSITIONS,
    ROOMS,
    SPOTS,
    TRAITS,
    VERBS,
    made_up,
)


def _jumble(draw: Draw, most: int) -> str:
    lists = (OBJECTS, NAMES, VERBS, FOODS, PLACES, TRAITS)
    return " ".join(draw.word(*lists, strange=0.3) for _ in range(draw.rng.randint(1, most)))


def chore(draw: Draw) -> str:
    """What to be reminded to do, such as "take the ladder to the shed"."""
    rng = draw.rng
    the = rng.choice(("the ", "the ", "my ", "a ", "our ", "", "some "))
    kind = rng.randrange(12)
    if kind <= 1:
        return f"{draw.word(CHORES)} {draw.word(NAMES, strange=0.25)}"
    if kind <= 4:
        trait = draw.word(TRAITS) + " " if draw.chance(0.25) else ""
        return f"{draw.word(VERBS)} {the}{trait}{draw.word(OBJECTS, FOODS, strange=0.25)}"
    if kind == 5:
        return f"buy {draw.word(FOODS, OBJECTS)} and {draw.word(FOODS, strange=0.2)}"
    if kind == 6:
        return f"take {the}{draw.word(OBJECTS)} to the {draw.word(PLACES)}"
    if kind == 7:
        return (
            f"{draw.word(VERBS)} {the}{draw.word(OBJECTS, strange=0.3)} "
            f"{draw.word(PREPOSITIONS)} the {draw.word(SPOTS)}"
        )
    if kind == 8:
        state = rng.choice(("on", "off"))
        return f"turn {state} the {rng.choice((*ROOMS, ''))} {rng.choice(DEVICES)}".replace(
            "  ", " "
        )
    if kind == 9:
        return (
            f"{draw.word(CHORES)} {draw.word(NAMES)} about {the}{draw.word(OBJECTS, strange=0.3)}"
        )
    if kind == 10:
        return f"go to the {draw.word(PLACES, strange=0.2)}" + (
            f" with {draw.word(NAMES)}" if draw.chance(0.4) else ""
        )
    return _jumble(draw, 5)


def event(draw: Draw) -> str:
    """What a reminder is about, such as "dentist" or "meeting with rosa"."""
    rng = draw.rng
    kind = rng.randrange(6)
    if kind == 0:
        return draw.word(OBJECTS, FOODS, strange=0.3)
    if kind == 1:
        return f"{draw.word(TRAITS)} {draw.word(OBJECTS, PLACES, strange=0.3)}"
    if kind == 2:
        return f"{rng.choice(('meeting', 'lunch', 'call', 'dinner', 'interview'))} with {draw.word(NAMES, strange=0.3)}"
    if kind == 3:
        return f"{draw.word(NAMES)}'s {draw.word(OBJECTS, PLACES, strange=0.2)}"
    if kind == 4:
        return draw.word(PLACES, strange=0.3)
    return rng.choice(("meeting", "appointment", "exam", "party", "concert", "bins", "game", "rent",
                       "lesson", "homework", "train", "bus", "delivery", "visitors"))  # fmt: skip


def statement(draw: Draw) -> str:
    """Something to be told, such as "dinner is ready"."""
    who = draw.rng.choice(
        (f"the {draw.word(OBJECTS, FOODS, strange=0.3)}", draw.word(NAMES), "dinner", "the cake",
         f"the {draw.word(PLACES)}", "we", "my " + draw.word(OBJECTS))
    )  # fmt: skip
    verb = "are" if who == "we" else "is"
    what = draw.rng.choice(
        ("ready", "coming", "here", "leaving", "closing", "late", "due", "done", "waiting",
         f"at the {draw.word(PLACES)}", f"{draw.word(PREPOSITIONS)} the {draw.word(SPOTS)}")
    )  # fmt: skip
    return f"{who} {verb} {what}"


def subject(draw: Draw) -> str:
    """What a note is about, without its article: "car key", "anna's birthday"."""
    rng = draw.rng
    kind = rng.randrange(11)
    if kind <= 2:
        return draw.word(OBJECTS, strange=0.35)
    if kind == 3:
        return f"{draw.word(TRAITS)} {draw.word(OBJECTS, strange=0.3)}"
    if kind == 4:
        return f"{draw.word(OBJECTS, PLACES, FOREIGN_DEVICES, strange=0.3)} {rng.choice(('key', 'code', 'password', 'number', 'box', 'cover', 'card', 'day', 'pin', 'combination', 'name'))}"
    if kind == 5:
        owner = draw.word(NAMES, strange=0.3)
        what = rng.choice(("birthday", "number", "address", "name", "phone number", "book", "car", "room",
                           "dress size", "shoe size", "password", "school", "wedding"))  # fmt: skip
        return f"{owner}'s {what}"
    if kind == 6:
        thing = draw.word(("colour color food drink song film book wine band team game number city tea "
                           "flower animal cake dish pizza sport").split(), strange=0.1)  # fmt: skip
        return f"{rng.choice(('favourite', 'favorite'))} {thing}"
    if kind == 7:
        return draw.word(FOREIGN_DEVICES, strange=0.1)
    if kind == 8:
        return f"{rng.choice(ROOMS)} {rng.choice((*DEVICES, 'key', 'window', 'door', 'rug'))}"
    if kind == 9:
        return f"{draw.word(OBJECTS, strange=0.3)} {draw.word(OBJECTS, strange=0.3)}"
    return draw.word(("doctor dentist plumber landlord teacher boss cleaner gardener lawyer mechanic "
                      "sister brother wife husband daughter son neighbour anniversary appointment "
                      "wifi blood-type licence-plate passport-number").split(), strange=0.05)  # fmt: skip


def whereabouts(draw: Draw) -> str:
    """A place: "in the top drawer", "behind the sofa"."""
    rng = draw.rng
    spot = draw.word(SPOTS, OBJECTS, PLACES, strange=0.2)
    trait = (
        draw.word([*TRAITS, *"top bottom upper lower left right first".split()]) + " "
        if draw.chance(0.3)
        else ""
    )
    the = rng.choice(("the", "the", "the", "my", "a", "our"))
    place = f"{draw.word(PREPOSITIONS)} {the} {trait}{spot}"
    if draw.chance(0.1):
        place += f" {draw.word(PREPOSITIONS)} the {draw.word(SPOTS)}"
    if draw.chance(0.1):
        place = rng.choice((f"at {draw.word(NAMES)}'s place", f"in {draw.word(CITIES)}", f"with {draw.word(NAMES)}",
                            f"on {made_up(rng)} street", f"on level {rng.randint(1, 9)}", "upstairs", "at home"))  # fmt: skip
    return place


def fact(draw: Draw) -> str:
    """What is so about a subject, after the verb."""
    rng = draw.rng
    kind = rng.randrange(9)
    if kind <= 2:
        return whereabouts(draw)
    if kind == 3:
        return draw.word(TRAITS, strange=0.2)
    if kind == 4:
        return "".join(rng.choice("0123456789") for _ in range(rng.randint(2, 7)))
    if kind == 5:
        return f"{rng.choice(('called', 'named'))} {draw.word(NAMES, strange=0.5)}"
    if kind == 6:
        day = rng.choice("monday tuesday wednesday thursday friday saturday sunday".split())
        month = rng.choice(
            "january february march april may june july august october december".split()
        )
        nth = rng.choice("first second third fifth sixth tenth twelfth twentieth".split())
        return rng.choice((f"on {day}", f"on the {nth} of {month}", f"on {month} {rng.randint(1, 30)}", day,
                           f"at {rng.randint(1, 12)}", f"in {month}"))  # fmt: skip
    if kind == 7:
        state = ("broken empty full lost new clean dirty ready locked open closed sold ripe allergic-to-nuts "
                 "too-small out-of-order very-old almost-empty lent-to-a-friend").split()  # fmt: skip
        return draw.word(state, strange=0.1)
    return _jumble(draw, 4)

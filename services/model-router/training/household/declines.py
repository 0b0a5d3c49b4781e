# ruff: noqa: E501, SIM905 (lists read best with one pattern a line, words as prose)
"""Messages from outside the household, all answered with the same polite refusal."""

from household import vocabulary as v
from household.decline_phrases import (
    CLAUSES,
    COLOURS,
    COMMANDS,
    OTHER_TONGUES,
    QUESTIONS,
    RELATIVES,
    STATEMENTS,
    TRAPS,
)
from household.dialogue import DECLINE, Dialogue, Draw
from household.phrases import expand, roughened
from household.spoken_numbers import spoken

_EVERY_WORD = (
    v.OBJECTS, v.TRAITS, v.NAMES, v.CHORES, v.VERBS, v.FOODS, v.PLACES, v.SPOTS, v.CITIES,
    v.COUNTRIES, v.ANIMALS, v.ABSTRACT, v.TOPICS, v.FAMOUS, v.ADJECTIVES, v.PAST_VERBS,
    v.FOREIGN_DEVICES, v.FOREIGN_ROOMS, v.FOREIGN_ACTIONS,
)  # fmt: skip
_LITTLE = """the a an and or but if then so to of in on at by for from with about into over under i you
he she it we they my your his her our their this that these those is are was were be been do does did
have has had can could will would shall should may might must not no yes very too also just only more
less some any all every what which who when where why how please now here there up down out off again
kitchen light timer minutes turn set remind remember""".split()


def _slots(draw: Draw) -> dict[str, str]:
    rng = draw.rng

    def one(*lists: list[str]) -> str:
        return draw.word(*lists, strange=0.06)

    return {
        "country": one(v.COUNTRIES), "city": one(v.CITIES, v.COUNTRIES), "city2": one(v.CITIES),
        "famous": one(v.FAMOUS), "thing": "the " + one(v.OBJECTS, v.TOPICS, v.FOREIGN_DEVICES),
        "object": one(v.OBJECTS, v.OBJECTS, v.SPOTS, v.FOREIGN_DEVICES),
        "object2": one(v.OBJECTS, v.SPOTS), "topic": one(v.TOPICS, v.OBJECTS),
        "adjective": one(v.ADJECTIVES, v.ADJECTIVES, v.TRAITS), "adjective2": one(v.ADJECTIVES),
        "place": one(v.PLACES), "animal": one(v.ANIMALS), "animal2": one(v.ANIMALS),
        "verb": one(v.VERBS, v.CHORES, v.FOREIGN_ACTIONS), "abstract": one(v.ABSTRACT),
        "abstract2": one(v.ABSTRACT), "made": v.made_up(rng), "name": one(v.NAMES),
        "name2": one(v.NAMES), "food": one(v.FOODS), "food2": one(v.FOODS),
        "past": one(v.PAST_VERBS), "relative": one(RELATIVES), "colour": rng.choice(COLOURS),
        "number": spoken(rng.choice((rng.randint(0, 20), rng.randint(0, 200), rng.randint(0, 9999))), rng),
        "number2": spoken(rng.randint(0, 100), rng), "state": rng.choice(("on", "off")),
        "foreign": one(v.FOREIGN_DEVICES, v.FOREIGN_DEVICES, v.OBJECTS),
        "foreign_room": one(v.FOREIGN_ROOMS, v.FOREIGN_ROOMS, v.PLACES),
        "room": rng.choice(v.ROOMS), "device": rng.choice(v.DEVICES), "action": one(v.FOREIGN_ACTIONS),
    }  # fmt: skip


def _salad(draw: Draw) -> str:
    """Words in no order, with or without the small words of English."""
    rng = draw.rng
    words = [
        rng.choice(_LITTLE) if draw.chance(0.4) else draw.word(*_EVERY_WORD, strange=0.1)
        for _ in range(rng.choice((1, 2, 3, 4, 5, 6, 8, 11)))
    ]
    return " ".join(words)


def _noise(draw: Draw) -> str:
    """Keyboard noise, made-up words, other languages, digits and symbols."""
    rng = draw.rng
    kind = rng.randrange(6)
    count = rng.randint(1, 5)
    if kind == 0:
        letters = "abcdefghijklmnopqrstuvwxyz" if draw.chance(0.6) else "asdfghjkl qwertyuiop"
        return " ".join(
            "".join(rng.choice(letters) for _ in range(rng.randint(1, 9))) for _ in range(count)
        ).strip()
    if kind == 1:
        return " ".join(v.made_up(rng) for _ in range(count))
    if kind in (2, 3):
        start = rng.randrange(len(OTHER_TONGUES))
        near = OTHER_TONGUES[start : start + 14]
        return " ".join(rng.choice(near) for _ in range(count + 1))
    if kind == 4:
        return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 8))) + rng.choice(
            ("", "", ".5", "%", " euros", "!", " 7", "-12")
        )
    return (
        "".join(rng.choice("!?.,;:#*+-/()=&$@~ ") for _ in range(rng.randint(1, 6))).strip() or "?"
    )


def decline(draw: Draw) -> Dialogue:
    rng = draw.rng
    kind = rng.randrange(100)
    question = False
    if kind < 5:
        text = _salad(draw)
    elif kind < 9:
        text = _noise(draw)
    else:
        groups = ((QUESTIONS, True),) * 3 + ((COMMANDS, False),) * 3 + ((STATEMENTS, False),) * 2
        patterns, question = rng.choice((*groups, (TRAPS, False), (TRAPS, False), (TRAPS, False)))
        slots = _slots(draw)
        for name in ("clause", "clause2"):
            slots[name] = expand(rng.choice(CLAUSES), rng, _slots(draw))
        text = expand(draw.pattern(patterns), rng, slots)
    user = roughened(text, rng, question=question, wrap=kind >= 9 and draw.chance(0.5)).lower()
    return Dialogue("decline", user, (("assistant", DECLINE),))

# ruff: noqa: E501, SIM905 (lists read best with one pattern a line, words as prose)
"""Word lists of the generator. Nothing here comes from the hand-written test lists."""

from random import Random

from household.phrases import held_out

ROOMS: tuple[str, ...] = (
    "kitchen", "bedroom", "bathroom", "living room", "dining room", "hallway", "office", "garage",
    "nursery", "attic", "basement", "garden",
)  # fmt: skip
DEVICES = ("light", "lamp", "fan", "heater", "radio", "television", "oven", "speaker")
ROOM_SPOKEN = {
    "living room": ("living room",) * 6 + ("livingroom", "lounge", "sitting room"),
    "dining room": ("dining room",) * 6 + ("diningroom",),
    "hallway": ("hallway",) * 5 + ("hall", "corridor"),
    "office": ("office",) * 6 + ("study",),
    "attic": ("attic",) * 5 + ("loft",),
    "basement": ("basement",) * 5 + ("cellar",),
    "garden": ("garden",) * 5 + ("yard", "backyard"),
    "bathroom": ("bathroom",) * 6 + ("bath room",),
    "bedroom": ("bedroom",) * 6 + ("bed room",),
}
DEVICE_SPOKEN = {
    "television": ("television", "tv", "tv", "telly", "tv set"),
    "light": ("light",) * 6 + ("ceiling light", "lighting"),
    "heater": ("heater",) * 5 + ("heating", "radiator"),
    "speaker": ("speaker",) * 5 + ("loudspeaker",),
    "radio": ("radio",),
}

OBJECTS = """key phone charger passport wallet umbrella drill hammer screwdriver ladder torch battery
scissors tape glue needle thread iron kettle toaster pan pot plate cup glass spoon fork knife bowl
tray blanket pillow towel sheet curtain rug mat broom mop bucket vacuum basket box crate bag
suitcase backpack purse belt hat scarf glove coat jacket shirt shoe boot sock ring watch bracelet
necklace camera tripod laptop tablet printer cable adapter remote mouse keyboard headset book
magazine letter envelope stamp folder contract receipt bill ticket map calendar notebook pen pencil
brush paint canvas guitar piano drum flute ball racket skate ski helmet bike scooter tent rope
compass sunscreen medicine plaster thermometer inhaler toothbrush comb razor mirror shampoo soap
candle lighter match vase plant seed shovel rake hose mower saw nail screw bolt wrench pliers chisel
doll puzzle toy kite stroller crib bottle cat-food leash collar cage birthday-card gift
spare-tyre fuse bulb filter manual warranty deed visa licence certificate will diary sledge anorak
sweater pyjamas slippers goggles binoculars whistle lantern cooler thermos corkscrew grater whisk
sieve ladle apron napkin tablecloth coaster cushion stool drawer-key padlock chain hook""".split()
TRAITS = """red blue green yellow white black brown grey old new big small spare second broken heavy
light-blue wooden metal plastic leather silver golden round square long short thick thin soft good
best cheap favourite other tiny huge striped winter summer kids guest work school holiday""".split()
NAMES = """anna ben clara david emma frank greta henry ida jack karen leo maria nick olivia paul
rosa sam tina victor wendy yusuf zoe alice bob carol dan eve fiona george hannah ivan julia kevin
laura mike nora oscar petra quentin rachel steve theo ursula vera will xenia amir bianca carlos
dora elias felix gina hugo irene jonah kim lara mateo nina omar priya raj sofia tom uma mum dad
grandma auntie uncle-joe mister-smith doctor-brown the-boss the-neighbour""".split()
CHORES = """call phone text ring email visit meet write-to pick-up thank pay ask invite""".split()
VERBS = """buy fetch wash clean fix check charge pack unpack water feed bring move lift fold iron mend
paint sell order return collect renew print sign post send read find open close lock empty fill bake
cook peel chop freeze boil stir taste measure sort tidy sweep dust polish repair replace hide wrap
cut glue sew knit plant dig trim mow rake burn dry hang drop carry push pull count weigh study learn
practise finish start book cancel test record copy scan shred frame oil tune inflate""".split()
FOODS = """milk bread butter cheese eggs rice pasta flour sugar salt pepper apples bananas oranges
lemons grapes tomatoes potatoes onions garlic carrots spinach beans lentils chicken beef fish ham
yoghurt cream honey jam coffee tea juice water wine beer soup pizza salad cake cookies chocolate
cereal nuts olives mushrooms peppers tofu vinegar mustard ketchup""".split()
PLACES = """school work station airport library bank post-office bakery market museum church park
hospital pharmacy dentist gym pool beach theatre cinema stadium harbour bridge tower castle mall
shop restaurant bar hotel barber office-building factory farm zoo university town-hall""".split()
SPOTS = """drawer cupboard shelf wardrobe closet shed car basement attic kitchen garage bedroom hallway
office garden fridge freezer safe desk table chair sofa bed box basket bag coat-pocket toolbox
bathroom bookcase cabinet trunk locker pantry laundry-room porch balcony windowsill mailbox""".split()
PREPOSITIONS = "in on under behind beside above next-to near inside below at on-top-of".split()
CITIES = """paris london rome berlin madrid oslo cairo lima delhi boston denver miami dublin prague
athens seoul sydney moscow beijing lagos nairobi mumbai toronto chicago warsaw helsinki zurich
istanbul bangkok havana bogota santiago naples seville kyoto""".split()
COUNTRIES = """france spain italy germany poland egypt kenya india china japan canada mexico peru
chile brazil norway sweden finland greece turkey russia ukraine ireland scotland portugal austria
hungary vietnam thailand nepal cuba morocco nigeria australia argentina iceland""".split()
ANIMALS = """dog cat horse cow pig sheep goat lion tiger bear wolf fox rabbit mouse rat elephant giraffe
zebra monkey gorilla whale shark dolphin octopus eagle owl parrot penguin duck goose chicken snake
turtle frog spider ant bee butterfly camel kangaroo koala hippo""".split()
ABSTRACT = """love happiness freedom justice truth beauty gravity evolution democracy inflation
religion philosophy history music art science energy electricity magnetism photosynthesis climate
poverty war peace friendship anger fear hope luck fate money power fame health sleep culture
language grammar poetry fashion sport football tennis chess cricket swimming economy politics
capitalism blockchain algebra geometry chemistry biology physics psychology medicine yoga""".split()
TOPICS = """vampires volcanoes dinosaurs robots pirates ghosts planets comets rainbows earthquakes
oceans deserts jungles castles knights trains planes ships rockets bicycles motorcycles computers
phones movies novels songs operas paintings statues museums wines cheeses spices gardens flowers
trees birds insects vitamins vaccines diets marathons olympics elections taxes mortgages insurance
stocks coins stamps weddings funerals birthdays holidays horoscopes dreams""".split()
FAMOUS = """napoleon mozart shakespeare einstein newton cleopatra picasso beethoven darwin caesar
gandhi mandela lincoln churchill elvis madonna messi ronaldo plato socrates columbus tesla edison
galileo aristotle stalin lenin hamlet dracula sherlock-holmes harry-potter donald-duck santa-claus
queen-victoria the-pope the-prime-minister the-president marie-curie van-gogh""".split()
ADJECTIVES = """happy sad angry tired hungry thirsty busy bored funny strange nice terrible wonderful
awful boring exciting cold warm hot wet dry dark bright loud quiet fast slow cheap expensive easy
hard clever stupid brave lazy rich poor young early late clean dirty sick healthy strong weak famous
lonely lucky proud serious simple special sweet true wrong beautiful ugly""".split()
PAST_VERBS = """saw found lost bought sold broke painted cleaned built read wrote heard met visited
loved hated forgot missed watched ate drank cooked threw caught carried followed called asked helped
left taught drove climbed crossed wanted needed liked enjoyed""".split()
# Things with a switch that this house does not have.
FOREIGN_DEVICES = """fridge freezer blender mixer grill boiler shower bath tap toilet door gate
window blinds shutters alarm doorbell camera computer laptop phone tablet printer router modem
console projector clock car truck engine tractor boat plane rocket robot drone pump sprinkler
pool jacuzzi fireplace stove air-conditioning aircon humidifier vacuum lawnmower hoover iron
hairdryer kettle coffee-maker toaster-oven dryer siren elevator escalator carousel traffic-lights
satellite reactor turbine generator lighthouse telescope piano guitar flashlight headlights wifi
internet bluetooth gps screen monitor keyboard thermostat security-system video game music subtitles
location-services dark-mode autopilot hotspot caps-lock""".split()
FOREIGN_ROOMS = """car church school prison palace cave forest tunnel ship train bus plane submarine cinema
museum hotel library shop factory barn stable greenhouse shed tent igloo pool gym sauna balcony
terrace porch pantry closet wardrobe laundry-room ballroom dungeon tower lighthouse space-station moon
jungle desert volcano elevator staircase rooftop driveway street park playground classroom
conservatory workshop chapel throne-room waiting-room changing-room lobby""".split()
FOREIGN_ACTIONS = """paint clean sell buy move break wash steal describe repair draw photograph hide
polish measure insure replace remove destroy kick hug eat bury weigh sketch rent borrow return wrap
dismantle decorate admire ship unplug hack upgrade name rate review explain
compare recycle dust carry lift throw""".split()

_STARTS = (
    "b c d f g h j k l m n p r s t v w z br cr dr fl gr kl pl pr sk sl st tr vl zw sh th".split()
)
_MIDDLES = "a e i o u ai ea ee oa oo ou y".split()
_ENDS = ["", "", "", "b", "d", "k", "l", "m", "n", "p", "r", "s", "t", "x", "z", "ck", "nd", "rt"]


def made_up(rng: Random) -> str:
    """A word that does not exist, so that copying it cannot rest on having seen it."""
    return "".join(
        rng.choice(_STARTS) + rng.choice(_MIDDLES) + rng.choice(_ENDS)
        for _ in range(rng.choice((1, 1, 2, 2, 2, 2, 3)))
    )


def word(rng: Random, *lists: list[str], strange: float = 0.0, held: bool = False) -> str:
    """One entry of the lists (`-` stands for a space), or a made-up word.

    With `held` only entries that training never puts into free text are drawn.
    """
    if rng.random() < strange:
        return made_up(rng)
    entry = ""
    # A short list may hold nothing of the wanted kind.
    for _ in range(30):
        entry = rng.choice(rng.choice(lists))
        if held_out(entry, 9) == held:
            break
    return entry.replace("-", " ")

"""Real speech through the real engine: commands are understood, the rest is rejected."""

from random import Random

import numpy as np
import pytest
from stt_training.corpus import OUT_OF_DOMAIN, lines
from stt_training.household_tools import TOOLS
from stt_training.listening import Listener
from stt_training.voices import VOICES, in_room, say

from ensemble.testkit.fixtures import speak
from ensemble.testkit.fixtures.recognition_caller import Serve, kinds, transcripts
from ensemble.v1 import common_pb2, tool_pb2

pytestmark = pytest.mark.integration

COMMANDS = (
    "turn on the kitchen light",
    "turn off the bedroom lamp please",
    "is the garage heater on",
    "set a timer for five minutes",
    "what time is it",
    "remind me to feed the cat in ten minutes",
    "what is twelve plus seven",
    "where is my passport",
    "cancel the timer",
    "remember that the umbrella is in the garage",
    "what day is it today",
    "set the bathroom light to forty percent",
)
SPECS = [
    tool_pb2.ToolSpec(
        name=tool.name, input_schema_json=tool.input_schema, utterances=tool.utterances
    )
    for tool in TOOLS
]


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (48_000, 2)])
async def test_a_spoken_command_at_any_rate(serve: Serve, rate: int, channels: int) -> None:
    served = await serve(engine="pocketsphinx")
    speech = speak("turn on the kitchen light", rate=rate, lead=0.5, tail=1.0)
    caller = served.caller(
        tools=SPECS,
        interim_results=True,
        format=common_pb2.AudioFormat(
            encoding=common_pb2.AUDIO_ENCODING_PCM_S16LE,
            sample_rate_hertz=rate,
            channel_count=channels,
        ),
    )
    heard = await caller.hear(np.repeat(speech, channels), chunk=1001)
    assert caller.seen[0].started.engine == "pocketsphinx"
    assert kinds(heard) == [
        "speech_started", "transcript_delta", "speech_ended", "transcript_done", "done",
    ]  # fmt: skip
    (done,) = transcripts(heard)
    assert done.text == "turn on the kitchen light"
    assert not done.rejected
    assert 0.0 < done.confidence <= 1.0
    assert [word.text for word in done.words] == done.text.split()
    starts = [word.start_samples for word in done.words]
    assert starts == sorted(starts)
    assert starts[0] >= 0.3 * rate
    assert done.words[-1].end_samples <= len(speech)


async def test_what_no_tool_says_is_rejected(serve: Serve) -> None:
    served = await serve(engine="pocketsphinx")
    speech = speak("i would like to order a large pizza", lead=0.5, tail=1.0)
    (done,) = transcripts(await served.caller(tools=SPECS).hear(speech))
    assert done.rejected
    assert done.text == ""


@pytest.mark.timeout(600)  # two minutes of speech, and other work may go on beside it
def test_commands_are_understood_and_the_rest_rejected() -> None:
    listener = Listener(TOOLS)
    rng = np.random.default_rng(12)
    right = wrong = 0
    for number, text in enumerate(COMMANDS * 2):
        voice = VOICES[number % 4]
        heard = listener.listen(in_room(say(text, voice), rng=rng, noise=0.001, after=1.0))
        said = " ".join(each.transcript.text for each in heard).strip()
        right += said == text
        wrong += bool(said) and said != text
    assert right >= 0.75 * 2 * len(COMMANDS)
    assert wrong <= 0.15 * 2 * len(COMMANDS)
    outside = Random(5).sample(lines(OUT_OF_DOMAIN), 30)
    taken = 0
    for number, text in enumerate(outside):
        voice = VOICES[number % len(VOICES)]
        heard = listener.listen(in_room(say(text, voice), rng=rng, noise=0.001, after=1.0))
        taken += any(each.transcript.text for each in heard)
    assert taken <= 2


def test_an_answer_comes_soon_after_a_whole_sentence_and_pauses_are_waited_for() -> None:
    listener = Listener(TOOLS)
    rng = np.random.default_rng(13)
    delays = []
    cut_off = 0
    for text, first, second in (
        ("turn on the kitchen light", "turn on the", "kitchen light"),
        ("set a timer for five minutes", "set a timer for", "five minutes"),
        ("cancel the timer", "cancel", "the timer"),
        ("what is twelve plus seven", "what is twelve", "plus seven"),
        ("remind me to feed the cat in ten minutes", "remind me to", "feed the cat in ten minutes"),
    ):
        whole = say(text)
        heard = listener.listen(in_room(whole, rng=rng, noise=0.001, after=1.2))
        delays.append(heard[0].decided_at - 0.5 - len(whole) / 16_000)
        start = say(first)
        paused = in_room(start, say(second), rng=rng, noise=0.001, pause=0.4, after=1.2)
        heard = listener.listen(paused)
        cut_off += heard[0].decided_at < 0.5 + len(start) / 16_000 + 0.4
    assert np.median(delays) <= 0.36
    assert cut_off == 0

"""Synthesise a small corpus in VoxCeleb's layout with eSpeak NG; it proves an installation and nothing about accuracy.

eSpeak NG is GPL-3.0-or-later. mrlspk neither contains nor needs it: the extra ``demo`` installs its library and data
from the package ``espeakng-loader``, and they are loaded only here.
"""

import ctypes
from array import array
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.data.audio import save_m4a
from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.files import OnProgress

N_SESSIONS = 2
SESSION_PITCH = 3  # a speaker's pitch changes by up to this between sessions, of 100
SESSION_RATE = 8  # and the rate by up to this, words per minute
PEAK = 0.6
SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to a callback before synthesis returns
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1  # espeakCHARS_UTF8
FULL_SCALE = 32_768
INSTALL = "Type: pip install espeakng-loader (in an environment of uv: uv pip install espeakng-loader)"
type _Library = ctypes.CDLL
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
# Variants of eSpeak NG's voice that sound human, the most different ones first.
VARIANTS = (
    "m1", "f1", "m3", "f2", "m5", "f3", "m7", "f4", "Andy", "Annie", "Gene", "Alicia", "Lee", "Andrea", "Mario",
    "aunty", "Reed", "belinda", "Storm", "anika", "adam", "linda", "boris", "steph", "david", "f5", "pedro", "steph2",
    "quincy", "grandma", "travis", "steph3", "m2", "m4", "m6", "m8", "Michael", "Hugo", "Diogo", "Marco", "john",
    "ian", "paul", "rob", "victor", "zac", "max", "miguel", "norbert", "benjamin",
)  # fmt: skip
SENTENCES = {
    "en": (
        "The ferry leaves the harbour at seven in the morning.",
        "She planted two apple trees behind the old kitchen.",
        "Please put the heavy boxes next to the window.",
        "A cold wind blew down from the mountains all night.",
        "They counted the votes twice before closing the hall.",
        "My brother repairs clocks in a small shop by the river.",
        "Every winter the lake freezes and the children skate.",
        "The train was late, so we walked home in the rain.",
        "He reads the newspaper aloud while the coffee is brewing.",
        "Nobody knew which of the keys would open the garden gate.",
        "The museum shows maps that sailors drew by hand.",
        "We bought bread, yellow cheese and a basket of plums.",
    ),
    "de": (
        "Am Sonntag fahren wir mit dem Zug an die See.",
        "Der alte Gärtner schneidet im Februar die Rosen.",
        "Im Keller stehen noch zwei Kisten mit Äpfeln.",
        "Sie schreibt ihrer Schwester jede Woche einen Brief.",
        "Das Wetter wird morgen besser, sagt der Nachbar.",
        "Auf dem Markt gibt es frisches Brot und Honig.",
    ),
    "fr": (
        "Le boulanger ouvre sa boutique avant le lever du soleil.",
        "Nous avons traversé la rivière sur un vieux pont.",
        "Ma tante garde les photographies dans une boîte bleue.",
        "Il a plu toute la nuit sur les toits du village.",
        "Les enfants jouent au ballon derrière la gare.",
        "Elle apprend le piano depuis trois ans.",
    ),
    "es": (
        "El tren sale de la estación a las ocho y media.",
        "Mi abuela prepara una sopa de pescado los viernes.",
        "Los niños juegan en la plaza después de la escuela.",
        "Compramos naranjas y aceite en el mercado.",
        "El faro se ve desde la ventana de la cocina.",
        "Ayer llovió mucho y el río creció dos metros.",
    ),
}
LANGUAGES = ("en-us", "en", "de", "en-gb-scotland", "fr", "en-gb-x-rp", "es", "en-029")


@dataclass(frozen=True)
class Voice:
    """Settings of a synthetic speaker.

    Args:
        name: Language and variant, e.g. ``en-us+f2``.
        pitch: 0 to 100; 50 is the default of the variant.
        pitch_range: 0 to 100; liveliness of the intonation.
        words_per_minute: Speaking rate.
    """

    name: str
    pitch: int
    pitch_range: int
    words_per_minute: int


class Synthesiser:
    """Synthesise text; a process has one synthesiser, for one thread."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise _not_installed("the package espeakng-loader is not installed") from error
        try:
            self._library: _Library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise _not_installed(f"its library cannot be loaded ({error})") from error
        self._samples = array("h")
        self._callback = _Callback(self._collect)  # kept: the library holds only its address
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        if self.sample_rate <= 0:
            raise _not_installed("its data cannot be loaded")
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: Voice) -> NDArray[np.float32]:
        """Return ``text`` spoken by ``voice``, (samples,) at `sample_rate`.

        Raises:
            MrlspkError: If eSpeak NG has no such voice.
        """
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise MrlspkError("eSpeak NG has no such voice", voice.name)
        for parameter, value in ((RATE, voice.words_per_minute), (PITCH, voice.pitch), (RANGE, voice.pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples = array("h")
        content = text.encode()
        self._library.espeak_Synth(content, ctypes.c_size_t(len(content) + 1), 0, 0, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        waveform = np.array(self._samples, dtype=np.float32)
        waveform /= FULL_SCALE
        return waveform

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None) -> int:
        if samples and count:
            self._samples.extend(samples[:count])
        return 0  # continue


def make_voices(n_speakers: int, *, seed: int) -> tuple[Voice, ...]:
    """Return different voices: each variant in turn, with a language and a drawn pitch and rate."""
    rng = np.random.default_rng(seed)
    voices = []
    for number in range(n_speakers):
        lap, variant = divmod(number, len(VARIANTS))
        language = LANGUAGES[(number + lap) % len(LANGUAGES)]
        pitch, pitch_range, rate = (int(rng.integers(*limits)) for limits in ((25, 76), (30, 71), (140, 191)))
        voices.append(Voice(f"{language}+{VARIANTS[variant]}", pitch, pitch_range, rate))
    return tuple(voices)


def write_voices(
    root: Path,
    voices: dict[str, Voice],
    n_utterances: int,
    *,
    seed: int,
    on_progress: OnProgress | None = None,
) -> None:
    """Write ``n_utterances`` of each voice as ``root/speaker_id/session/NNNNN.m4a``, over two sessions.

    Args:
        root: Folder of the corpus.
        voices: Voice of each speaker id.
        n_utterances: Files per speaker.
        seed: Seed of the sentences and of the differences between sessions.
        on_progress: Called with (files written, files).

    Raises:
        MissingDependencyError: If eSpeak NG is absent.
    """
    synthesiser, total, done = Synthesiser(), len(voices) * n_utterances, 0
    for number, (speaker_id, voice) in enumerate(voices.items()):
        rng = np.random.default_rng([seed, number])
        texts = _choose_texts(voice, n_utterances, rng)
        for session, part in enumerate(np.array_split(np.arange(n_utterances), N_SESSIONS), start=1):
            folder = root / speaker_id / f"session{session:02}"
            folder.mkdir(parents=True, exist_ok=True)
            today = _vary(voice, rng)
            for place, index in enumerate(part, start=1):
                _write_utterance(synthesiser, texts[index], today, folder / f"{place:05}.m4a")
                done += 1
                if on_progress:
                    on_progress(done, total)


def _choose_texts(voice: Voice, n_texts: int, rng: np.random.Generator) -> list[str]:
    """Return sentences in the voice's language; none repeats before all were used."""
    language = voice.name.partition("+")[0]
    sentences = SENTENCES.get(language, SENTENCES["en"])
    laps = -(-n_texts // len(sentences))
    return [sentences[index] for _ in range(laps) for index in rng.permutation(len(sentences))][:n_texts]


def _vary(voice: Voice, rng: np.random.Generator) -> Voice:
    """Return the voice as it sounds in one session."""
    pitch, rate = (int(rng.integers(-limit, limit + 1)) for limit in (SESSION_PITCH, SESSION_RATE))
    return replace(voice, pitch=voice.pitch + pitch, words_per_minute=voice.words_per_minute + rate)


def _write_utterance(synthesiser: Synthesiser, text: str, voice: Voice, path: Path) -> None:
    waveform = synthesiser.speak(text, voice)
    waveform *= PEAK / np.abs(waveform).max()
    save_m4a(path, torch.from_numpy(waveform), waveform_rate=synthesiser.sample_rate)


def _not_installed(why: str) -> MissingDependencyError:
    return MissingDependencyError(f"eSpeak NG is needed for synthetic voices: {why}", fix=INSTALL)

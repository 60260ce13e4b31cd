"""eSpeak NG, a speech synthesiser, through its C interface.

eSpeak NG is GPL-3.0-or-later. mrlspk neither holds nor needs it: the extra ``demo`` installs its library and data from
the package ``espeakng-loader``, and they are loaded only here.
"""

import ctypes
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MissingDependencyError, MrlspkError

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to a callback before synthesis returns
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1  # espeakCHARS_UTF8
FULL_SCALE = 32_768
INSTALL = "Type: pip install espeakng-loader (in an environment of uv: uv pip install espeakng-loader)"

type _Library = ctypes.CDLL
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """How a synthetic speaker sounds.

    Args:
        name: Language and variant, e.g. ``en-us+f2``.
        pitch: 0 to 100; 50 is the variant's own.
        pitch_range: 0 to 100; how lively the melody is.
        words_per_minute: Rate of speech.
    """

    name: str
    pitch: int
    pitch_range: int
    words_per_minute: int


class Synthesiser:
    """Text to waveforms; there is one synthesiser in a process, and one thread may use it."""

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
        """Return ``text`` said by ``voice``, (samples,) at `sample_rate`.

        Raises:
            MrlspkError: If there is no such voice.
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
        return 0  # go on


def _not_installed(why: str) -> MissingDependencyError:
    return MissingDependencyError(f"eSpeak NG is needed for synthetic voices: {why}", fix=INSTALL)

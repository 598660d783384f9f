"""Call eSpeak NG by ctypes, through the library that the package espeakng-loader brings."""

from __future__ import annotations

import ctypes

import numpy as np

from ...compat import require
from ...errors import UserError

SYNCHRONOUS = 2  # espeak_Initialize: hand the samples to the callback, play nothing
DO_NOT_EXIT = 0x8000  # espeak_Initialize: return an error instead of ending the process
UTF8 = 1
RATE, PITCH = 1, 3  # espeak_SetParameter
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The speech synthesiser eSpeak NG: one per process, and only one corpus per process.

    The breath in its voices goes on from sentence to sentence: the same sentences in the same order from a
    fresh process with the same seed give the same samples, anything else does not.
    """

    def __init__(self, seed: int) -> None:
        """Load the library; raises UserError when espeakng-loader is not installed or its voices are not found."""
        require("demo", "espeakng_loader", purpose="synthetic speech")
        import espeakng_loader

        self._library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        voices = str(espeakng_loader.get_data_path())
        self.sample_rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, voices.encode(), DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise UserError(f"eSpeak NG cannot read its voices in {voices}; install espeakng-loader again")
        # espeak_Initialize has seeded the breath noise with the time of day.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,  # text
            ctypes.c_size_t,  # its bytes
            ctypes.c_uint,  # position
            ctypes.c_int,  # position_type
            ctypes.c_uint,  # end_position
            ctypes.c_uint,  # flags
            ctypes.c_void_p,  # unique_identifier
            ctypes.c_void_p,  # user_data
        ]
        self._pieces: list[np.ndarray] = []
        self._callback = CALLBACK(self._keep)  # an attribute, or it would be collected while C holds it
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, language: str, variant: str, words_per_minute: int, pitch: int) -> np.ndarray:
        """Synthesise ``text``; returns (frames,) float32 at ``sample_rate``. pitch: 0 to 100, 50 is normal.

        Raises:
            UserError: eSpeak NG does not know the language.
        """
        if self._library.espeak_SetVoiceByName(f"{language}+{variant}".encode()) != 0:
            raise UserError(f"eSpeak NG has no language {language!r}")
        self._library.espeak_SetParameter(RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(PITCH, pitch, 0)
        self._pieces.clear()
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, UTF8, None, None)
        if not self._pieces:
            return np.zeros(0, dtype=np.float32)
        return np.concatenate(self._pieces).astype(np.float32) / 32768

    def _keep(self, samples, count, _events) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

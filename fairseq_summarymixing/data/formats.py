"""Tell audio files that can be read here from others, by their names, and name what converts the others."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection
from pathlib import PurePath

import soundfile

# Extensions of libsndfile's formats that have a header and hold recordings
FORMATS = {
    "WAV": ("wav", "wave"),
    "RF64": ("rf64",),
    "W64": ("w64",),
    "FLAC": ("flac",),
    "OGG": ("ogg", "oga", "opus"),
    "MP3": ("mp3", "mp2", "mp1", "mpga"),
    "AIFF": ("aiff", "aif", "aifc"),
    "AU": ("au", "snd"),
    "CAF": ("caf",),
    "NIST": ("sph", "nist", "wv1", "wv2"),
    "VOC": ("voc",),
    "AVR": ("avr",),
    "IRCAM": ("ircam", "sf"),
    "HTK": ("htk",),
    "PAF": ("paf",),
    "PVF": ("pvf",),
    "SVX": ("svx", "8svx", "iff"),
}
# What no version of libsndfile reads, by what does
FFMPEG = frozenset(
    "m4a m4b m4r m4v mp4 aac adts webm weba mka mkv mov avi wma wmv asf amr awb 3gp 3g2 ac3 eac3 ape wv tta dts spx "
    "mpc ra rm ogv ogx flv mpg mpeg".split()
)
SOX = frozenset("raw pcm ul al ulaw alaw gsm g722 vox".split())  # without a header
SPH2PIPE = frozenset("sph nist wv1 wv2 shn".split())  # where compressed


def readable_extensions() -> tuple[str, ...]:
    """Return the extensions whose format the installed libsndfile reads."""
    formats = soundfile.available_formats()
    readable = [extension for name, extensions in FORMATS.items() if name in formats for extension in extensions]
    if "OPUS" not in soundfile.available_subtypes("OGG"):
        readable.remove("opus")
    return tuple(readable)


EXTENSIONS = readable_extensions()
AUDIO = frozenset(extension for extensions in FORMATS.values() for extension in extensions) | FFMPEG | SOX | SPH2PIPE


def extension_of(path: str) -> str:
    """Return the end of a file's name, in small letters and without the dot."""
    return PurePath(path).suffix[1:].lower()


def is_audio(path: str) -> bool:
    """Return whether a file is a recording by its name, readable or not."""
    return extension_of(path) in AUDIO


def why_passed_over(path: str, extensions: Collection[str]) -> str:
    """Return why a recording is passed over, whose extension is not one of ``extensions``, and how to convert it."""
    extension = extension_of(path)
    if extension in EXTENSIONS:
        return f".{extension} is not one of `extensions`, {', '.join(extensions)}"
    if extension in SOX:
        return f".{extension} has no header with rate and format; {how_to_convert(path)}"
    return f"libsndfile {soundfile.__libsndfile_version__} does not read .{extension}; {how_to_convert(path)}"


def how_to_convert(path: str) -> str:
    """Return the command that makes a WAV file of a recording that libsndfile does not read."""
    extension = extension_of(path)
    name, target = PurePath(path).name, f"{PurePath(path).stem}{'-16k' if extension == 'wav' else ''}.wav"
    name, target = quoted(name), quoted(target)
    if extension in SOX:
        return f"convert it, with its own rate and format: sox -t raw -r 8000 -e mu-law -c 1 {name} {target}"
    if extension in SPH2PIPE:
        return f"convert it: sph2pipe -f wav {name} {target}, or sox {name} {target}"
    return f"convert it: ffmpeg -i {name} -ar 16000 -ac 1 {target}"


def quoted(name: str) -> str:
    """Return a file's name as a shell takes it, in one line."""
    name = f"./{name}" if name.startswith("-") or ":" in name else name  # ffmpeg takes what ends in ":" for a protocol
    if name.isprintable():
        return shlex.quote(name)
    escaped = name.replace("\\", r"\\").replace("'", r"\'")
    return "$'" + "".join(one if one.isprintable() else _escape(one) for one in escaped) + "'"


def _escape(character: str) -> str:
    if character.isascii():
        return repr(character)[1:-1]
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))  # of bash \x is a byte

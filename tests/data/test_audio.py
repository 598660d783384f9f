import os
import re

import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.data.audio import (
    BadAudio,
    probe,
    read_mono,
    resample,
    write_flac,
)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_header_gives_frames_rate_and_channels(tmp_path, write_tone, ending):
    info = probe(write_tone(tmp_path / f"a.{ending}", 0.5, 8000, channels=2))
    assert (info.frames, info.sample_rate, info.channels, info.seconds) == (4000, 8000, 2, 0.5)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_cut_file_is_refused_without_decoding_it(tmp_path, write_tone, ending):
    path = write_tone(tmp_path / f"a.{ending}", 2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadAudio, match="truncated|no samples|not readable"):
        probe(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_files_that_are_whole_pass_and_cut_ones_do_not(tmp_path, write_tone, subtype):
    path = write_tone(tmp_path / "a.ogg", 8, subtype=subtype)
    whole = path.read_bytes()
    pages = [place.start() for place in re.finditer(b"OggS", whole)]
    for content in (whole, whole * 2, whole + b"TAG of a player"):  # * 2: a chain of two streams
        path.write_bytes(content)
        assert probe(path).frames >= 8 * 16000
    for size in (pages[-1], pages[-1] + 10, len(whole) - 1):
        path.write_bytes(whole[:size])
        for read in (probe, read_mono):
            with pytest.raises(BadAudio, match="truncated|not readable"):
                read(path)


def test_a_wav_written_into_a_pipe_is_fine_though_its_header_declares_no_real_length(tmp_path, write_tone):
    path = write_tone(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert probe(path).frames == 8000


@pytest.mark.parametrize(
    "content, reason", [(b"", "empty file"), (b"this is text\n" * 50, "not readable"), (None, "No such file")]
)
def test_what_is_no_audio_is_refused_with_the_reason(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(BadAudio, match=reason):
        probe(tmp_path / "a.wav")


def test_16_bit_samples_are_written_as_they_are(tmp_path):
    samples = np.array([-32768, -1, 0, 1, 12345, 32767], dtype=np.int16)
    write_flac(tmp_path / "a.flac", samples)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.flac", dtype="int16")[0], samples)


def test_channels_are_averaged(tmp_path, write_tone, tone):
    samples, rate = read_mono(write_tone(tmp_path / "a.wav", channels=2, subtype="FLOAT"))
    assert rate == 16000
    np.testing.assert_allclose(samples, 0.75 * tone(), atol=1e-6)


def test_nan_samples_are_found_when_decoding(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(800, np.nan), 16000, subtype="FLOAT")
    probe(tmp_path / "a.wav")
    with pytest.raises(BadAudio, match="NaN"):
        read_mono(tmp_path / "a.wav")


@pytest.mark.parametrize("largest, refused", [(3e38, True), (-1e11, True), (2.0**31, False)])
def test_samples_that_no_scale_explains_are_refused_when_decoding(tmp_path, largest, refused):
    soundfile.write(tmp_path / "a.wav", np.array([0.1, largest, -0.1] * 100), 16000, subtype="FLOAT")
    if refused:
        with pytest.raises(BadAudio, match="full scale is 1"):
            read_mono(tmp_path / "a.wav")
    else:
        assert read_mono(tmp_path / "a.wav")[0].max() == largest


@pytest.mark.parametrize("rate, refused", [(1, True), (999, True), (1_000_000, True), (1000, False), (768_000, False)])
def test_sample_rates_that_are_damage_are_refused(tmp_path, rate, refused):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), rate)
    for read in (probe, read_mono):
        if refused:
            with pytest.raises(BadAudio, match=f"a sample rate of {rate} Hz; expected 1000 to 768000 Hz"):
                read(tmp_path / "a.wav")
        else:
            read(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone_and_the_duration(rate, tone):
    pytest.importorskip("scipy")
    resampled = resample(tone(1, rate), rate)
    assert resampled.shape == (16000,)
    # The filter rings at the edges; in between it is the same tone.
    np.testing.assert_allclose(resampled[1000:-1000], tone(1, 16000)[1000:-1000], atol=2e-3)


def test_resampling_removes_what_16_khz_cannot_hold(tone):
    pytest.importorskip("scipy")
    assert np.abs(resample(tone(1, 48000, frequency=12000), 48000)[1000:-1000]).max() < 0.01


def test_loud_samples_are_clipped_not_wrapped_round(tmp_path):
    write_flac(tmp_path / "a.flac", np.array([2.0, -2.0, 0.5] * 100))
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.flac")[0][:3], [1, -1, 0.5], atol=1e-4)


def test_a_name_that_is_no_utf8_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(1600), 16000)
    (tmp_path / "x.wav").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    with pytest.raises(BadAudio, match="its name is no UTF-8"):
        probe(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    with pytest.raises(BadAudio, match="its name holds a NUL character"):
        probe(tmp_path / "a\0b.wav")

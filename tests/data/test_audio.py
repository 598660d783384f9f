import numpy as np
import pytest
import soundfile

from fairseq_summarymixing.data.audio import (
    BadAudio,
    probe,
    read_mono,
    resample,
    write_flac,
    write_flac_copy,
)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_header_tells_frames_rate_and_channels(tmp_path, write_tone, ending):
    info = probe(write_tone(tmp_path / f"a.{ending}", 0.5, 8000, channels=2))
    assert (info.frames, info.sample_rate, info.channels, info.seconds) == (4000, 8000, 2, 0.5)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_a_cut_file_is_refused_without_decoding_it(tmp_path, write_tone, ending):
    path = write_tone(tmp_path / f"a.{ending}", 2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadAudio, match="truncated|no samples|not readable"):
        probe(path)


def test_a_wav_written_into_a_pipe_is_fine_though_its_header_declares_no_real_length(tmp_path, write_tone):
    path = write_tone(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert probe(path).frames == 8000


@pytest.mark.parametrize(
    "content, reason", [(b"", "0 bytes"), (b"this is text\n" * 50, "not readable"), (None, "No such file")]
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


def test_a_copy_is_kept_until_its_source_changes(tmp_path, write_tone):
    source, target = write_tone(tmp_path / "a.wav"), tmp_path / "copies" / "a.flac"
    assert write_flac_copy(source, target).frames == 8000
    written = target.stat().st_mtime_ns
    write_flac_copy(source, target)
    assert target.stat().st_mtime_ns == written
    write_tone(source, 1.0)
    assert write_flac_copy(source, target).frames == 16000
    target.write_bytes(b"damaged")
    assert write_flac_copy(source, target).frames == probe(target).frames == 16000

//! The fax tones: CED (2100 Hz, T.30 §4.2.1) and CNG (1100 Hz, §4.1.1).

use crate::TICK_SAMPLES;

/// Hears a fax tone in 8 kHz audio.
#[derive(Default)]
pub struct ToneListener {
    ticks: u32,
}

/// A tone counts after 300 ms: CNG lasts 500 ms, CED 2.6 s; speech and ringing don't stay that pure.
const TICKS: u32 = 15;

/// 20 ms resolve 50 Hz, and CNG may be off by 38 Hz, CED by 15 Hz (T.30 §4.1.1, §4.2.1).
const LISTEN_AT: [f32; 4] = [1075.0, 1100.0, 1125.0, 2100.0];

impl ToneListener {
    /// A tick of audio; `true` while a fax tone lasts.
    pub fn hear(&mut self, audio: &[i16; TICK_SAMPLES]) -> bool {
        let energy: f32 = audio.iter().map(|&sample| f32::from(sample).powi(2)).sum();
        // Below -45 dBm0 there is nothing to hear (T.30 allows tones down to -43 dBm at the receiver).
        let loud = energy / TICK_SAMPLES as f32 > 80.0f32.powi(2);
        let pure = LISTEN_AT
            .into_iter()
            .any(|hertz| tone_energy(audio, hertz) > 0.6 * energy);
        self.ticks = if loud && pure { self.ticks + 1 } else { 0 };
        self.ticks >= TICKS
    }
}

/// The energy of the component at `hertz` (Goertzel).
fn tone_energy(audio: &[i16; TICK_SAMPLES], hertz: f32) -> f32 {
    let turn = 2.0 * (std::f32::consts::TAU * hertz / 8000.0).cos();
    let (mut one, mut two) = (0.0f32, 0.0f32);
    for &sample in audio {
        (one, two) = (f32::from(sample) + turn * one - two, one);
    }
    2.0 * (one * one + two * two - turn * one * two) / TICK_SAMPLES as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, amplitude: f32, tick: usize) -> [i16; TICK_SAMPLES] {
        std::array::from_fn(|i| {
            let t = (tick * TICK_SAMPLES + i) as f32 / 8000.0;
            ((std::f32::consts::TAU * hertz * t).sin() * amplitude) as i16
        })
    }

    fn heard(hertz: f32, amplitude: f32) -> bool {
        let mut listener = ToneListener::default();
        (0..25).any(|tick| listener.hear(&tone(hertz, amplitude, tick)))
    }

    #[test]
    fn fax_tones_are_heard_and_others_are_not() {
        for hertz in [1100.0, 1070.0, 1130.0, 2100.0, 2085.0, 2115.0] {
            assert!(heard(hertz, 3000.0), "{hertz} Hz");
        }
        for hertz in [425.0, 950.0, 1400.0, 1800.0] {
            assert!(!heard(hertz, 3000.0), "{hertz} Hz");
        }
        assert!(!heard(1100.0, 20.0), "too quiet");
    }

    #[test]
    fn a_short_tone_is_not_enough() {
        let mut listener = ToneListener::default();
        for tick in 0..10 {
            assert!(!listener.hear(&tone(1100.0, 3000.0, tick)));
        }
        assert!(!listener.hear(&[0; TICK_SAMPLES]));
        for tick in 0..10 {
            assert!(!listener.hear(&tone(1100.0, 3000.0, tick)));
        }
    }
}

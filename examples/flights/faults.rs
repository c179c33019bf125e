//! Which messages fail on purpose, and what becomes of the actor that failed?
//!
//! With `--faults P` every parser, supervisor and counting actor tosses a coin at the head of `receive`, before it
//! acts. The coin decides between going on, an error (answered with resume: the actor keeps its state) and a panic
//! (answered with restart: it gets a new one). Nothing is exempt, the last questions for the table included.
//!
//! # Invariants
//!
//! * A coin's tosses follow from the seed, the actor's name and its incarnation alone. Each incarnation has tosses of
//!   its own: if a new one repeated those of the one that failed, it would fail at the same message for ever.
//! * With probability 0 nothing is drawn at all.

use std::fmt;
use std::sync::Once;

use omnitron::RecoveryError;
use omnitron::prelude::{Directive, Failure, Supervision};

/// How often actors fail, and from which seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Faults {
    /// The probability that a message fails, from 0 to below 1.
    pub(crate) chance: f64,
    /// Where all randomness comes from.
    pub(crate) seed: u64,
}

impl Faults {
    /// The coin of one incarnation of one actor.
    pub(crate) fn coin(self, actor: &str, incarnation: u64) -> Coin {
        let mut random = SplitMix64(self.seed);
        for byte in actor.bytes() {
            random = SplitMix64(random.next() ^ u64::from(byte));
        }
        Coin { chance: self.chance, random: SplitMix64(random.next() ^ incarnation) }
    }
}

/// Decides for one incarnation of one actor which of its messages fail.
#[derive(Clone, Debug)]
pub(crate) struct Coin {
    chance: f64,
    random: SplitMix64,
}

/// How a message fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Error,
    Panic,
}

impl Coin {
    /// Tosses, and fails if the coin says so. Called before the message changed anything.
    ///
    /// # Errors
    ///
    /// [`Injected`], half of the times.
    ///
    /// # Panics
    ///
    /// The other half of the times.
    pub(crate) fn toss(&mut self) -> Result<(), Injected> {
        match self.draw() {
            None => Ok(()),
            Some(Fault::Error) => Err(Injected),
            Some(Fault::Panic) => panic!("{PANIC_TEXT}"),
        }
    }

    fn draw(&mut self) -> Option<Fault> {
        if self.chance <= 0.0 {
            return None;
        }
        let drawn = self.random.next();
        let fails =
            f64::from(u32::try_from(drawn >> 32).unwrap_or(u32::MAX)) < self.chance * f64::from(u32::MAX);
        fails.then_some(if drawn & 1 == 0 { Fault::Error } else { Fault::Panic })
    }
}

/// Steele, Lea and Flood's generator: eight lines with a full period, and the same numbers on every machine and with
/// every version of every library, which `--seed` promises.
#[derive(Clone, Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The error half of the injected faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injected;

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("injected error")
    }
}

impl std::error::Error for Injected {}

/// How every actor of this program is supervised: an injected error did no harm, so the actor goes on; anything else
/// gets a fresh one. Without a limit, because failing all the time is what `--faults` asks for; a fault that is not
/// injected and never goes away still ends the program, through the patience of whoever asks (`patience.rs`).
pub(crate) fn supervision() -> Supervision {
    Supervision::restart().unlimited().decide(|failure: &Failure| match failure.downcast_ref::<Injected>() {
        Some(Injected) => Directive::Resume,
        // What the journal holds is the same next time.
        None if failure.downcast_ref::<RecoveryError>().is_some() => Directive::Stop,
        None => Directive::Restart,
    })
}

/// What an injected panic says.
const PANIC_TEXT: &str = "injected panic";

/// Keeps injected panics off stderr, where all others still go: they are counted, and there may be millions.
pub(crate) fn silence_injected_panics() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(PANIC_TEXT) {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(mut coin: Coin, times: usize) -> Vec<Option<Fault>> {
        (0..times).map(|_| coin.draw()).collect()
    }

    #[test]
    fn the_same_seed_actor_and_incarnation_fail_at_the_same_messages_and_others_do_not() {
        let faults = Faults { chance: 0.5, seed: 1 };
        let first = draws(faults.coin("fleet/N1", 1), 100);
        assert_eq!(first, draws(faults.coin("fleet/N1", 1), 100));
        assert_ne!(first, draws(faults.coin("fleet/N1", 2), 100));
        assert_ne!(first, draws(faults.coin("fleet/N2", 1), 100));
        assert_ne!(first, draws(Faults { seed: 2, ..faults }.coin("fleet/N1", 1), 100));
    }

    #[test]
    fn messages_fail_as_often_as_asked_half_of_them_by_panic() {
        let drawn = draws(Faults { chance: 0.3, seed: 1 }.coin("fleet", 1), 10_000);
        let count = |fault| drawn.iter().filter(|&&f| f == Some(fault)).count();
        assert!((1_350..1_650).contains(&count(Fault::Error)), "{}", count(Fault::Error));
        assert!((1_350..1_650).contains(&count(Fault::Panic)), "{}", count(Fault::Panic));
    }

    #[test]
    fn nothing_fails_with_probability_zero() {
        assert!(draws(Faults { chance: 0.0, seed: 1 }.coin("fleet", 1), 1_000).iter().all(Option::is_none));
    }
}

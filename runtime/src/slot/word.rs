//! Where does a question stand, in one word that is exchanged as a whole?
//!
//! The number of the question, its phase, and what lies aside for it: a waker, a chain, a trace. Whoever wants to know
//! whether he may settle it looks at nothing else.
//!
//! # Invariants
//!
//! * Numbers grow by one per question and wrap, after more questions than a slot lives to see.
//! * The next question begins with no flag of the last one.

/// Where a question stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nobody asks.
    Idle,
    /// The target has not begun.
    Queued,
    /// The target has begun.
    Claimed,
    /// The reply lies in the slot.
    Replied,
    /// There will be no reply.
    Lost(Loss),
    /// The asker has gone.
    Left,
}

/// Why there will be no reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loss {
    /// The message was dropped before the target began.
    Unhandled,
    /// The deadline passed before the target began.
    Expired,
    /// The deadline passed after the target had begun.
    TimedOut,
    /// The reply was dropped.
    Abandoned,
    /// The reply was dropped by a panic.
    Crashed,
    /// The reply was dropped because what the target needs is not available, before it acted.
    Unavailable,
    /// The reply was dropped because nobody knows whether what the target did will last.
    Unconfirmed,
}

/// The asker has left a waker.
pub(super) const WAITS: u64 = 1 << 4;
/// Handlers wait for the question: they are named aside.
pub(super) const CHAINED: u64 = 1 << 5;
/// The message carries a trace or a baggage, which lie aside.
pub(super) const LOADED: u64 = 1 << 6;

const PHASE: u64 = 0b1111;
const NUMBER: u32 = 8;

/// Number, flags and phase.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) fn phase(self) -> Phase {
        match self.0 & PHASE {
            1 => Phase::Queued,
            2 => Phase::Claimed,
            3 => Phase::Replied,
            4 => Phase::Left,
            5 => Phase::Lost(Loss::Unhandled),
            6 => Phase::Lost(Loss::Expired),
            7 => Phase::Lost(Loss::TimedOut),
            8 => Phase::Lost(Loss::Abandoned),
            9 => Phase::Lost(Loss::Crashed),
            10 => Phase::Lost(Loss::Unavailable),
            11 => Phase::Lost(Loss::Unconfirmed),
            _ => Phase::Idle,
        }
    }

    pub(super) fn in_phase(self, phase: Phase) -> Self {
        let bits = match phase {
            Phase::Idle => 0,
            Phase::Queued => 1,
            Phase::Claimed => 2,
            Phase::Replied => 3,
            Phase::Left => 4,
            Phase::Lost(Loss::Unhandled) => 5,
            Phase::Lost(Loss::Expired) => 6,
            Phase::Lost(Loss::TimedOut) => 7,
            Phase::Lost(Loss::Abandoned) => 8,
            Phase::Lost(Loss::Crashed) => 9,
            Phase::Lost(Loss::Unavailable) => 10,
            Phase::Lost(Loss::Unconfirmed) => 11,
        };
        Self(self.0 & !PHASE | bits)
    }

    /// Whether the question can still be settled.
    pub(super) fn is_open(self) -> bool {
        matches!(self.phase(), Phase::Queued | Phase::Claimed)
    }

    /// The next question.
    pub(super) fn next(self) -> Self {
        Self(self.number().wrapping_add(1) << NUMBER).in_phase(Phase::Queued)
    }

    pub(super) fn number(self) -> u64 {
        self.0 >> NUMBER
    }

    /// Whether one of these flags is set.
    pub(super) fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    pub(super) fn with(self, flags: u64) -> Self {
        Self(self.0 | flags)
    }
}

#[cfg(all(test, not(omnitron_loom)))]
mod tests {
    use super::*;

    const PHASES: [Phase; 12] = [
        Phase::Idle,
        Phase::Queued,
        Phase::Claimed,
        Phase::Replied,
        Phase::Left,
        Phase::Lost(Loss::Unhandled),
        Phase::Lost(Loss::Expired),
        Phase::Lost(Loss::TimedOut),
        Phase::Lost(Loss::Abandoned),
        Phase::Lost(Loss::Crashed),
        Phase::Lost(Loss::Unavailable),
        Phase::Lost(Loss::Unconfirmed),
    ];

    #[test]
    fn a_phase_comes_out_as_it_went_in_and_leaves_number_and_flags_alone() {
        let word = Word::default().next().next().with(WAITS | LOADED);
        for phase in PHASES {
            let there = word.in_phase(phase);
            assert_eq!(there.phase(), phase);
            assert_eq!(there.number(), 2);
            assert!(there.has(WAITS) && there.has(LOADED) && !there.has(CHAINED));
        }
        assert_eq!(PHASES.into_iter().filter(|phase| word.in_phase(*phase).is_open()).count(), 2);
    }

    #[test]
    fn the_next_question_is_queued_has_another_number_and_no_flags() {
        let word = Word::default().with(WAITS | CHAINED | LOADED).in_phase(Phase::Left).next();
        assert_eq!((word.phase(), word.number()), (Phase::Queued, 1));
        assert!(!word.has(WAITS | CHAINED | LOADED));
    }
}

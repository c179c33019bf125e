//! Forwards and backwards, by sequence and by time.

use omnitron_persistence::timeline::{Origin, TimelineError};
use omnitron_persistence::{Effect, EventSourced, Scope, Sequence};

use crate::world::{Account, AccountEvent, Balance, Pen, at, change, deposited, withdrawn};

/// The states behind 0, 1, 2 … events.
fn states(events: &[AccountEvent]) -> Vec<Balance> {
    let mut state = Balance::default();
    let behind = events.iter().map(|event| {
        change(&mut state, event);
        state.clone()
    });
    std::iter::once(Balance::default()).chain(behind.collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn it_goes_forwards_and_backwards_one_by_one() {
    let events = [deposited(5), deposited(7), withdrawn(2, "tea")];
    let (pen, states) = (Pen::with(events.clone()), states(&events));
    let mut past = pen.open().await.unwrap();
    assert_eq!(
        (past.sequence(), past.end(), past.origin()),
        (Sequence::ZERO, Sequence::new(3), Origin::Beginning)
    );
    assert!(past.event().is_none() && past.diff().is_empty());
    for n in 1..=3 {
        assert!(past.step_forward().await.unwrap());
        assert_eq!((past.state(), past.event()), (&states[n], Some(&events[n - 1])));
    }
    assert_eq!(
        past.diff().to_string(),
        " Balance {\n-    cents: 12,\n-    events: 2,\n-    note: \"\",\n+    cents: 10,\n+    events: 3,\n+    note: \"tea\",\n }\n"
    );
    assert!(!past.step_forward().await.unwrap());
    for n in (0..3).rev() {
        assert!(past.step_back().await.unwrap());
        assert_eq!((past.state(), past.sequence().get()), (&states[n], n as u64));
    }
    assert!(!past.step_back().await.unwrap());
}

#[tokio::test]
async fn a_moment_is_in_front_of_the_first_event_that_is_later() {
    let pen = Pen::with((1..=5).map(deposited));
    let mut past = pen.open().await.unwrap();
    for (millis, sequence) in
        [(1_000, 1), (1_999, 1), (3_000, 3), (2_999, 2), (5_000, 5), (9_000, 5), (1_000, 1)]
    {
        past.rewind_to(at(millis)).await.unwrap();
        assert_eq!(past.sequence().get(), sequence, "at {millis} ms");
    }
    let moment = past.moment().unwrap();
    assert_eq!((moment.at, &*moment.event, moment.version), (at(1_000), "account.deposited", 1));
}

#[tokio::test]
async fn where_a_clock_went_back_an_event_counts_as_no_earlier_than_those_before_it() {
    let mut pen = Pen::new();
    for millis in [1_000, 5_000, 2_000, 6_000] {
        pen.write(&deposited(1), millis);
    }
    let mut past = pen.open().await.unwrap();
    past.to_end().await.unwrap();
    for (millis, sequence) in [(2_000, 1), (4_999, 1), (5_000, 3), (6_000, 4), (2_500, 1)] {
        past.rewind_to(at(millis)).await.unwrap();
        assert_eq!(past.sequence().get(), sequence, "at {millis} ms");
    }
}

#[tokio::test]
async fn what_there_is_no_state_of_is_an_error_and_the_place_stays() {
    let pen = Pen::with((1..=5).map(deposited));
    let mut past = pen.open().await.unwrap();
    past.rewind_to(2).await.unwrap();
    let error = past.rewind_to(6).await.unwrap_err();
    assert!(matches!(error, TimelineError::BehindEnd { .. }), "{error}");
    let error = past.rewind_to(at(999)).await.unwrap_err();
    assert!(
        matches!(&error, TimelineError::BeforeFirst { known_from, .. } if *known_from == at(1_000)),
        "{error}"
    );
    assert_eq!((past.sequence().get(), past.state().cents), (2, 3));
}

#[tokio::test]
async fn the_difference_between_two_places_is_that_of_their_states() {
    let pen = Pen::with((1..=5).map(deposited));
    let mut past = pen.open().await.unwrap();
    past.to_end().await.unwrap();
    let difference = past.diff_since(2).await.unwrap();
    assert_eq!(
        difference.to_string(),
        " Balance {\n-    cents: 3,\n-    events: 2,\n+    cents: 15,\n+    events: 5,\n     note: \"\",\n }\n"
    );
    assert_eq!((past.sequence().get(), past.state().cents), (5, 15));
}

#[tokio::test]
async fn what_is_written_later_is_seen_after_a_refresh() {
    let mut pen = Pen::with((1..=2).map(deposited));
    let mut past = pen.open().await.unwrap();
    pen.write(&deposited(3), 3_000);
    past.to_end().await.unwrap();
    assert_eq!(past.sequence().get(), 2);
    assert_eq!(past.refresh().await.unwrap(), 1);
    past.to_end().await.unwrap();
    assert_eq!((past.sequence().get(), past.state().cents), (3, 6));
}

#[tokio::test]
async fn whatever_is_kept_the_state_of_a_place_is_the_same() {
    let events: Vec<_> = (1..=300).map(deposited).filter(|event| *event != deposited(13)).collect();
    let (pen, states) = (Pen::with(events.clone()), states(&events));
    let openings = [
        pen.opening::<Account>(),
        pen.opening::<Account>().clones(),
        pen.opening::<Account>().snapshots(),
        pen.opening::<Account>().clones().kept(1),
        pen.opening::<Account>().snapshots().kept(3),
        pen.opening::<Account>().clones().kept(0),
    ];
    let mut seed = 42_u64;
    for opening in openings {
        let mut past = opening.await.unwrap();
        for _ in 0..60 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from(seed >> 40).unwrap() % states.len();
            past.rewind_to(place as u64).await.unwrap();
            assert_eq!(past.state(), &states[place], "at {place}");
            for back in (place.saturating_sub(3)..place).rev() {
                past.step_back().await.unwrap();
                assert_eq!(
                    (past.state(), past.event()),
                    (&states[back], back.checked_sub(1).map(|n| &events[n]))
                );
            }
        }
    }
}

/// How often its state was applied to, in all.
struct Counted;

static APPLIED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[derive(Clone, Debug, Default)]
struct Copied(u64);

static COPIES: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);

#[derive(Debug, Default)]
struct Live(Copied);

impl Clone for Live {
    fn clone(&self) -> Self {
        COPIES.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self(self.0.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        COPIES.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl EventSourced for Counted {
    type Command = ();
    type Event = AccountEvent;
    type State = Live;

    fn handle(&self, _: &Live, (): (), _: &Scope<Self>) -> Effect<Self> {
        Effect::none()
    }

    fn apply(state: &mut Live, _: &AccountEvent) {
        state.0.0 += 1;
        APPLIED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_long_history_is_walked_back_with_few_states_and_few_steps() {
    const EVENTS: u64 = 20_000;
    let pen = Pen::with((0..EVENTS).map(|_| deposited(1)));
    let mut past = pen.opening::<Counted>().clones().kept(32).await.unwrap();
    past.to_end().await.unwrap();
    let before = APPLIED.load(std::sync::atomic::Ordering::SeqCst);
    for n in (EVENTS - 500..EVENTS).rev() {
        past.step_back().await.unwrap();
        assert_eq!(past.state().0.0, n);
        // Those that are kept; the state itself was not cloned, so it counts as one less than it is.
        let copies = COPIES.load(std::sync::atomic::Ordering::SeqCst);
        assert!(copies <= 33, "{copies} states are alive");
    }
    let applied = APPLIED.load(std::sync::atomic::Ordering::SeqCst) - before;
    assert!(applied < 500 * 200, "{applied} events were applied for 500 steps back");
}

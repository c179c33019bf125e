//! Replays with other events, and with other code.

use omnitron_persistence::timeline::TimelineError;

use crate::world::{AccountEvent, Balance, Charging, Pen, deposited, withdrawn};

#[tokio::test]
async fn with_another_event_the_state_would_be_another_from_there_on() {
    let pen = Pen::with([deposited(10), deposited(20), withdrawn(5, "rent"), deposited(1)]);
    let mut past = pen.open().await.unwrap();
    past.rewind_to(1).await.unwrap();
    let replay =
        past.replay_with(|event| if event == deposited(20) { deposited(200) } else { event }).await.unwrap();
    assert_eq!(replay.state().cents, 206);
    assert_eq!(replay.divergence().map(|it| it.moment.sequence.get()), Some(2));
    assert!(replay.diff().to_string().contains("-    cents: 26,\n+    cents: 206,\n"), "{}", replay.diff());
    assert_eq!(past.sequence().get(), 1);
}

#[tokio::test]
async fn an_event_can_be_left_out_by_its_place() {
    let pen = Pen::with([deposited(10), deposited(10), deposited(10)]);
    let mut past = pen.open().await.unwrap();
    let replay = past
        .replay_with_moments(|moment, event| (moment.sequence.get() != 2).then_some(event))
        .await
        .unwrap();
    assert_eq!((replay.state().cents, replay.state().events), (20, 2));
}

#[tokio::test]
async fn the_same_events_by_the_same_code_give_the_same_state() {
    let pen = Pen::with((20..30).map(deposited));
    let replay = pen.open().await.unwrap().replay_with(|event| event).await.unwrap();
    assert!(replay.diff().is_empty() && replay.divergence().is_none());
}

#[tokio::test]
async fn what_panics_over_a_changed_event_is_an_error_that_names_it() {
    let pen = Pen::with([deposited(10), deposited(20)]);
    let mut past = pen.open().await.unwrap();
    let error = past.replay_with(|_| deposited(13)).await.unwrap_err();
    assert!(error.to_string().starts_with("`apply` panicked over event 1"), "{error}");
    let error = past.replay_with(|_| -> AccountEvent { panic!("no idea") }).await.unwrap_err();
    assert!(matches!(&error, TimelineError::ChangePanicked { panic, .. } if panic == "no idea"), "{error}");
}

#[tokio::test]
async fn by_other_code_the_state_would_be_another_and_the_first_event_that_shows_it_is_named() {
    let pen = Pen::with([deposited(10), withdrawn(1, "a"), withdrawn(1, "b")]);
    let replay = pen.open().await.unwrap().replay_as::<Charging>(Balance::default()).await.unwrap();
    assert_eq!(replay.state().cents, 6);
    let divergence = replay.divergence().unwrap();
    assert_eq!((divergence.moment.sequence.get(), &*divergence.moment.event), (2, "account.withdrawn"));
    assert_eq!(
        divergence.difference.to_string().lines().filter(|line| line.starts_with(['-', '+'])).count(),
        2
    );
}

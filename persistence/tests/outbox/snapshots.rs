//! What of receivers and senders that come back from snapshots, and whose old events are gone?

use crate::world::{Command, World};

#[test]
fn marks_come_back_with_a_snapshot_when_the_events_they_were_in_are_deleted() {
    let mut world = World::new(1);
    let offices = world.forgetful_offices();
    let outbox = world.outbox(&offices);
    for _ in 0..10 {
        world.write(&offices, "a", "b", 1);
        world.later(1);
    }
    assert!(world.events("office/b").len() < 12, "old events of the receiver are gone");
    assert!(world.events("office/a").len() < 12, "old events of the sender are gone");
    world.now(async move { outbox.stop().await });
    for _ in 0..2 {
        world = world.crash();
        let offices = world.forgetful_offices();
        // It remembers nothing: everything that is left is delivered once more.
        let again = omnitron_persistence::Outbox::new("again").deliver(&offices, Command::Get);
        let _again = world.start(again);
        assert!(world.numbers(&offices, "b", "a").into_iter().eq(1..=10));
        assert!((1..=10).all(|number| world.office.handled("b", "a", number) == 1));
    }
}

#[test]
fn what_is_posted_is_not_deleted_before_it_is_delivered_also_without_an_outbox() {
    let world = World::new(1);
    let offices = world.forgetful_offices();
    for _ in 0..30 {
        world.write(&offices, "a", "b", 1);
        world.later(1);
    }
    assert_eq!(world.events("office/a").len(), 60, "nobody has delivered it");
    let world = world.crash();
    let offices = world.forgetful_offices();
    for _ in 0..10 {
        world.write(&offices, "a", "b", 1);
        world.later(1);
    }
    assert_eq!(world.events("office/a").len(), 80, "nor after a recovery from a snapshot");
    let _outbox = world.outbox(&offices);
    assert!(world.numbers(&offices, "b", "a").into_iter().eq(1..=40));
    for _ in 0..10 {
        world.later(2);
        world.write(&offices, "a", "b", 1);
    }
    assert!(world.events("office/a").len() < 30, "what is delivered may go");
}

#[test]
fn events_behind_a_post_that_is_not_taken_stay() {
    let world = World::new(1);
    world.office.refuse("a", 3, true);
    let offices = world.forgetful_offices();
    let outbox = world.outbox(&offices);
    for _ in 0..20 {
        world.write(&offices, "a", "b", 1);
        world.later(2);
    }
    assert!(world.events("office/a").len() >= 36, "{}", world.events("office/a").len());
    let world = world.crash();
    world.office.refuse("a", 3, false);
    drop(outbox);
    let offices = world.forgetful_offices();
    let _outbox = world.outbox(&offices);
    world.later(1);
    assert!(world.numbers(&offices, "b", "a").into_iter().eq(1..=20));
}

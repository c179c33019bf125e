//! What if a receiver does not take what is posted to it, or nobody can?

use std::time::Duration;

use omnitron_persistence::backend::memory::Failure;
use omnitron_persistence::outbox::Doing;
use omnitron_persistence::{Gateway, Outbox, Persistent};

use crate::world::{Command, World};

#[test]
fn a_receiver_that_fails_holds_up_itself_alone_and_goes_on_when_it_is_well() {
    let world = World::new(1);
    world.office.refuse("a", 2, true);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    world.write(&offices, "a", "b", 4);
    world.write(&offices, "a", "c", 4);
    world.later(30);
    world.write(&offices, "a", "b", 4);
    assert_eq!(world.numbers(&offices, "b", "a"), [1]);
    assert_eq!(world.numbers(&offices, "c", "a"), [1]);
    world.write(&offices, "d", "c", 3);
    world.write(&offices, "d", "e", 3);
    assert_eq!(world.numbers(&offices, "e", "d"), [1, 2, 3], "others are not held up");

    let status = world.status(&outbox);
    assert_eq!((status.blocked_count, status.doing), (2, Doing::Runs));
    let blocked = &status.blocked[0];
    assert_eq!((blocked.receiver.as_str(), blocked.from.as_str()), ("office/b", "office/a"));
    assert_eq!(blocked.message, "office.letter");
    assert!(blocked.attempts >= 3 && blocked.reason.contains("no language"), "{blocked:?}");
    let system = world.system.clone();
    let report = world.now(async move { system.health().report(Duration::from_secs(1)).await });
    assert!(format!("{report:?}").contains("`office/b` does not take a post after"), "{report:?}");

    world.office.refuse("a", 2, false);
    outbox.retry();
    world.later(1);
    assert!(world.numbers(&offices, "b", "a").into_iter().eq(1..=8));
    assert!(world.numbers(&offices, "c", "a").into_iter().eq(1..=4));
    assert_eq!(world.status(&outbox).blocked_count, 0);
}

#[test]
fn a_post_that_fails_again_and_again_uses_up_no_restarts_and_stops_nobody() {
    let world = World::new(1);
    world.office.refuse("a", 1, true);
    world.office.frighten("c", 1);
    let offices = world.offices();
    let eager = Outbox::new("post").deliver(&offices, Command::Get);
    let outbox = world.start(eager.retry(Duration::from_millis(100), Duration::from_millis(200)));
    world.write(&offices, "a", "b", 2);
    world.write(&offices, "c", "d", 2);
    world.later(120);
    let blocked = world.status(&outbox).blocked;
    assert!(blocked.iter().all(|blocked| blocked.attempts > 400), "{blocked:?}");
    assert!(blocked[1].reason.contains("its command panicked: a frightening letter"), "{blocked:?}");
    assert_eq!(world.system.stats().restarts, 0);
    world.write(&offices, "e", "b", 1);
    assert_eq!(world.got(&offices, "b"), [], "its receiver takes them in order");
    world.tell(&offices, "b", Command::Write("x".to_owned(), 1));
    assert_eq!(world.got(&offices, "x"), [("b".to_owned(), 1)], "it handles what is not posted");
}

#[test]
fn a_post_that_is_given_up_is_recorded_and_what_is_behind_it_arrives() {
    let world = World::new(1);
    world.office.refuse("a", 2, true);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    world.write(&offices, "a", "b", 5);
    world.later(5);
    let skip = outbox.clone();
    let skipped = world.now(async move { skip.skip(("office", "b")).await.unwrap() }).unwrap();
    assert_eq!((skipped.receiver.as_str(), skipped.message.as_str()), ("office/b", "office.letter"));
    assert!(skipped.reason.contains("no language"));
    world.sim.run_until_idle();
    assert_eq!(world.numbers(&offices, "b", "a"), [1, 3, 4, 5]);
    let (skip, list) = (outbox.clone(), outbox.clone());
    assert_eq!(world.now(async move { skip.skip(("office", "b")).await.unwrap() }), None);
    assert_eq!(world.now(async move { list.skipped().await.unwrap() }), (1, vec![skipped]));

    // Nothing behind this one says that it is past.
    world.office.refuse("a", 6, true);
    world.write(&offices, "a", "b", 1);
    world.later(5);
    let skip = outbox.clone();
    assert!(world.now(async move { skip.skip(("office", "b")).await.unwrap() }).is_some());

    // None is tried again after a crash, although the offset may be before it.
    let world = world.crash();
    world.office.refuse("a", 2, false);
    world.office.refuse("a", 6, false);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    world.write(&offices, "a", "b", 1);
    assert_eq!(world.numbers(&offices, "b", "a"), [1, 3, 4, 5, 7]);
    assert_eq!(world.now(async move { outbox.skipped().await.unwrap() }).0, 2);
}

#[test]
fn a_receiver_whose_append_failed_or_may_have_happened_gets_it_again() {
    for failure in [Failure::Refused, Failure::UnknownLost, Failure::UnknownKept] {
        // With one slice, whose owner is known, the next append is that of the receiver.
        let world = World::with_slices(1, 1);
        let offices = world.offices();
        world.write(&offices, "a", "b", 2);
        assert_eq!(world.got(&offices, "b"), []);
        world.controls.fail_next(failure);
        let outbox = world.outbox(&offices);
        assert!(world.numbers(&offices, "b", "a").len() < 3);
        world.later(5);
        assert_eq!(world.numbers(&offices, "b", "a"), [1, 2]);
        assert_eq!(world.status(&outbox).blocked_count, 0);
    }
}

#[test]
fn a_message_or_a_gateway_that_is_not_known_is_said_and_waits() {
    let world = World::new(1);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    world.tell(&offices, "a", Command::To("shop".to_owned(), "1".to_owned()));
    world.tell(&offices, "a", Command::Send("b".to_owned()));
    world.later(10);
    let reasons: Vec<_> = world.status(&outbox).blocked.into_iter().map(|blocked| blocked.reason).collect();
    assert!(reasons[0].contains("takes no message `office.parcel`"), "{reasons:?}");
    assert!(reasons[1].contains("no gateway of `shop/1`: name it with `Outbox::deliver`"), "{reasons:?}");

    // It arrives when there is a gateway.
    world.now(async move { outbox.stop().await });
    let office = world.office.clone();
    let shops = Gateway::new(move |_| Persistent::new(office.clone())).start(&world.system, "shop").unwrap();
    let both = Outbox::new("post").deliver(&offices, Command::Get).deliver(&shops, Command::Get);
    let outbox = world.start(both);
    assert_eq!(world.got(&shops, "1"), [("a".to_owned(), 1)]);
    assert_eq!(world.status(&outbox).blocked_count, 1);
}

#[test]
fn a_gateway_that_has_gone_is_waited_for() {
    let world = World::new(1);
    let offices = world.offices();
    let office = world.office.clone();
    let shops = Gateway::new(move |_| Persistent::new(office.clone())).start(&world.system, "shop").unwrap();
    let _outbox =
        world.start(Outbox::new("post").deliver(&shops, Command::Get).deliver(&offices, Command::Get));
    let gone = shops.clone();
    world.now(async move { gone.drain().await });
    world.tell(&offices, "a", Command::To("shop".to_owned(), "1".to_owned()));
    world.later(20);
    let world = world.crash();
    let office = world.office.clone();
    let shops = Gateway::new(move |_| Persistent::new(office.clone())).start(&world.system, "shop").unwrap();
    let _outbox = world.start(Outbox::new("post").deliver(&shops, Command::Get));
    assert_eq!(world.got(&shops, "1"), [("a".to_owned(), 1)]);
}

#[test]
fn while_the_journal_fails_or_cannot_be_read_posts_wait_and_then_arrive_once() {
    let world = World::new(1);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    let failures = [Failure::Refused, Failure::UnknownLost, Failure::UnknownKept];
    for round in 0..30 {
        // The first one meets the writer, the second one most often the receiver.
        if round % 4 == 0 {
            world.controls.unreadable(true);
        }
        world.controls.fail_next(failures[round % 3]);
        world.write(&offices, "a", "b", 2);
        world.controls.fail_next(failures[(round + 1) % 3]);
        world.write(&offices, "c", "b", 1);
        world.later(7);
        world.controls.unreadable(false);
        world.later(30);
    }
    world.later(60);
    for from in ["a", "c"] {
        let numbers = world.numbers(&offices, "b", from);
        assert!(numbers.len() > 5 && numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        let posted = world.names(&format!("office/{from}"));
        assert_eq!(numbers.len(), posted.iter().filter(|name| *name == "omnitron.posted").count());
    }
    let status = world.status(&outbox);
    assert_eq!((status.doing, status.waiting), (Doing::Runs, 0));
}

#[test]
fn a_conversion_that_panics_is_said_and_stops_nothing_else() {
    let world = World::new(1);
    let offices = world.offices();
    let outbox = world.start(Outbox::new("post").deliver(&offices, |letter: crate::world::Letter| {
        assert_ne!(letter.number, 2, "an unlucky letter");
        Command::Get(letter)
    }));
    world.write(&offices, "a", "b", 3);
    world.write(&offices, "a", "c", 1);
    world.later(3);
    assert_eq!(world.numbers(&offices, "b", "a"), [1]);
    assert_eq!(world.numbers(&offices, "c", "a"), [1]);
    let status = world.status(&outbox);
    assert!(status.blocked[0].reason.contains("an unlucky letter"), "{status:?}");
}

#[test]
fn more_receivers_that_are_away_than_fit_into_memory_get_everything_in_the_end() {
    let world = World::new(1);
    let offices = world.offices();
    for number in 1..=20 {
        world.office.refuse("a", number, true);
    }
    let small = Outbox::new("post").deliver(&offices, Command::Get).holds(20, 5);
    let outbox = world.start(small);
    let all: Vec<String> = (0..30).map(|n| format!("r{n}")).collect();
    for _ in 0..20 {
        world.tell(&offices, "a", Command::WriteAll(all.clone()));
    }
    world.later(20);
    world.write(&offices, "x", "y", 5);
    world.later(20);
    assert_eq!(world.numbers(&offices, "y", "x"), [1, 2, 3, 4, 5], "others are not held up");
    for number in 1..=20 {
        world.office.refuse("a", number, false);
    }
    outbox.retry();
    world.sim.advance(Duration::from_mins(1));
    for receiver in &all {
        assert!(world.numbers(&offices, receiver, "a").into_iter().eq(1..=20), "{receiver}");
    }
    assert_eq!(world.status(&outbox).waiting, 0);
}

#[test]
fn an_outbox_whose_system_shuts_down_keeps_nobody_busy() {
    let world = World::new(1);
    let offices = world.offices();
    let _outbox = world.outbox(&offices);
    // More than it stores its offset after.
    for _ in 0..18 {
        world.write(&offices, "a", "b", 500);
    }
    assert_eq!(world.got(&offices, "b").len(), 9_000);
    let system = world.system.clone();
    let (tell, mut told) = tokio::sync::oneshot::channel();
    world.sim.env().spawn(|| "end".to_owned(), async move { drop(tell.send(system.shutdown().await)) });
    let seconds = (0..60).position(|_| {
        world.later(1);
        told.try_recv().is_ok()
    });
    assert!(seconds.is_some_and(|seconds| seconds < 2), "{seconds:?}");
}

//! What arrives, how often, and in which order?

use omnitron_persistence::Outbox;
use omnitron_persistence::testkit::TestKit;
use omnitron_persistence::{Effect, EventSourced, Post};

use crate::world::{Books, Command, Letter, Office, OfficeEvent, World};

#[test]
fn what_is_posted_lies_with_its_events_and_what_is_received_with_what_it_caused() {
    let world = World::new(1);
    let offices = world.offices();
    let _outbox = world.outbox(&offices);
    world.write(&offices, "a", "b", 1);
    assert_eq!(world.names("office/a"), ["office.wrote", "omnitron.posted"]);
    assert_eq!(world.names("office/b"), ["office.got", "omnitron.received"]);
    assert_eq!(world.got(&offices, "b"), [("a".to_owned(), 1)]);
}

#[test]
fn many_posts_to_many_arrive_once_and_in_the_order_of_each_sender() {
    let world = World::new(1);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    let all = ["a", "b", "c", "d", "e"];
    for round in 0..30 {
        for (n, from) in all.iter().enumerate() {
            let office = offices.entity(from).unwrap();
            office.tell(Command::Write(all[(n + round) % 5].to_owned(), 1 + round as u64 % 3)).unwrap();
            office.tell(Command::WriteAll(all.map(str::to_owned).to_vec())).unwrap();
        }
        if round % 7 == 0 {
            world.sim.run_until_idle();
        }
    }
    world.sim.run_until_idle();
    for to in all {
        let mut count = 0;
        for from in all {
            let numbers = world.numbers(&offices, to, from);
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{from} to {to}: {numbers:?}");
            count += numbers.len();
        }
        assert!(count > 150, "{to}: {count}");
        assert_eq!(count, world.got(&offices, to).len());
    }
    let status = world.status(&outbox);
    assert_eq!((status.waiting, status.blocked_count), (0, 0));
    world.now(async move { outbox.caught_up().await.unwrap() });
}

#[test]
fn a_post_whose_command_persists_nothing_is_received_once_all_the_same() {
    let world = World::new(1);
    world.office.ignore("a", 1);
    let offices = world.offices();
    let outbox = world.outbox(&offices);
    world.write(&offices, "a", "b", 2);
    assert_eq!(world.names("office/b"), ["omnitron.received", "office.got", "omnitron.received"]);
    world.now(async move { outbox.stop().await });
    // One that remembers nothing delivers everything once more.
    let again = world.start(Outbox::new("again").deliver(&offices, Command::Get));
    assert_eq!(world.status(&again).delivered, 2);
    assert_eq!(world.office.handled("b", "a", 1), 1);
    assert_eq!(world.names("office/b").len(), 3);
}

#[test]
fn what_was_delivered_before_is_answered_and_not_handled_again() {
    let mut world = World::new(1);
    let offices = world.offices();
    let _outbox = world.outbox(&offices);
    world.write(&offices, "a", "b", 10);
    for life in 0..3 {
        // Killed before it stored how far it is: the next one delivers from the beginning.
        world = world.crash();
        let offices = world.offices();
        let outbox = world.outbox(&offices);
        world.write(&offices, "a", "b", 1);
        assert_eq!(world.status(&outbox).delivered, 11 + life);
        let numbers = world.numbers(&offices, "b", "a");
        assert!(numbers.iter().copied().eq(1..=11 + life), "{numbers:?}");
        assert!((1..=11 + life).all(|number| world.office.handled("b", "a", number) == 1));
    }
}

#[test]
fn two_outboxes_of_one_journal_do_no_harm() {
    let world = World::new(1);
    let offices = world.offices();
    let _one = world.outbox(&offices);
    let _other = world.start(Outbox::new("other").deliver(&offices, Command::Get));
    for _ in 0..20 {
        world.write(&offices, "a", "b", 3);
    }
    let numbers = world.numbers(&offices, "b", "a");
    assert!(numbers.iter().copied().eq(1..=60), "{numbers:?}");
}

#[test]
fn an_outbox_that_is_started_late_delivers_what_lies_there_and_goes_on_where_it_was() {
    let world = World::new(1);
    let offices = world.offices();
    world.write(&offices, "a", "b", 5);
    let outbox = world.outbox(&offices);
    assert_eq!(world.numbers(&offices, "b", "a").len(), 5);
    world.later(2);
    world.now(async move { outbox.stop().await });
    world.write(&offices, "a", "b", 1);
    let outbox = world.outbox(&offices);
    assert_eq!(world.status(&outbox).delivered, 1, "how far it was is remembered");
    assert_eq!(world.numbers(&offices, "b", "a").len(), 6);
}

#[test]
fn an_entity_may_post_to_itself() {
    let world = World::new(1);
    let offices = world.offices();
    let _outbox = world.outbox(&offices);
    world.write(&offices, "a", "a", 3);
    assert_eq!(world.numbers(&offices, "a", "a"), [1, 2, 3]);
}

#[test]
fn more_than_one_receiver_holds_in_memory_is_read_again_in_order() {
    let world = World::new(1);
    let offices = world.offices();
    let small = Outbox::new("post").deliver(&offices, Command::Get).window(2).holds(64, 4);
    world.write(&offices, "a", "b", 200);
    world.write(&offices, "c", "b", 100);
    let outbox = world.start(small);
    world.write(&offices, "a", "b", 50);
    assert!(world.numbers(&offices, "b", "a").into_iter().eq(1..=250));
    assert!(world.numbers(&offices, "b", "c").into_iter().eq(1..=100));
    world.now(async move { outbox.caught_up().await.unwrap() });
}

#[test]
fn a_letter_that_is_put_off_is_received_when_it_is_handled() {
    let world = World::new(1);
    let offices = world.offices();
    let outbox = world.start(
        Outbox::new("post").deliver(&offices, Command::Get).deadline(std::time::Duration::from_secs(2)),
    );
    world.tell(&offices, "b", Command::Close);
    world.write(&offices, "a", "b", 3);
    world.later(60);
    assert_eq!(world.got(&offices, "b"), []);
    assert_eq!(world.status(&outbox).blocked_count, 1);
    world.tell(&offices, "b", Command::Open);
    world.later(60);
    assert_eq!(world.numbers(&offices, "b", "a"), [1, 2, 3]);
    assert!((1..=3).all(|number| world.office.handled("b", "a", number) == 1));
}

#[test]
fn posts_are_values_which_effects_are_compared_by_and_the_test_kit_shows() {
    let mut kit = TestKit::new(Office::default());
    let letter = |number| Letter { from: "single".to_owned(), number };
    let wrote = |number| OfficeEvent::Wrote { to: "b".to_owned(), number };
    let handle = |command| Office::default().handle(&Books::default(), command, &kit.scope());
    let expected = Effect::persist(wrote(1)).then_post(("office", "b"), letter(1));
    assert_eq!(handle(Command::Write("b".to_owned(), 1)), expected);
    assert_ne!(handle(Command::Write("b".to_owned(), 1)), Effect::persist(wrote(1)));
    let other = Effect::persist(wrote(1)).then_post(("office", "c"), letter(1));
    assert_ne!(handle(Command::Write("b".to_owned(), 1)), other);
    let other = Effect::persist(wrote(1)).then_post(("office", "b"), letter(2));
    assert_ne!(handle(Command::Write("b".to_owned(), 1)), other);
    assert_eq!(expected.posts().map(Post::name).collect::<Vec<_>>(), ["office.letter"]);
    assert!(format!("{expected:?}").contains("office.letter version 1 of"), "{expected:?}");

    assert_eq!(kit.when(Command::Write("b".to_owned(), 2)).unwrap(), [wrote(1), wrote(2)]);
    assert_eq!(kit.posts().len(), 2);
    assert_eq!(kit.posts()[1], Post::new(("office", "b"), &letter(2)).unwrap());
    assert_eq!(kit.posts()[1].message::<Letter>().unwrap(), letter(2));
    assert_eq!(kit.posts()[0].receiver().as_str(), "office/b");
    kit.when(Command::Close).unwrap();
    assert!(kit.posts().is_empty());
}

//! What goes because it is old, and what stays?

use std::time::Duration;

use omnitron_persistence::Sequence;

use crate::world::World;

const DAY: Duration = Duration::from_hours(24);

#[test]
fn ids_that_were_not_written_for_so_long_are_forgotten() {
    let mut world = World::new(1);
    for name in ["cart-1", "cart-2", "cart-3", "order-1"] {
        world.write(name, 1);
        world.stop(name);
    }
    world.sim.advance(DAY * 20);
    world.write("cart-2", 2);
    world.stop("cart-2");
    world.write("cart-3", 2);
    world.sim.advance(DAY * 20);
    let (journal, env) = (world.journal.clone(), world.sim.env());
    // The actor of `cart-3` lives: it is left alone, whatever its age.
    let swept = world.sim.block_on(journal.forget_unused(&env, "cart-", DAY * 15)).unwrap();
    assert_eq!((swept.ids, swept.changed, swept.left), (3, 2, 1));
    assert_eq!(world.read("cart-3"), [1, 2]);
    world.stop("cart-3");
    for (name, numbers) in [("cart-1", vec![]), ("cart-2", vec![]), ("order-1", vec![1])] {
        assert_eq!(world.read(name), numbers, "{name}");
        world.stop(name);
    }
    let swept = world.sim.block_on(journal.forget_unused(&env, "cart-", DAY * 15)).unwrap();
    assert_eq!((swept.ids, swept.changed, swept.left), (3, 1, 0), "the rest, and nothing twice");
}

#[test]
fn old_events_go_and_no_state_goes_with_them() {
    let mut world = World::new(1);
    for n in 1..=5 {
        world.write("a", n);
    }
    world.sim.advance(DAY * 10);
    for n in 6..=20 {
        world.write("a", n);
    }
    world.write("b", 1);
    let (journal, env) = (world.journal.clone(), world.sim.env());
    let reader = journal.reader();
    let swept = world.sim.block_on(journal.delete_older(&env, "", DAY * 5)).unwrap();
    assert_eq!((swept.ids, swept.changed), (2, 0), "a reader has not passed them");
    drop(reader);
    let swept = world.sim.block_on(journal.delete_older(&env, "", DAY * 5)).unwrap();
    assert_eq!((swept.ids, swept.changed, swept.left), (2, 1, 0));
    assert_eq!(world.events("a").first().unwrap().sequence, Sequence::new(6), "younger ones stay");
    world.stop("a");
    assert_eq!(world.read("a"), (1..=20).collect::<Vec<_>>());
    // However old, nothing goes that only events hold: `b` has no snapshot.
    world.sim.advance(DAY * 100);
    world.sim.block_on(journal.delete_older(&env, "", DAY)).unwrap();
    assert_eq!(world.events("b").len(), 1);
    let first = world.events("a").first().unwrap().sequence;
    assert!(
        world.snapshot("a").unwrap().sequence > first,
        "and never behind the oldest snapshot that is kept"
    );
    world.stop("a");
    assert_eq!(world.read("a"), (1..=20).collect::<Vec<_>>());
    assert_eq!(world.read("b"), [1]);
}

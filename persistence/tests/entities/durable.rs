//! Does the latest value survive, where only that one counts?

use omnitron_persistence::{Durable, DurableState, Effect, Event, Persistent, Scope};
use omnitron_runtime::ReplyTo;

use crate::world::World;

struct Register;

#[derive(Clone, Debug, Default, Event, PartialEq)]
struct Value {
    number: u64,
}

enum Ask {
    Set(u64, ReplyTo<()>),
    Get(ReplyTo<u64>),
}

impl DurableState for Register {
    type Command = Ask;
    type State = Value;

    fn handle(&self, state: &Value, command: Ask, _: &Scope<Durable<Self>>) -> Effect<Durable<Self>> {
        match command {
            Ask::Set(number, reply) => Effect::persist(Value { number }).then_reply(reply, |_| ()),
            Ask::Get(reply) => Effect::reply(reply, state.number),
        }
    }
}

#[test]
fn the_latest_value_is_there_after_a_crash_and_old_ones_are_not_kept_for_ever() {
    let mut world = World::new(1);
    for round in 0..3 {
        let register = world.system.spawn("r", Persistent::latest(Register)).unwrap();
        let last = world.sim.block_on(register.ask(Ask::Get)).unwrap();
        assert_eq!(last, round * 250);
        for number in last + 1..=last + 250 {
            world.sim.block_on(register.ask(|reply| Ask::Set(number, reply))).unwrap();
        }
        world.sim.run_until_idle();
        assert!(world.events("r").len() <= 100, "{} values are kept", world.events("r").len());
        world = world.crash();
    }
}

#[test]
fn a_value_that_was_forgotten_is_the_first_one_again() {
    let world = World::new(1);
    let register = || world.system.spawn("r", Persistent::latest(Register)).unwrap();
    let first = register();
    world.sim.block_on(first.ask(|reply| Ask::Set(7, reply))).unwrap();
    world.sim.block_on(first.stop().into_future());
    let id = omnitron_persistence::PersistenceId::new("r").unwrap();
    world.sim.block_on(world.journal.forget(&world.sim.env(), &id)).unwrap();
    let second = register();
    assert_eq!(world.sim.block_on(second.ask(Ask::Get)).unwrap(), 0);
    world.sim.block_on(second.ask(|reply| Ask::Set(8, reply))).unwrap();
    world.sim.block_on(second.stop().into_future());
    assert_eq!(world.sim.block_on(register().ask(Ask::Get)).unwrap(), 8);
}

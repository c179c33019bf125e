//! What is refused, and what does it say?

use omnitron_persistence::outbox::OutboxError;
use omnitron_persistence::testkit::TestKit;
use omnitron_persistence::{Effect, Event, EventSourced, Journal, Outbox, Post, PostError, Scope};
use omnitron_runtime::testkit::Sim;
use omnitron_runtime::{ActorSystem, Failure};

use crate::world::{Command, Letter, Office, World};

fn letter() -> Letter {
    Letter { from: "a".to_owned(), number: 1 }
}

fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let error: Option<&(dyn std::error::Error + 'static)> =
        failure.downcast_ref::<omnitron_persistence::EffectError>().map(|error| error as _);
    let mut cause = error.and_then(std::error::Error::source);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn a_receiver_has_a_gateway_and_an_id_of_at_most_512_bytes_together() {
    let longest = "x".repeat(512 - "office/".len());
    assert!(Post::new(("office", &longest), &letter()).is_ok());
    let refused = |gateway: &str, id: &str| Post::new((gateway, id), &letter()).unwrap_err().to_string();
    assert!(refused("office", &format!("{longest}x")).contains("cannot be a receiver"));
    assert!(refused("office", "").contains("takes the name of a gateway and an id"));
    assert!(refused("", "b").contains("takes the name of a gateway and an id"));
    assert!(refused("office", "a\u{0}b").contains("cannot be a receiver"));
}

#[test]
fn an_effect_with_a_post_that_cannot_be_fails_its_command_alone_and_stores_nothing() {
    let mut kit = TestKit::new(Office::default());
    let failure = kit.when(Command::Write("x".repeat(600), 1)).unwrap_err();
    let text = chain(&failure);
    for part in ["a post of a command", "cannot be a receiver", "has at most 512 bytes"] {
        assert!(text.contains(part), "{text}");
    }
    let events = kit.when(Command::Write("b".to_owned(), 1)).unwrap();
    assert_eq!((events.len(), kit.posts().len()), (1, 1), "nothing of the other is there");
}

/// Posts more than an event may hold.
struct Bulky;

#[derive(Debug, Event, PartialEq)]
#[event(name = "bulk")]
struct Bulk(String);

impl EventSourced for Bulky {
    type Command = usize;
    type Event = Bulk;
    type State = u64;

    fn handle(&self, _: &u64, bytes: usize, _: &Scope<Self>) -> Effect<Self> {
        Effect::persist(Bulk(String::new())).then_post(("office", "b"), Bulk("x".repeat(bytes)))
    }

    fn apply(state: &mut u64, _: &Bulk) {
        *state += 1;
    }
}

#[test]
fn a_message_that_cannot_be_encoded_is_refused_and_says_which() {
    let mut kit = TestKit::new(Bulky);
    let failure = kit.when(17 << 20).unwrap_err();
    let text = chain(&failure);
    for part in ["the message to `office/b` cannot be encoded", "`bulk`"] {
        assert!(text.contains(part), "{text}");
    }
    // What is no larger than an event, but is with what is around it.
    let failure = kit.when((16 << 20) - 8).unwrap_err();
    assert!(chain(&failure).contains("cannot be stored"), "{}", chain(&failure));
    assert_eq!(kit.when(1).unwrap().len(), 1);
    assert!(matches!(Post::new(("a", "b"), &Bulk("x".repeat(17 << 20))), Err(PostError::Unencodable { .. })));
}

#[test]
fn an_outbox_without_a_journal_or_with_a_name_that_is_taken_is_not_started() {
    let sim = Sim::new(1);
    let system = sim.block_on(ActorSystem::builder("test").env(sim.env()).start()).unwrap();
    let error = Outbox::new("post").start(&system).unwrap_err();
    assert!(matches!(error, OutboxError::NoJournal { .. }), "{error}");
    let closed = Journal::embedded("/nowhere");
    assert!(matches!(
        Outbox::new("post").journal(&closed).start(&system),
        Err(OutboxError::NoJournal { .. })
    ));

    let world = World::new(1);
    let offices = world.offices();
    let _outbox = world.outbox(&offices);
    let error = Outbox::new("post").start(&world.system).unwrap_err();
    assert!(matches!(error, OutboxError::Spawn { .. }), "{error}");
    world.write(&offices, "a", "b", 1);
    assert_eq!(world.got(&offices, "b").len(), 1, "the first one runs");
}

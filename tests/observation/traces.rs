//! Does the context of a message ride with it, whichever way it takes, and does every handler run in its span?

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{Concurrent, ConcurrentActor, ConcurrentContext, TraceContext};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);
const FROM_OUTSIDE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The fields of every span `message`, and which of them were entered when something was logged.
#[derive(Clone, Default)]
struct Log {
    spans: Arc<Mutex<Vec<BTreeMap<String, String>>>>,
    entered: Arc<Mutex<Vec<u64>>>,
    events: Arc<Mutex<Vec<(u64, String)>>>,
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = BTreeMap::from([("name".to_owned(), span.metadata().name().to_owned())]);
        span.record(&mut Fields(&mut fields));
        let mut spans = self.spans.lock().unwrap();
        spans.push(fields);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let inside = self.entered.lock().unwrap().last().copied().unwrap_or_default();
        self.events.lock().unwrap().push((inside, fields.remove("message").unwrap_or_default()));
    }

    fn enter(&self, span: &Id) {
        self.entered.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.entered.lock().unwrap().pop();
    }
}

impl Log {
    /// (actor, trace, span, parent) of every message handled, in order.
    fn messages(&self) -> Vec<(String, String, String, String)> {
        let spans = self.spans.lock().unwrap();
        let messages = spans.iter().filter(|span| span["name"] == "message");
        let of = |span: &BTreeMap<String, String>, field: &str| span[field].clone();
        messages
            .map(|span| {
                let actor = of(span, "actor").rsplit('/').next().unwrap_or_default().to_owned();
                (actor, of(span, "trace_id"), of(span, "span_id"), of(span, "parent_id"))
            })
            .collect()
    }

    /// The actors from the first message down to the last, each caused by the one before, all in one trace.
    fn chain(&self) -> Vec<String> {
        let messages = self.messages();
        for pair in messages.windows(2) {
            assert_eq!((&pair[1].1, &pair[1].3), (&pair[0].1, &pair[0].2), "{messages:?}");
        }
        messages.into_iter().map(|(actor, ..)| actor).collect()
    }
}

/// How one actor hands something on to the next.
#[derive(Clone, Copy)]
enum Way {
    Tell,
    Send,
    Ask,
    Timer,
    Pipe,
    Feed,
    Adapted,
    Event,
}

/// Hands on to the next, in its own way.
struct Relay {
    way: Way,
    next: Option<ActorRef<Note>>,
}

enum Note {
    Go,
    Answer(ReplyTo<()>),
    Later,
}

impl Actor for Relay {
    type Msg = Note;

    async fn receive(&mut self, note: Note, ctx: &mut Context<Self>) -> Result<(), Failure> {
        tracing::info!("handles");
        match note {
            Note::Answer(reply) => reply.send(()),
            Note::Later => return self.next.iter().try_for_each(|next| Ok(next.tell(Note::Go)?)),
            Note::Go => {}
        }
        let Some(next) = self.next.clone() else { return Ok(()) };
        match self.way {
            Way::Tell => next.tell(Note::Go)?,
            Way::Send => next.send(Note::Go).await?,
            Way::Ask => next.ask(Note::Answer).await?,
            Way::Timer => ctx.timers().once("later", SECOND, || Note::Later),
            Way::Pipe => {
                let env = ctx.env().clone();
                ctx.pipe_to_self(async move { env.sleep(SECOND).await }, |()| Note::Later)?;
            }
            Way::Feed => next.feed(stream::iter([1]), |_| Note::Go, || Note::Later).keep(),
            Way::Adapted => next.contramap(|()| Note::Go).tell(())?,
            Way::Event => {
                let events = ctx.system().events();
                events.subscribe_with(&next, |_: u8| Note::Go).keep();
                events.publish(1_u8)?;
            }
        }
        Ok(())
    }
}

fn world(trace: bool) -> (Sim, ActorSystem) {
    let sim = Sim::new(7);
    let builder = ActorSystem::builder("traced").env(sim.env()).trace_messages(trace);
    let system = sim.block_on(builder.start()).unwrap();
    (sim, system)
}

/// One message goes from the first to the second actor, and what it left in the log.
fn run(way: Way, trace: bool, send: impl FnOnce(&ActorRef<Note>)) -> Log {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let (sim, system) = world(trace);
        let last = system.spawn("last", || Relay { way: Way::Tell, next: None }).unwrap();
        let first = system.spawn("first", move || Relay { way, next: Some(last.clone()) }).unwrap();
        send(&first);
        sim.advance(3 * SECOND);
    });
    log
}

fn tell(first: &ActorRef<Note>) {
    first.tell(Note::Go).unwrap();
}

#[test]
fn a_context_rides_over_every_way_from_one_actor_to_the_next() {
    for (way, expected) in [
        (Way::Tell, vec!["first", "last"]),
        (Way::Send, vec!["first", "last"]),
        (Way::Ask, vec!["first", "last"]),
        (Way::Timer, vec!["first", "first", "last"]),
        (Way::Pipe, vec!["first", "first", "last"]),
        (Way::Adapted, vec!["first", "last"]),
        (Way::Event, vec!["first", "last"]),
    ] {
        let log = run(way, true, tell);
        assert_eq!(log.chain(), expected);
        // Each handler logs inside of its own span.
        let spans: Vec<u64> =
            log.events.lock().unwrap().iter().filter(|(_, it)| it == "handles").map(|it| it.0).collect();
        let names = log.spans.lock().unwrap();
        let own: Vec<u64> =
            (1..).zip(&*names).filter(|(_, span)| span["name"] == "message").map(|it| it.0).collect();
        assert_eq!(spans, own);
    }
}

#[test]
fn all_items_of_a_stream_belong_to_the_handler_that_fed_it() {
    let messages = run(Way::Feed, true, tell).messages();
    let [first, item, end] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!([&item.3, &end.3], [&first.2; 2]);
    assert_eq!([&item.1, &end.1], [&first.1; 2]);
}

#[test]
fn a_trace_goes_on_where_others_left_off_and_two_causes_are_two_traces() {
    let context: TraceContext = FROM_OUTSIDE.parse().unwrap();
    let log = run(Way::Tell, true, |first| context.scope(|| tell(first)));
    assert_eq!(log.messages()[0].1, format!("{:032x}", context.trace_id()));
    assert_eq!(log.messages()[0].3, format!("{:016x}", context.span_id()));
    assert_eq!(log.chain(), ["first", "last"]);

    let log = run(Way::Tell, true, |first| {
        tell(first);
        tell(first);
    });
    let traces: Vec<_> = log.messages().into_iter().map(|(_, trace, ..)| trace).collect();
    assert_eq!(traces.iter().filter(|trace| **trace == traces[0]).count(), 2, "{traces:?}");
}

#[test]
fn a_future_that_is_wrapped_sends_as_a_part_of_its_context() {
    let log = Log::default();
    let context: TraceContext = FROM_OUTSIDE.parse().unwrap();
    tracing::subscriber::with_default(log.clone(), || {
        let (sim, system) = world(true);
        let last = system.spawn("last", || Relay { way: Way::Tell, next: None }).unwrap();
        sim.block_on(context.wrap(async move {
            last.ask(Note::Answer).await.unwrap();
            last.send(Note::Go).await.unwrap();
        }));
        sim.run_until_idle();
    });
    let parents: Vec<_> = log.messages().into_iter().map(|(.., parent)| parent).collect();
    assert_eq!(parents, vec![format!("{:016x}", context.span_id()); 2]);
}

#[test]
fn where_nothing_is_traced_there_is_no_span_and_no_context() {
    struct Blind;

    impl Actor for Blind {
        type Msg = ReplyTo<Option<TraceContext>>;

        async fn receive(&mut self, reply: Self::Msg, _: &mut Context<Self>) -> Result<(), Failure> {
            reply.send(TraceContext::current());
            Ok(())
        }
    }

    assert!(run(Way::Ask, false, tell).messages().is_empty());
    for traced in [false, true] {
        let (sim, system) = world(traced);
        let blind = system.spawn("blind", || Blind).unwrap();
        assert_eq!(sim.block_on(blind.ask(|reply| reply)).unwrap().is_some(), traced);
    }
}

#[test]
fn handlers_of_a_concurrent_actor_are_part_of_what_they_handle() {
    struct Clerk(ActorRef<Note>);

    impl ConcurrentActor for Clerk {
        type Msg = ();

        async fn receive(&self, (): (), ctx: &ConcurrentContext<Self>) -> Result<(), Failure> {
            ctx.env().sleep(SECOND).await;
            Ok(self.0.tell(Note::Go)?)
        }
    }

    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let (sim, system) = world(true);
        let last = system.spawn("last", || Relay { way: Way::Tell, next: None }).unwrap();
        let clerk = Concurrent::new(std::num::NonZeroUsize::MIN, move || Clerk(last.clone()));
        system.spawn("clerk", clerk).unwrap().tell(()).unwrap();
        sim.advance(2 * SECOND);
    });
    assert_eq!(log.chain(), ["clerk", "last"]);
}

#[test]
fn a_traced_system_refuses_drops_and_shuts_down_as_every_other() {
    let (sim, system) = world(true);
    let full = Mailbox::bounded(1).on_full(Overflow::DropNewest);
    let last = Spawn::new(|| Relay { way: Way::Tell, next: None }).mailbox(full);
    let last = system.spawn("last", last).unwrap();
    last.tell(Note::Go).unwrap();
    last.tell(Note::Go).unwrap();
    assert_eq!(system.dead_letters().total(), 1);
    let overflowed = sim.block_on(last.ask(Note::Answer)).map_err(|error| error.acted());
    assert!(matches!(overflowed, Ok(()) | Err(Acted::No)));
    assert_eq!(sim.block_on(system.shutdown()).unfinished, []);
    assert_eq!(last.tell(Note::Go).unwrap_err().reason, Refusal::SystemStopped);
}

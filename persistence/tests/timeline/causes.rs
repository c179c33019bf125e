//! What led to an event, across actors.

use std::time::Duration;

use omnitron_persistence::backend::memory::Memory;
use omnitron_persistence::snapshot::memory::MemorySnapshots;
use omnitron_persistence::timeline::TimeTravel;
use omnitron_persistence::{
    Cause, Effect, EntityGateway, Event, EventSourced, Gateway, Journal, PersistenceId, Persistent, Scope,
    Sequence, Slices, WithJournal,
};
use omnitron_runtime::{Actor, ActorRef, ActorSystem, Context, Failure, ReplyTo};

#[derive(Debug, Event)]
#[event(name = "step")]
pub(crate) enum Stepped {
    Done { what: String },
}

/// An entity that does something, and then tells somebody else.
struct Step {
    next: Option<ActorRef<Do>>,
}

enum Do {
    Step(String),
    Asked(String, ReplyTo<u64>),
    /// Without an event: it only passes on.
    Pass(String),
    /// Because of something that came from elsewhere.
    Because(Cause, String),
    Events(ReplyTo<u64>),
}

impl EventSourced for Step {
    type Command = Do;
    type Event = Stepped;
    type State = u64;

    fn handle(&self, events: &u64, command: Do, cx: &Scope<Self>) -> Effect<Self> {
        let (effect, what) = match command {
            Do::Step(what) => {
                let cause = cx.cause().map(ToString::to_string).unwrap_or_default();
                (Effect::persist(Stepped::Done { what: format!("{what} <{cause}>") }), what)
            }
            Do::Asked(what, reply) => {
                let effect = Effect::persist(Stepped::Done { what: what.clone() });
                (effect.then_reply(reply, |events: &u64| *events), what)
            }
            Do::Pass(what) => (Effect::none(), what),
            Do::Because(cause, what) => {
                (Effect::persist(Stepped::Done { what: what.clone() }).caused_by(cause), what)
            }
            Do::Events(reply) => return Effect::reply(reply, *events),
        };
        match &self.next {
            Some(next) => effect.then_tell(next, |_: &u64| Do::Step(what)),
            None => effect,
        }
    }

    fn apply(state: &mut u64, _: &Stepped) {
        *state += 1;
    }
}

/// An actor without events, in between: it tells on, sends on, asks, or does so through a pipe.
struct Between {
    next: ActorRef<Do>,
}

impl Actor for Between {
    type Msg = Do;

    async fn receive(&mut self, message: Do, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let Do::Step(what) = message else { return Err(Failure::msg("only steps")) };
        match &*what {
            "tell" => self.next.tell(Do::Step(what)).map_err(|_| Failure::msg("full"))?,
            "send" => self.next.send(Do::Step(what)).await.map_err(|_| Failure::msg("full"))?,
            "ask" => drop(self.next.ask(|reply| Do::Asked(what, reply)).await?),
            "pipe" => {
                let piped = ctx.pipe_to_self(std::future::ready(()), |()| Do::Step("tell".to_owned()));
                piped.map_err(|_| Failure::msg("full"))?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn entity(name: &str, next: Option<ActorRef<Do>>) -> Persistent<Step> {
    Persistent::new(Step { next }).id(name)
}

async fn until(entity: &ActorRef<Do>, events: u64) {
    while entity.ask(Do::Events).within(Duration::from_secs(20)).await.unwrap() < events {
        tokio::task::yield_now().await;
    }
}

async fn chain(system: &ActorSystem, id: &str, sequence: u64) -> Vec<(String, u64)> {
    let mut past = system.timeline::<Step>(id).await.unwrap();
    past.rewind_to(sequence).await.unwrap();
    let causes = past.causes().await.unwrap();
    assert_eq!(causes.missing, None);
    causes.links.into_iter().map(|link| (link.id.to_string(), link.moment.sequence.get())).collect()
}

async fn system() -> ActorSystem {
    ActorSystem::builder("causes").journal(Journal::memory()).start().await.unwrap()
}

#[tokio::test]
async fn a_chain_is_followed_across_entities_and_the_actors_between_them() {
    let system = system().await;
    let last = system.spawn("c", entity("c", None)).unwrap();
    let next = last.clone();
    let between = system.spawn("between", move || Between { next: next.clone() }).unwrap();
    let middle = system.spawn("b", entity("b", Some(between))).unwrap();
    let first = system.spawn("a", entity("a", Some(middle.clone()))).unwrap();
    for (n, what) in ["tell", "send", "ask", "pipe"].into_iter().enumerate() {
        first.tell(Do::Step(what.to_owned())).unwrap();
        let n = n as u64 + 1;
        until(&last, n).await;
        assert_eq!(chain(&system, "c", n).await, [("b".to_owned(), n), ("a".to_owned(), n)], "{what}");
    }
    assert_eq!(chain(&system, "a", 1).await, []);
    // An entity that persists nothing passes on what it was told because of.
    let passing = system.spawn("pass", entity("pass", Some(last.clone()))).unwrap();
    let before = system.spawn("before", Persistent::new(Passing { next: passing })).unwrap();
    before.tell(()).unwrap();
    until(&last, 5).await;
    assert_eq!(chain(&system, "c", 5).await, [("before".to_owned(), 1)]);
    // And nothing clings to the actors: what comes from outside has no cause.
    last.tell(Do::Step("outside".to_owned())).unwrap();
    until(&last, 6).await;
    assert_eq!(chain(&system, "c", 6).await, []);
    let mut past = system.timeline::<Step>("c").await.unwrap();
    past.rewind_to(1).await.unwrap();
    assert!(format!("{:?}", past.event()).contains("tell <event 1 of b>"), "{:?}", past.event());
    system.shutdown().await;
}

/// Makes an event, and tells the next one to pass something on.
struct Passing {
    next: ActorRef<Do>,
}

impl EventSourced for Passing {
    type Command = ();
    type Event = Stepped;
    type State = u64;

    fn handle(&self, _: &u64, (): (), _: &Scope<Self>) -> Effect<Self> {
        let next = self.next.clone();
        Effect::persist(Stepped::Done { what: "pass".to_owned() })
            .then_run(move |_: &u64| move || drop(next.tell(Do::Pass("x".to_owned()))))
    }

    fn apply(state: &mut u64, _: &Stepped) {
        *state += 1;
    }
}

#[tokio::test]
async fn a_gateway_keeps_the_cause_also_of_a_command_that_waits() {
    let (backend, controls) = Memory::new(Slices::default());
    let journal = Journal::with(backend, MemorySnapshots::new());
    let system = ActorSystem::builder("causes").journal(journal).start().await.unwrap();
    let gateway: EntityGateway<Step> = Gateway::new(|_: &str| Persistent::new(Step { next: None }))
        .active(1)
        .start(&system, "step")
        .unwrap();
    let one = gateway.entity("1").unwrap();
    let first = system.spawn("a", entity("a", Some(one.clone()))).unwrap();
    first.tell(Do::Step("passed on".to_owned())).unwrap();
    until(&one, 1).await;
    assert_eq!(chain(&system, "step/1", 1).await, [("a".to_owned(), 1)]);

    // It cannot leave before its event is durable, and the other one needs its room: what comes now has to wait.
    controls.hold();
    one.tell(Do::Step("held".to_owned())).unwrap();
    gateway.entity("2").unwrap().tell(Do::Step("takes the room".to_owned())).unwrap();
    let cause = Cause { id: PersistenceId::new("a").unwrap(), sequence: Sequence::new(1) };
    cause.scope(|| one.tell(Do::Step("waits".to_owned()))).unwrap();
    one.tell(Do::Step("waits without a cause".to_owned())).unwrap();
    assert_eq!(gateway.active().await.unwrap().1, 1, "it is leaving");
    controls.resume();
    until(&one, 4).await;
    for (sequence, links) in [(2, vec![]), (3, vec![("a".to_owned(), 1)]), (4, vec![])] {
        assert_eq!(chain(&system, "step/1", sequence).await, links, "event {sequence}");
    }
    system.shutdown().await;
}

#[tokio::test]
async fn a_cause_can_be_said_and_one_that_is_not_there_is_where_the_chain_ends() {
    let system = system().await;
    let last = system.spawn("c", entity("c", None)).unwrap();
    let cause =
        |id: &str, sequence| Cause { id: PersistenceId::new(id).unwrap(), sequence: Sequence::new(sequence) };
    last.tell(Do::Because(cause("elsewhere", 7), "a".to_owned())).unwrap();
    cause("c", 1).scope(|| last.tell(Do::Step("b".to_owned()))).unwrap();
    cause("c", 2).wrap(last.send(Do::Step("c".to_owned()))).await.unwrap();
    until(&last, 3).await;
    let mut past = system.timeline::<Step>("c").await.unwrap();
    past.to_end().await.unwrap();
    let causes = past.causes().await.unwrap();
    assert_eq!(causes.links.iter().map(|link| link.moment.sequence.get()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(causes.missing, Some(cause("elsewhere", 7)));
    assert!(
        causes
            .to_string()
            .ends_with("before that, event 7 of elsewhere, which is not in this journal any more\n")
    );
    // A circle, which nobody but a liar can make, ends as well.
    last.tell(Do::Because(cause("c", 4), "d".to_owned())).unwrap();
    until(&last, 4).await;
    past.refresh().await.unwrap();
    past.to_end().await.unwrap();
    assert_eq!(past.causes().await.unwrap().links.len(), 1_000);
    system.shutdown().await;
}

#[tokio::test]
async fn in_a_system_that_traces_its_messages_an_event_names_the_trace() {
    let builder = ActorSystem::builder("traced").trace_messages(true).journal(Journal::memory());
    let system = builder.start().await.unwrap();
    let last = system.spawn("b", entity("b", None)).unwrap();
    let first = system.spawn("a", entity("a", Some(last.clone()))).unwrap();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context: omnitron_runtime::TraceContext = traceparent.parse().unwrap();
    context.scope(|| first.tell(Do::Step("x".to_owned()))).unwrap();
    until(&last, 1).await;
    let mut past = system.timeline::<Step>("a").await.unwrap();
    past.to_end().await.unwrap();
    let trace = past.moment().unwrap().trace.unwrap();
    assert_eq!(trace.trace_id(), context.trace_id());
    assert_ne!(trace.span_id(), context.span_id());
    assert_eq!(chain(&system, "b", 1).await, [("a".to_owned(), 1)]);
    system.shutdown().await;
}

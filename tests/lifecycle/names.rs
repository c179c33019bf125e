//! Who may be called what, who is found under a name, and when is a name free again?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{SEEDS, system_in};

/// Spawns children, and children of children, as it is told.
struct Parent;

enum Birth {
    /// A child of this name.
    Spawn(String, ReplyTo<Result<ActorRef<Birth>, SpawnError>>),
    /// The paths of the children, and whether there is one of this name that takes `Birth`, or `u8`.
    Children(String, ReplyTo<(Vec<String>, bool, bool)>),
}

impl Actor for Parent {
    type Msg = Birth;

    async fn receive(&mut self, message: Birth, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Birth::Spawn(name, reply) => reply.send(ctx.spawn(&name, || Parent)),
            Birth::Children(name, reply) => {
                let paths = ctx.children().iter().map(ToString::to_string).collect();
                reply.send((paths, ctx.child::<Birth>(&name).is_some(), ctx.child::<u8>(&name).is_some()));
            }
        }
        Ok(())
    }
}

async fn child_of(parent: &ActorRef<Birth>, name: &str) -> Result<ActorRef<Birth>, SpawnError> {
    parent.ask(|reply| Birth::Spawn(name.to_owned(), reply)).await.unwrap()
}

#[test]
fn names_are_hierarchical_and_unique_among_siblings_only() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let fleet = system.spawn("fleet", || Parent).unwrap();
        let plane = child_of(&fleet, "N14228").await.unwrap();
        let seat = child_of(&plane, "N14228").await.unwrap();
        assert_eq!(fleet.path().to_string(), "/user/fleet");
        assert_eq!(plane.path().to_string(), "/user/fleet/N14228");
        assert_eq!(seat.path().to_string(), "/user/fleet/N14228/N14228");
        assert_eq!(seat.path().name(), "N14228");

        let taken = child_of(&fleet, "N14228").await.unwrap_err();
        assert!(matches!(&taken, SpawnError::NameTaken { path } if path == plane.path()), "{taken:?}");
        assert!(matches!(system.spawn("fleet", || Parent).unwrap_err(), SpawnError::NameTaken { .. }));
        assert_eq!(system.lookup::<Birth>("/user/fleet/N14228").unwrap(), plane, "the first one lives on");

        child_of(&fleet, "AA").await.unwrap();
        let (paths, right, wrong) = fleet.ask(|reply| Birth::Children("AA".into(), reply)).await.unwrap();
        assert_eq!(paths, ["/user/fleet/N14228", "/user/fleet/AA"], "in the order of their spawns");
        assert_eq!((right, wrong), (true, false), "a child is found with the type of its messages only");
        let (_, found, _) = fleet.ask(|reply| Birth::Children("BB".into(), reply)).await.unwrap();
        assert!(!found);
    });
}

#[test]
fn a_lookup_of_the_wrong_type_names_both_types_and_of_nobody_names_the_path() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let parent = system.spawn("parent", || Parent).unwrap();
        assert_eq!(system.lookup::<Birth>("/user/parent").unwrap(), parent);

        let wrong = system.lookup::<Vec<u8>>("/user/parent").unwrap_err();
        let LookupError::WrongType { path, requested, actual } = &wrong else { panic!("{wrong:?}") };
        assert_eq!(
            (path, *requested, *actual),
            (parent.path(), "alloc::vec::Vec<u8>", std::any::type_name::<Birth>())
        );
        let text = wrong.to_string();
        assert!(
            text.contains("/user/parent") && text.contains("Vec<u8>") && text.contains("Birth"),
            "{text}"
        );

        let missing = system.lookup::<Birth>("/user/nobody").unwrap_err();
        assert!(
            matches!(&missing, LookupError::NotFound { .. }) && missing.to_string().contains("/user/nobody")
        );
        for illegal in ["", "user/parent", "/user//parent", "/user/parent/", "/user/\n"] {
            let error = system.lookup::<Birth>(illegal).unwrap_err();
            assert!(matches!(error, LookupError::IllegalPath(_)), "{illegal:?}: {error:?}");
        }
    });
}

#[test]
fn an_illegal_name_is_refused_with_the_reason_and_starts_nothing() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let parent = system.spawn("parent", || Parent).unwrap();
        let long = "a".repeat(10_000);
        for illegal in ["", "a/b", "/", "a\nb", "\u{7f}", long.as_str()] {
            let error = child_of(&parent, illegal).await.unwrap_err();
            let SpawnError::IllegalName { parent: at, .. } = &error else { panic!("{illegal:?}: {error:?}") };
            assert_eq!(at, parent.path());
            assert!(error.to_string().len() < 1_000, "a huge name is not repeated in full");
        }
        assert_eq!((system.stats().actors, system.stats().spawned), (1, 1));
    });
}

#[test]
fn a_name_is_free_again_once_stop_has_resolved_in_every_interleaving() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let mut old: Option<ActorRef<Birth>> = None;
            for round in 0..10 {
                let parent = system.spawn("parent", || Parent).expect("the name is free");
                if round % 2 == 0 {
                    child_of(&parent, "child").await.unwrap();
                }
                if round % 3 == 0 {
                    parent.stop().await;
                } else {
                    parent.drain().await;
                }
                assert!(
                    system.lookup::<Birth>("/user/parent/child").is_err(),
                    "seed {seed}: children go first"
                );
                if let Some(old) = old.replace(parent.clone()) {
                    assert_ne!(old, parent, "a reference names one incarnation");
                    let refused =
                        old.tell(Birth::Children(String::new(), unanswered(&sim).await)).unwrap_err();
                    assert_eq!(refused.reason, Refusal::Stopped);
                }
            }
            assert_eq!(system.stats().actors, 0, "seed {seed}");
        });
    }
}

/// A reply that nobody waits for.
async fn unanswered<T: Send + 'static>(sim: &Sim) -> ReplyTo<T> {
    struct Keeper<T>(tokio::sync::mpsc::UnboundedSender<ReplyTo<T>>);
    impl<T: Send + 'static> Actor for Keeper<T> {
        type Msg = ReplyTo<T>;
        async fn receive(&mut self, reply: ReplyTo<T>, _: &mut Context<Self>) -> Result<(), Failure> {
            self.0.send(reply).map_err(|_| Failure::msg("nobody wants it"))
        }
    }
    let system = system_in(sim).await;
    let (sender, mut replies) = tokio::sync::mpsc::unbounded_channel();
    let keeper = system.spawn("keeper", move || Keeper(sender.clone())).unwrap();
    let _ = keeper.ask(|reply| reply).within(std::time::Duration::from_millis(1)).await;
    replies.recv().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_free_again_once_stop_has_resolved_a_thousand_times_on_real_threads() {
    let system = ActorSystem::start("respawn").await.unwrap();
    for round in 0..1_000 {
        let parent =
            system.spawn("parent", || Parent).unwrap_or_else(|error| panic!("round {round}: {error}"));
        if round % 10 == 0 {
            child_of(&parent, "child").await.unwrap();
        }
        parent.stop().await;
    }
    assert_eq!((system.stats().spawned, system.stats().actors), (1_100, 0));
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_spawn_one_name_at_once_exactly_one_succeeds() {
    let system = ActorSystem::start("rivals").await.unwrap();
    for round in 0..100 {
        let name = format!("actor{round}");
        let (won, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
        for _ in 0..4 {
            let (rival, name, done) = (system.clone(), name.clone(), done.clone());
            let (won, lost) = (won.clone(), lost.clone());
            let attempt = async move {
                match rival.spawn(&name, || Parent) {
                    Ok(_) => won.fetch_add(1, Ordering::SeqCst),
                    Err(SpawnError::NameTaken { .. }) => lost.fetch_add(1, Ordering::SeqCst),
                    Err(other) => panic!("{other}"),
                };
                drop(done);
            };
            system.env().spawn(|| "rival".to_owned(), attempt);
        }
        drop(done);
        assert!(all_done.recv().await.is_none());
        assert_eq!((won.load(Ordering::SeqCst), lost.load(Ordering::SeqCst)), (1, 3));
    }
    system.shutdown().await;
}

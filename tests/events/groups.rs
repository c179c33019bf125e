//! Who is in a group, and for how long?

use omnitron::prelude::*;
use omnitron::testkit::{Probe, Sim};

use crate::{SEEDS, SOON, Tick, sent, slow, system_in};

#[test]
fn a_message_to_a_group_reaches_its_members_and_nobody_else() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let groups = Groups::new(system.env());
        let mut probes: Vec<_> = ["a", "b", "c"].map(|name| Probe::new(&system, name).unwrap()).into();
        let actors: Vec<_> = probes.iter().map(|probe| probe.actor().clone()).collect();
        assert!(groups.join(&1, &actors[1]) && groups.join(&1, &actors[0]) && groups.join(&2, &actors[2]));
        assert!(!groups.join(&1, &actors[0]), "twice is once");
        assert_eq!((groups.members(&1), groups.members(&3)), (actors[..2].to_vec(), vec![]));
        assert_eq!(groups.tell_all(&1, "one").taken, 2);
        assert_eq!(groups.clone().tell_all(&2, "two").taken, 1);
        assert_eq!(groups.tell_all(&3, "three").taken, 0);
        assert!(
            groups.leave(&1, &actors[0]) && !groups.leave(&1, &actors[0]) && !groups.leave(&9, &actors[0])
        );
        assert_eq!(groups.tell_all(&1, "later").taken, 1);
        sim.env().sleep(SOON).await;
        let sent: Vec<Vec<&str>> = probes.iter_mut().map(sent).collect();
        assert_eq!(sent, [vec!["one"], vec!["one", "later"], vec!["two"]]);
        assert_eq!(groups.len(), 2);
        assert!(groups.leave(&1, &actors[1]) && groups.leave(&2, &actors[2]));
        assert!(groups.is_empty(), "a group without members is gone");
    });
}

#[test]
fn a_member_that_has_ended_has_left_all_its_groups_whenever_it_joined() {
    for seed in SEEDS {
        let sim = Sim::new(seed);
        sim.block_on(async {
            let system = system_in(&sim).await;
            let groups = Groups::new(system.env());
            let (probe, other) =
                (Probe::<()>::new(&system, "probe").unwrap(), Probe::new(&system, "other").unwrap());
            groups.join(&0, other.actor());
            groups.join(&9, probe.actor());
            for key in 0..3 {
                let (groups, actor) = (groups.clone(), probe.actor().clone());
                system.env().spawn(|| "joins".to_owned(), async move {
                    groups.join(&key, &actor);
                });
            }
            probe.actor().stop().await;
            sim.env().sleep(SOON).await;
            assert_eq!(groups.len(), 1, "seed {seed}");
            assert_eq!(groups.members(&0), [other.actor().clone()], "seed {seed}");
            assert!(!groups.join(&1, probe.actor()) && groups.members(&1).is_empty());
        });
    }
}

#[test]
fn a_member_that_has_no_room_gives_its_copy_back() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let groups = Groups::new(system.env());
        let (full, _) = slow(&system, SOON, Mailbox::bounded(1));
        let probe = Probe::new(&system, "probe").unwrap();
        groups.join(&"all", &full);
        groups.join(&"all", probe.actor());
        full.tell(Tick(0, 0)).unwrap();
        let told = groups.tell_all(&"all", Tick(0, 1));
        assert_eq!((told.taken, told.refused.len()), (1, 1));
        let (actor, Undelivered { message, reason }) = &told.refused[0];
        assert_eq!((actor, *message, *reason), (&full, Tick(0, 1), Refusal::Full { capacity: 1 }));
        assert_eq!(system.dead_letters().total(), 0, "what is given back is no dead letter");
    });
}

#[test]
fn an_adapted_member_leaves_with_the_actor_behind_it_and_so_does_a_subscription() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let groups = Groups::new(system.env());
        let probe = Probe::<u64>::new(&system, "a").unwrap();
        let adapted: ActorRef<u8> = probe.actor().contramap(u64::from);
        assert!(groups.join(&1, &adapted));
        let subscription = system.events().subscribe_with(&adapted, |event: u8| event);
        assert!(subscription.is_active());
        let actor = probe.actor().clone();
        drop(probe);
        actor.stop().await;
        assert!(groups.is_empty() && !subscription.is_active());
        assert!(!groups.join(&1, &adapted), "it has ended");
        assert!(!system.events().subscribe_with(&adapted, |event: u8| event).is_active());
    });
}

#[test]
fn a_panic_over_an_event_for_an_adapted_subscriber_is_a_failure_of_its_actor() {
    let sim = Sim::new(1);
    sim.block_on(async {
        let system = system_in(&sim).await;
        let probe = Probe::<u64>::new(&system, "a").unwrap();
        let adapted: ActorRef<u8> = probe.actor().contramap(u64::from);
        system.events().subscribe_with(&adapted, |_: u8| -> u8 { panic!("on request") }).keep();
        drop(system.events().publish(1_u8));
        sim.env().sleep(SOON).await;
        assert_eq!(system.stats().failures, 1);
    });
}

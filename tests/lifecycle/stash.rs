//! What becomes of messages that are put aside?

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::{Diary, SOON, system_in};

/// Puts numbers aside until it is opened.
struct Door {
    diary: Diary,
    open: bool,
}

enum Knock {
    Number(u32),
    Open,
    Fail,
    /// A question, put aside as well.
    Who(ReplyTo<&'static str>),
}

impl Actor for Door {
    type Msg = Knock;

    async fn receive(&mut self, message: Knock, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match message {
            Knock::Open => {
                self.open = true;
                self.diary.note(format!("open {}", ctx.unstash_all()));
            }
            Knock::Fail => return Err(Failure::msg("as told")),
            message if !self.open => {
                if let Err(full) = ctx.stash(message) {
                    let Knock::Number(n) = full.message else { panic!("only numbers come in these tests") };
                    self.diary.note(format!("full at {} with {n}", full.capacity));
                }
            }
            Knock::Number(n) => self.diary.note(n.to_string()),
            Knock::Who(reply) => reply.send("it is me"),
        }
        Ok(())
    }
}

fn door(diary: &Diary, stash: usize) -> Spawn<Door> {
    let diary = diary.clone();
    Spawn::new(move || Door { diary: diary.clone(), open: false }).stash(stash)
}

/// What a door with this stash writes down, told this, and how many messages became dead letters.
fn written(stash: usize, messages: Vec<Knock>) -> (Vec<String>, u64) {
    let sim = Sim::new(1);
    let diary = Diary::default();
    let dead = sim.block_on(async {
        let system = system_in(&sim).await;
        let door = system.spawn("door", door(&diary, stash)).unwrap();
        for message in messages {
            door.tell(message).unwrap();
        }
        sim.env().sleep(SOON).await;
        door.drain().await;
        system.dead_letters().count(Reason::Stopped)
    });
    (diary.read(), dead)
}

#[test]
fn what_was_stashed_comes_before_what_is_queued_and_in_its_own_order() {
    let (written, dead) = written(
        1000,
        vec![
            Knock::Number(1),
            Knock::Number(2),
            Knock::Number(3),
            Knock::Open,
            Knock::Number(4),
            Knock::Number(5),
        ],
    );
    assert_eq!(written, ["open 3", "1", "2", "3", "4", "5"]);
    assert_eq!(dead, 0);
}

#[test]
fn a_full_stash_gives_the_message_back_and_keeps_the_others() {
    let numbers = || (1..=3).map(Knock::Number);
    let (just_enough, _) = written(3, numbers().chain([Knock::Open]).collect());
    assert_eq!(just_enough, ["open 3", "1", "2", "3"]);
    let (one_too_many, _) = written(2, numbers().chain([Knock::Open]).collect());
    assert_eq!(one_too_many, ["full at 2 with 3", "open 2", "1", "2"]);
    let (none_at_all, _) = written(0, vec![Knock::Number(1), Knock::Open]);
    assert_eq!(none_at_all, ["full at 0 with 1", "open 0"]);
}

#[test]
fn an_empty_stash_has_nothing_to_give() {
    assert_eq!(written(10, vec![Knock::Open, Knock::Open]), (vec!["open 0".into(), "open 0".into()], 0));
}

#[test]
fn what_is_stashed_when_the_actor_stops_becomes_dead_letters() {
    assert_eq!(written(10, vec![Knock::Number(1), Knock::Number(2)]), (Vec::new(), 2));
}

#[test]
fn the_stash_outlives_a_restart_and_is_handled_before_what_is_queued() {
    let (written, dead) = written(
        10,
        vec![
            Knock::Number(1),
            Knock::Number(2),
            Knock::Fail,
            Knock::Number(3),
            Knock::Open,
            Knock::Number(4),
        ],
    );
    // The fresh actor is not open: it puts the three aside once more, in their order.
    assert_eq!((written, dead), (["open 3", "1", "2", "3", "4"].map(String::from).to_vec(), 0));
}

#[test]
fn the_default_stash_holds_a_thousand() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let closed = diary.clone();
        let door = system.spawn("door", move || Door { diary: closed.clone(), open: false }).unwrap();
        for n in 1..=1_001 {
            door.tell(Knock::Number(n)).unwrap();
        }
        sim.env().sleep(SOON).await;
    });
    assert_eq!(diary.read(), ["full at 1000 with 1001"]);
}

#[test]
fn a_stashed_question_is_answered_later_or_ends_as_one_that_was_begun() {
    let sim = Sim::new(1);
    let diary = Diary::default();
    sim.block_on(async {
        let system = system_in(&sim).await;
        let door = system.spawn("door", door(&diary, 10)).unwrap();
        let opener = door.clone();
        let env = sim.env();
        sim.env().spawn(|| "opener".into(), async move {
            env.sleep(Duration::from_millis(100)).await;
            opener.tell(Knock::Open).unwrap();
        });
        assert_eq!(door.ask(Knock::Who).await.unwrap(), "it is me");

        let closed = system.spawn("closed", self::door(&diary, 10)).unwrap();
        let late = closed.ask(Knock::Who).within(Duration::from_millis(50)).await;
        assert!(matches!(late, Err(AskError::TimedOut { .. })), "{late:?}");

        let stopper = closed.clone();
        let env = sim.env();
        sim.env().spawn(|| "stopper".into(), async move {
            env.sleep(Duration::from_millis(100)).await;
            stopper.stop().await;
        });
        let lost = closed.ask(Knock::Who).await;
        assert!(matches!(lost, Err(AskError::Abandoned)), "its handler ran: {lost:?}");
    });
}

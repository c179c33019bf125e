//! A state machine: the states are an enum, and what a message does depends on the state that it meets.
//!
//! An order is open, waits for the bank, is paid, and is shipped. A step that is illegal in a state is answered with an
//! error. One that comes too early is put aside until the state has changed. A bank that stays silent is not waited for.

use std::time::Duration;

use omnitron::prelude::*;

const PATIENCE: Duration = Duration::from_millis(50);

#[derive(Debug)]
enum State {
    Open { items: u32 },
    Paying { items: u32 },
    Paid { items: u32 },
    Shipped,
    Cancelled,
}

#[derive(Debug)]
enum Step {
    Add,
    Pay,
    Ship,
}

/// What was tried, and in which state.
type Illegal = String;

enum OrderMsg {
    /// Answered with the number of items.
    Do(Step, ReplyTo<Result<u32, Illegal>>),
    BankSaysYes,
    BankIsSilent,
}

struct Order {
    state: State,
}

impl Order {
    /// Another state: what came too early for the last one may be right now.
    fn enter(&mut self, state: State, ctx: &mut Context<Self>) {
        println!("{}: from {:?} to {state:?}", ctx.name(), self.state);
        self.state = state;
        ctx.unstash_all();
    }
}

impl Actor for Order {
    type Msg = OrderMsg;

    async fn receive(&mut self, msg: OrderMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match (&mut self.state, msg) {
            (State::Open { items }, OrderMsg::Do(Step::Add, reply)) => {
                *items += 1;
                reply.send(Ok(*items));
            }
            (&mut State::Open { items: items @ 1.. }, OrderMsg::Do(Step::Pay, reply)) => {
                ctx.timers().once("bank", PATIENCE, || OrderMsg::BankIsSilent);
                self.enter(State::Paying { items }, ctx);
                reply.send(Ok(items));
            }
            (State::Paying { .. }, early @ OrderMsg::Do(Step::Ship, _)) => ctx.stash(early)?,
            (&mut State::Paying { items }, OrderMsg::BankSaysYes) => {
                ctx.timers().cancel("bank");
                self.enter(State::Paid { items }, ctx);
            }
            (State::Paying { .. }, OrderMsg::BankIsSilent) => self.enter(State::Cancelled, ctx),
            (&mut State::Paid { items }, OrderMsg::Do(Step::Ship, reply)) => {
                self.enter(State::Shipped, ctx);
                reply.send(Ok(items));
            }
            (state, OrderMsg::Do(step, reply)) => reply.send(Err(format!("no {step:?} when {state:?}"))),
            (_, OrderMsg::BankSaysYes | OrderMsg::BankIsSilent) => {} // too late: it has been decided
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("shop").await?;
    for (name, bank_answers) in [("order-1", true), ("order-2", false)] {
        let order = system.spawn(name, || Order { state: State::Open { items: 0 } })?;
        let step = |step| order.try_ask(|reply| OrderMsg::Do(step, reply));
        for first in [Step::Pay, Step::Add, Step::Pay] {
            println!("{name}: {:?}", step(first).await);
        }
        // Both at once: the order to ship comes first, and waits.
        let bank = async { if bank_answers { order.tell(OrderMsg::BankSaysYes) } else { Ok(()) } };
        let (shipped, told) = tokio::join!(step(Step::Ship), bank);
        told?;
        println!("{name}: {shipped:?}");
    }
    system.shutdown().await;
    Ok(())
}

//! What do the actors do, now? `system.inspect()`, as text and as JSON.
//!
//! In virtual time, so that the figures are the same in every run: one actor is idle, one awaits in the middle of a message
//! with others behind it, and one has failed and waits for its restart.

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

const MINUTE: Duration = Duration::from_mins(1);

/// Prints a page in half a minute, and keeps a counter of ink as its child.
struct Printer;

enum PrinterMsg {
    Page,
    Jam,
}

impl Actor for Printer {
    type Msg = PrinterMsg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        ctx.spawn("ink", || Ink { percent: 100 })?;
        Ok(())
    }

    async fn receive(&mut self, msg: PrinterMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            PrinterMsg::Page => ctx.env().sleep(MINUTE / 2).await,
            PrinterMsg::Jam => return Err(Failure::msg("the paper is stuck")),
        }
        if let Some(ink) = ctx.child::<u8>("ink") {
            ink.tell(1)?;
        }
        Ok(())
    }
}

struct Ink {
    percent: u8,
}

impl Actor for Ink {
    type Msg = u8;

    async fn receive(&mut self, used: u8, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.percent = self.percent.saturating_sub(used);
        Ok(())
    }
}

async fn office(sim: &Sim) -> Result<(), Failure> {
    let system = ActorSystem::builder("office").env(sim.env()).start().await?;
    let after_a_minute = || Supervision::restart().backoff(Backoff::exponential(MINUTE, MINUTE));
    let printer = |name| system.spawn(name, Spawn::new(|| Printer).supervision(after_a_minute()));
    printer("attic")?;
    let cellar = printer("cellar")?;
    let hall = printer("hall")?;

    hall.tell(PrinterMsg::Page)?;
    cellar.tell(PrinterMsg::Page)?;
    system.env().sleep(MINUTE).await;
    for _ in 0..3 {
        hall.tell(PrinterMsg::Page)?;
    }
    cellar.tell(PrinterMsg::Jam)?;
    cellar.tell(PrinterMsg::Page)?;
    system.env().sleep(MINUTE / 6).await;

    let inspection = system.inspect();
    println!("{inspection}\n");
    for actor in inspection.iter().filter(|actor| actor.failures > 0) {
        println!("{} is {} with {} waiting\n", actor.path, actor.state.word(), actor.depth);
    }
    println!("{}", inspection.to_json());

    system.shutdown().await;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let sim = Sim::new(1);
    sim.block_on(office(&sim))
}

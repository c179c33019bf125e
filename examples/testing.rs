//! Tests without waiting: one actor by hand, a probe in virtual time, and a run that its seed repeats.
//!
//! In a project this is `#[test] fn`s; here it is a program, so that it can be watched. Hours pass, and nobody waits.

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::{Probe, Sim, Single};

const HOUR: Duration = Duration::from_hours(1);

/// A parking meter: a coin buys an hour. It tells the warden when time is up.
#[derive(Default)]
struct Meter {
    hours: u32,
    warden: Option<ActorRef<String>>,
}

enum MeterMsg {
    Coin,
    Hour,
    Warden(ActorRef<String>),
    Hours(ReplyTo<u32>),
}

impl Actor for Meter {
    type Msg = MeterMsg;

    async fn receive(&mut self, msg: MeterMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            MeterMsg::Coin => {
                self.hours += 1;
                if !ctx.timers().is_set("hour") {
                    ctx.timers().every("hour", HOUR, || MeterMsg::Hour);
                }
            }
            MeterMsg::Hour => {
                self.hours -= 1;
                if self.hours == 0 {
                    ctx.timers().cancel("hour");
                    if let Some(warden) = &self.warden {
                        warden.tell(ctx.name().to_owned())?;
                    }
                }
            }
            MeterMsg::Warden(warden) => self.warden = Some(warden),
            MeterMsg::Hours(reply) => reply.send(self.hours),
        }
        Ok(())
    }
}

/// Five meters run out at the same moment: who is first to say so is drawn from the seed.
async fn street(sim: &Sim) -> Result<Vec<String>, Failure> {
    let system = ActorSystem::builder("town").env(sim.env()).start().await?;
    let mut warden = Probe::new(&system, "warden")?;
    for name in ["ash", "elm", "fir", "oak", "yew"] {
        let meter = system.spawn(name, Meter::default)?;
        meter.tell(MeterMsg::Warden(warden.actor().clone()))?;
        meter.tell(MeterMsg::Coin)?;
        meter.tell(MeterMsg::Coin)?;
    }
    let mut expired = Vec::new();
    for _ in 0..5 {
        expired.push(warden.expect_next(3 * HOUR).await);
    }
    system.shutdown().await;
    Ok(expired)
}

fn main() -> Result<(), Failure> {
    let mut meter = Single::new(Meter::default);
    meter.handle(MeterMsg::Coin)?;
    meter.handle(MeterMsg::Coin)?;
    let handled = meter.advance(HOUR)?;
    println!("by hand: {handled} message in an hour, and {} hour left", meter.actor().hours);
    assert_eq!(meter.ask(MeterMsg::Hours)?, 1);

    let run = |seed| {
        let sim = Sim::logging(seed);
        let expired = sim.block_on(street(&sim))?;
        println!("seed {seed}: after {} h the time was up at {expired:?}", sim.elapsed().as_secs() / 3_600);
        Ok::<_, Failure>(sim.log())
    };
    let log = run(1)?;
    run(2)?;
    println!("the same seed has the same {} events: {}", log.len(), run(1)? == log);
    Ok(())
}

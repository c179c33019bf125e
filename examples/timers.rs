//! Timers: once, again and again, and what ends with the actor.
//!
//! A timer makes a message for its own actor when it is due. A key has one timer: setting it again replaces the old one.
//! A timer needs no room in the mailbox, is never a dead letter, and ends with its actor.

use std::time::Duration;

use omnitron::prelude::*;

const PERIOD: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Metronome {
    beats: u32,
}

enum MetronomeMsg {
    Greet(&'static str),
    Beat,
    Stop,
}

impl Actor for Metronome {
    type Msg = MetronomeMsg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let mut timers = ctx.timers();
        timers.once("greet", Duration::from_hours(24), || MetronomeMsg::Greet("tomorrow"));
        timers.once("greet", PERIOD / 2, || MetronomeMsg::Greet("hello")); // replaces the line above
        Ok(())
    }

    async fn receive(&mut self, msg: MetronomeMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            MetronomeMsg::Greet(text) => {
                println!("once: {text}");
                ctx.timers().every("beat", PERIOD, || MetronomeMsg::Beat);
            }
            MetronomeMsg::Beat => {
                self.beats += 1;
                println!("every {PERIOD:?}: beat {}", self.beats);
                if self.beats == 2 {
                    // Too busy for five beats: they make one message, and the rhythm stays.
                    ctx.env().sleep(PERIOD * 5).await;
                }
                if self.beats == 4 {
                    ctx.timers().cancel("beat");
                    ctx.timers().once("stop", PERIOD * 2, || MetronomeMsg::Stop);
                    println!("cancelled: no beat in the next {:?}", PERIOD * 2);
                }
            }
            MetronomeMsg::Stop => {
                ctx.timers().once("greet", Duration::from_hours(24), || MetronomeMsg::Greet("tomorrow"));
                ctx.stop();
            }
        }
        Ok(())
    }

    async fn stopped(&mut self, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        println!("stopped after {} beats; the timer for tomorrow ends here", self.beats);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("timers").await?;
    let metronome = system.spawn("metronome", Metronome::default)?;
    metronome.stopped().await;
    println!("dead letters: {}", system.dead_letters().total());
    system.shutdown().await;
    Ok(())
}

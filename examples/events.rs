//! The event bus: publish a value, and everybody who subscribed to its type hears of it.
//!
//! A control tower publishes landings. A counter subscribes as an actor, a board reads a stream that shows the latest two, and
//! the passengers at a gate are told as a group.

use omnitron::prelude::*;

#[derive(Clone, Debug)]
struct Landed {
    flight: &'static str,
    delay_minutes: u32,
}

#[derive(Default)]
struct Delays {
    minutes: u32,
    subscription: Option<Subscription>,
}

enum DelaysMsg {
    Late(u32),
    Total(ReplyTo<u32>),
}

impl Actor for Delays {
    type Msg = DelaysMsg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // Kept in the state: it ends with this incarnation, and the next one subscribes anew.
        let late = |landed: Landed| DelaysMsg::Late(landed.delay_minutes);
        self.subscription = Some(ctx.system().events().subscribe_with(ctx.myself(), late));
        Ok(())
    }

    async fn receive(&mut self, msg: DelaysMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            DelaysMsg::Late(minutes) => self.minutes += minutes,
            DelaysMsg::Total(reply) => reply.send(self.minutes),
        }
        Ok(())
    }
}

struct Passenger;

impl Actor for Passenger {
    type Msg = &'static str;

    async fn receive(&mut self, news: &'static str, ctx: &mut Context<Self>) -> Result<(), Failure> {
        println!("{} hears: {news}", ctx.name());
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("airport").await?;
    let events = system.events();

    let delays = system.spawn("delays", Delays::default)?;
    delays.ask(DelaysMsg::Total).await?; // it has started, and so has subscribed
    let mut board = events.stream::<Landed>(2, WhenFull::DropOldest);

    for (flight, delay_minutes) in [("N14228", 2), ("N24211", 0), ("N619AA", 33)] {
        let taken = events.publish(Landed { flight, delay_minutes })?;
        println!("{flight} landed: {taken} were told");
    }
    println!("delays: {} minutes in all", delays.ask(DelaysMsg::Total).await?);
    while let Some(landed) = board.try_recv() {
        println!("board: {} ({} min late)", landed.flight, landed.delay_minutes);
    }
    println!("board: {} missed, because nobody looked", board.missed());

    let gates = Groups::new(system.env());
    let ann = system.spawn("ann", || Passenger)?;
    gates.join(&"B22", &ann);
    gates.join(&"B22", &system.spawn("bob", || Passenger)?);
    println!("gate B22: {} were told", gates.tell_all(&"B22", "boarding").taken);
    ann.drain().await; // whoever has ended has left its groups
    println!("gate B22: {} were told", gates.tell_all(&"B22", "last call").taken);

    system.shutdown().await;
    Ok(())
}

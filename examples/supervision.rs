//! What happens after an error and after a panic, and how to decide it.
//!
//! A till skips a payment that is no number: an error. One that jams the drawer is a panic (on stderr, as no log listens):
//! a fresh till takes over, with an empty drawer and the same queue of payments. The second jam is one too many.

use std::num::ParseIntError;
use std::time::Duration;

use omnitron::prelude::*;

#[derive(Default)]
struct Till {
    cents: u64,
}

enum TillMsg {
    Pay(&'static str),
    Total(ReplyTo<u64>),
}

impl Actor for Till {
    type Msg = TillMsg;

    async fn receive(&mut self, msg: TillMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            TillMsg::Pay(text) => {
                let cents: u64 = text.parse()?;
                assert!(cents < 100_000, "the drawer jams on {cents} cents");
                self.cents += cents;
            }
            TillMsg::Total(reply) => reply.send(self.cents),
        }
        Ok(())
    }
}

/// Owns the till, and writes down what becomes of it.
#[derive(Default)]
struct Shop {
    notes: Vec<String>,
}

enum ShopMsg {
    Till(ReplyTo<Option<ActorRef<TillMsg>>>),
    Notes(ReplyTo<Vec<String>>),
}

impl Actor for Shop {
    type Msg = ShopMsg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let supervision = Supervision::restart()
            .limit(1, Duration::from_mins(1))
            .when_spent(WhenSpent::Stop)
            .decide(|failure| match failure.downcast_ref::<ParseIntError>() {
                Some(_) => Directive::Resume,
                None => Directive::Restart,
            });
        let till = ctx.spawn("till", Spawn::new(Till::default).supervision(supervision))?;
        ctx.watch(&till);
        Ok(())
    }

    async fn receive(&mut self, msg: ShopMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            ShopMsg::Till(reply) => reply.send(ctx.child("till")),
            ShopMsg::Notes(reply) => reply.send(self.notes.clone()),
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.notes.push(match signal {
            Signal::ChildFailed(crash) => format!("failure {}: {}", crash.attempt(), crash.reason()),
            Signal::ChildRestarted { attempt, .. } => format!("restart {attempt}"),
            other => format!("{other:?}"),
        });
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("supervision").await?;
    let shop = system.spawn("shop", Shop::default)?;
    let till = shop.ask(ShopMsg::Till).await?.ok_or("the shop has no till")?;
    for payment in ["500", "five", "70"] {
        till.tell(TillMsg::Pay(payment))?;
    }
    println!("the bad payment was skipped: {} cents", till.ask(TillMsg::Total).await?);
    till.tell(TillMsg::Pay("999999"))?;
    till.tell(TillMsg::Pay("30"))?;
    println!("a fresh till took what was queued: {} cents", till.ask(TillMsg::Total).await?);
    till.tell(TillMsg::Pay("999999"))?;
    till.stopped().await;
    println!("what {} saw:\n  {}", shop.path(), shop.ask(ShopMsg::Notes).await?.join("\n  "));
    system.shutdown().await;
    Ok(())
}

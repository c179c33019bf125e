//! An actor in fewer lines: methods are its messages, and `#[actor]` writes the enum, the match, and the methods of a reference.

use std::time::Duration;

use omnitron::prelude::*;

/// Tickets of one show.
struct BoxOffice {
    left: u32,
}

#[derive(Debug)]
struct SoldOut {
    left: u32,
}

impl std::fmt::Display for SoldOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "only {} tickets left", self.left)
    }
}

impl std::error::Error for SoldOut {}

#[actor]
impl BoxOffice {
    fn opens() -> Self {
        Self { left: 10 }
    }

    /// Puts tickets back.
    #[tell]
    fn refund(&mut self, tickets: u32) {
        self.left += tickets;
    }

    /// How many are left.
    #[ask]
    fn left(&self) -> u32 {
        self.left
    }

    /// Sells some, or says how many there are. The error is a reply: this actor is fine.
    #[ask]
    fn sell(&mut self, tickets: u32) -> Result<u32, SoldOut> {
        self.left = self.left.checked_sub(tickets).ok_or(SoldOut { left: self.left })?;
        Ok(self.left)
    }

    /// Sells what is left elsewhere. Here an error is a failure, and supervision decides.
    #[ask(fail)]
    async fn merge(&mut self, other: ActorRef<BoxOfficeMsg>, tickets: u32) -> Result<u32, Failure> {
        other.sell(tickets).within(Duration::from_secs(1)).await?;
        self.left += tickets;
        Ok(self.left)
    }

    #[hook]
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        println!("{} opens with {} tickets", ctx.path(), self.left);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("theatre").await?;
    let north = system.spawn("north", BoxOffice::opens)?;
    let south = system.spawn("south", BoxOffice::opens)?;

    println!("north sells 8, {} left", north.sell(8).await?);
    north.refund(1)?;
    match north.sell(5).await {
        Err(AskError::Failed(SoldOut { left })) => println!("north has no 5, only {left}"),
        other => println!("unexpected: {other:?}"),
    }
    println!("north takes 5 from south: {} left", north.merge(south.clone(), 5).await?);
    println!("south: {} left", south.left().await?);

    system.shutdown().await;
    Ok(())
}

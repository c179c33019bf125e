//! Hello, actor: spawn one by name, tell it something, ask it for the result.

use omnitron::prelude::*;

#[derive(Default)]
struct Counter {
    value: u64,
}

enum CounterMsg {
    Add(u64),
    Get(ReplyTo<u64>),
}

impl Actor for Counter {
    type Msg = CounterMsg;

    async fn receive(&mut self, msg: CounterMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            CounterMsg::Add(n) => self.value += n,
            CounterMsg::Get(reply) => reply.send(self.value),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("hello").await?;
    let counter = system.spawn("counter", Counter::default)?;
    counter.tell(CounterMsg::Add(5))?;
    let value = counter.ask(CounterMsg::Get).await?;
    println!("{} holds {value}", counter.path());
    assert_eq!(value, 5);
    system.shutdown().await;
    Ok(())
}

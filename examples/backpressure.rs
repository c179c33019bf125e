//! A bounded mailbox: `tell` gives the message back, `send` waits for room, or the oldest message makes room.
//!
//! An actor is kept busy, so that its mailbox fills up. A mailbox that rejects counts the message in hand as well; one that
//! drops the oldest counts what waits, because what is being handled can no longer be dropped.

use omnitron::prelude::*;
use tokio::sync::oneshot;

#[derive(Default)]
struct Worker {
    done: Vec<u32>,
}

enum WorkerMsg {
    /// Says that it has begun, then waits until it may go on.
    Busy(ReplyTo<()>, oneshot::Receiver<()>),
    Job(u32),
}

impl Actor for Worker {
    type Msg = WorkerMsg;

    async fn receive(&mut self, msg: WorkerMsg, _ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            WorkerMsg::Busy(begun, go_on) => {
                begun.send(());
                go_on.await?;
            }
            WorkerMsg::Job(number) => self.done.push(number),
        }
        Ok(())
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        println!("{} did jobs {:?}", ctx.path(), self.done);
        Ok(())
    }
}

/// Keeps a worker busy until the sender that is returned is used.
async fn keep_busy(worker: &ActorRef<WorkerMsg>) -> Result<oneshot::Sender<()>, AskError> {
    let (go, go_on) = oneshot::channel();
    worker.ask(|begun| WorkerMsg::Busy(begun, go_on)).await?;
    Ok(go)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("backpressure").await?;

    let mailbox = Mailbox::bounded(2); // rejects what is too much: the default, but smaller
    let strict = system.spawn("strict", Spawn::new(Worker::default).mailbox(mailbox))?;
    let go = keep_busy(&strict).await?;
    strict.tell(WorkerMsg::Job(1))?;
    let Err(Undelivered { message, reason }) = strict.tell(WorkerMsg::Job(2)) else {
        return Err("a full mailbox took a third message".into());
    };
    println!("tell: job 2 came back: {reason}");
    let (sent, ()) = tokio::join!(strict.send(message), async {
        println!("send: job 2 waits for room, until the worker goes on");
        let _ = go.send(());
    });
    sent?;
    strict.drain().await; // handles what is queued, then stops

    let mailbox = Mailbox::bounded(2).on_full(Overflow::DropOldest);
    let latest = system.spawn("latest", Spawn::new(Worker::default).mailbox(mailbox))?;
    let go = keep_busy(&latest).await?;
    for number in 1..=5 {
        latest.tell(WorkerMsg::Job(number))?;
    }
    println!("tell: five jobs, and a mailbox of two that drops the oldest");
    let _ = go.send(());
    latest.drain().await;
    println!("dead letters: {}", system.dead_letters().count(Reason::Overflowed));

    system.shutdown().await;
    Ok(())
}

//! Where does code run that blocks? On threads of its own: `cargo run --example blocking`.
//!
//! Four actors read files the blocking way, on a pool of two threads; a fifth owns a device that wants one thread. The
//! threads of the runtime stay free for everybody else.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use omnitron::Dispatcher;
use omnitron::prelude::*;

/// Reads files with calls that block.
struct Reader;

struct Count {
    file: PathBuf,
    reply: ReplyTo<Result<usize, std::io::Error>>,
}

impl Actor for Reader {
    type Msg = Count;

    async fn receive(&mut self, Count { file, reply }: Count, _: &mut Context<Self>) -> Result<(), Failure> {
        // A missing file is the asker's business, not a failure of this actor.
        reply.send(std::fs::read_to_string(file).map(|text| text.lines().count()));
        Ok(())
    }
}

/// Something that may only be used from the thread that opened it.
struct Device {
    opened_on: thread::ThreadId,
}

impl Actor for Device {
    type Msg = ReplyTo<bool>;

    async fn receive(&mut self, reply: ReplyTo<bool>, _: &mut Context<Self>) -> Result<(), Failure> {
        reply.send(thread::current().id() == self.opened_on);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("blocking").await?;

    let files = Dispatcher::blocking("files", NonZeroUsize::new(2).ok_or("two is not zero")?);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut questions = Vec::new();
    for name in ["hello.rs", "timers.rs", "blocking.rs", "missing.rs"] {
        let reader = system.spawn(name, Spawn::new(|| Reader).dispatcher(files.clone()))?;
        let file = folder.join(name);
        questions.push((name, reader.try_ask(move |reply| Count { file, reply })));
    }
    for (name, question) in questions {
        match question.await {
            Ok(lines) => println!("{name}: {} lines", if lines > 0 { "some" } else { "no" }),
            Err(AskError::Failed(error)) => println!("{name}: {}", error.kind()),
            Err(error) => return Err(error.into()),
        }
    }

    let open = || Device { opened_on: thread::current().id() };
    let device = system.spawn("device", Spawn::new(open).dispatcher(Dispatcher::pinned()))?;
    println!("the device is used from its own thread: {}", device.ask(|reply| reply).await?);

    system.shutdown().await;
    Ok(())
}

//! Streams into an actor and out of it, each at the pace of who is slower.
//!
//! A parser is fed lines from a stream, and emits what it makes of them; whoever reads its output slowly slows down the parser,
//! and that slows down the stream of lines.

use futures_util::stream;
use omnitron::prelude::*;

struct Parser {
    numbers: Option<Output<i64>>,
    feed: Option<Feed>,
}

enum ParserMsg {
    /// Starts reading, and hands out the stream of numbers.
    Open(ReplyTo<OutputStream<i64>>),
    Line(String),
    NoMoreLines,
}

impl Parser {
    fn new() -> Self {
        Self { numbers: None, feed: None }
    }
}

impl Actor for Parser {
    type Msg = ParserMsg;

    async fn receive(&mut self, msg: ParserMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match msg {
            ParserMsg::Open(reply) => {
                let lines = stream::iter(["1", "2", "three", "4", "5"].map(String::from));
                // One line at a time: the next is asked for when this one has room in the mailbox.
                self.feed = Some(ctx.feed(lines, ParserMsg::Line, || ParserMsg::NoMoreLines));
                let (numbers, stream) = ctx.output(1);
                self.numbers = Some(numbers);
                reply.send(stream);
            }
            ParserMsg::Line(line) => {
                let Some(numbers) = &self.numbers else { return Ok(()) };
                match line.parse() {
                    // Waits until the reader has room. An error says that it has gone, or is far too slow.
                    Ok(number) => numbers.emit(number).await?,
                    Err(error) => println!("{line:?} is no number: {error}"),
                }
            }
            ParserMsg::NoMoreLines => {
                println!("all lines are read");
                self.numbers = None; // ends the stream of numbers
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("streams").await?;
    let parser = system.spawn("parser", Spawn::new(Parser::new).mailbox(Mailbox::bounded(2)))?;
    let mut numbers = parser.ask(ParserMsg::Open).await?;
    let mut sum = 0;
    while let Some(number) = numbers.recv().await {
        sum += number;
        println!("read {number}");
    }
    println!("the sum is {sum}");
    system.shutdown().await;
    Ok(())
}

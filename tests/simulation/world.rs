//! A system in which everything that can happen to actors happens, at random.

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::testkit::Sim;

use crate::ledger::{Figures, Ledger, Number, Token};

/// Actors at the top, each the root of a family.
const FAMILIES: usize = 12;
/// Children that each of them starts with.
const CHILDREN: usize = 9;
/// Actors a world may ever have.
const ACTORS_MOST: usize = 400;
/// The longest an ask may take.
const ASK_LIMIT: Duration = Duration::from_millis(500);
/// Deadlines are kept in ticks of so long, and may be two late.
const TICK: Duration = Duration::from_millis(10);

pub(crate) enum Msg {
    /// Do something at random; what that leads to is one generation younger.
    Do {
        token: Token,
        from: Number,
        sequence: u64,
        generations: u8,
    },
    Ask {
        token: Token,
        reply: ReplyTo<u64>,
    },
    Tick(Token),
    Result(Token),
    Aside(Token),
}

impl Msg {
    fn token(&mut self) -> &mut Token {
        match self {
            Self::Do { token, .. }
            | Self::Ask { token, .. }
            | Self::Tick(token)
            | Self::Result(token)
            | Self::Aside(token) => token,
        }
    }
}

/// One inhabitant.
struct Node {
    ledger: Ledger,
    number: Number,
    ticks: u32,
}

/// What became of a world.
pub(crate) struct Outcome {
    pub(crate) wrong: Vec<String>,
    pub(crate) figures: Figures,
}

impl Node {
    /// Anybody, dead or alive.
    fn anybody(&self, ctx: &Context<Self>) -> (Number, ActorRef<Msg>) {
        let actors = &self.ledger.open().actors;
        // The reference is entered a moment after the number is taken.
        let mut at = below(ctx.random_u64(), actors.len());
        loop {
            if let Some(actor) = &actors[at] {
                return (at, actor.clone());
            }
            at = (at + 1) % actors.len();
        }
    }

    fn message(&self, to: Number, generations: u8) -> Msg {
        let token = self.ledger.token();
        let sequence = self.ledger.open().next(self.number, to);
        Msg::Do { token, from: self.number, sequence, generations }
    }

    async fn act(&mut self, generations: u8, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match ctx.random_u64() % 100 {
            0..=44 if generations > 0 => {
                for _ in 0..=ctx.random_u64() % 2 {
                    let (to, peer) = self.anybody(ctx);
                    let told = peer.tell(self.message(to, generations - 1));
                    give_back(told);
                }
            }
            45..=54 if generations > 0 => {
                let (to, peer) = self.anybody(ctx);
                give_back(peer.send(self.message(to, generations - 1)).await);
            }
            55..=66 => self.ask_somebody(ctx).await,
            67..=70 => return Err(Failure::msg(format!("an error of {:?}", ctx.myself()))),
            71..=74 => panic!("a panic of {:?}", ctx.myself()),
            75..=79 => ctx.env().sleep(Duration::from_micros(ctx.random_u64() % 5_000)).await,
            80..=82 => {
                let ledger = self.ledger.clone();
                ctx.timers().once("once", Duration::from_millis(3), move || Msg::Tick(ledger.token()));
            }
            83..=84 => {
                let ledger = self.ledger.clone();
                ctx.timers().every("every", Duration::from_millis(7), move || Msg::Tick(ledger.token()));
            }
            85..=86 => self.have_child(ctx),
            87 => {
                let (number, somebody) = self.anybody(ctx);
                // Not the roots: they keep the world going.
                if number >= FAMILIES {
                    drop(if ctx.random_u64().is_multiple_of(2) { somebody.stop() } else { somebody.drain() });
                }
            }
            88..=91 => {
                let (_, somebody) = self.anybody(ctx);
                self.ledger.open().watches(self.number, somebody.path().to_string());
                ctx.watch(&somebody);
            }
            92 => {
                let (_, somebody) = self.anybody(ctx);
                self.ledger.open().unwatches(self.number, somebody.path().to_string());
                ctx.unwatch(&somebody);
            }
            93..=95 => {
                let (ledger, wait) = (self.ledger.clone(), ctx.env().sleep(Duration::from_millis(2)));
                // Without room it is not begun.
                let _ = ctx.pipe_to_self(wait, move |()| Msg::Result(ledger.token()));
            }
            96..=97 => {
                let told = ctx.myself().tell(Msg::Aside(self.ledger.token()));
                give_back(told);
            }
            98 => drop(ctx.unstash_all()),
            _ => {}
        }
        Ok(())
    }

    async fn ask_somebody(&self, ctx: &mut Context<Self>) {
        let (_, peer) = self.anybody(ctx);
        let limit = Duration::from_millis(1 + ctx.random_u64() % 500).min(ASK_LIMIT);
        self.ledger.open().figures.asks += 1;
        let ledger = self.ledger.clone();
        let begun = ctx.now();
        let answer = peer.ask(move |reply| Msg::Ask { token: ledger.token(), reply }).within(limit).await;
        let took = ctx.now() - begun;
        let mut books = self.ledger.open();
        books.figures.asks_ended += 1;
        if took > limit + TICK * 2 {
            books.wrong(format!("an ask of at most {limit:?} took {took:?}: {answer:?}"));
        }
        match answer {
            Ok(_) => books.figures.replies += 1,
            Err(AskError::Refused(_)) => books.figures.refused += 1,
            Err(_) => {}
        }
    }

    fn have_child(&self, ctx: &mut Context<Self>) {
        if let Some((number, spawn)) = node(&self.ledger, ctx.random_u64())
            && let Ok(child) = ctx.spawn(&format!("n{number}"), spawn)
        {
            self.ledger.open().actors[number] = Some(child);
        }
    }
}

impl Actor for Node {
    type Msg = Msg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let _inside = self.ledger.enter(self.number);
        if self.number < FAMILIES {
            (0..CHILDREN).for_each(|_| self.have_child(ctx));
        }
        Ok(())
    }

    async fn receive(&mut self, mut message: Msg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let _inside = self.ledger.enter(self.number);
        message.token().handled();
        match message {
            Msg::Do { from, sequence, generations, .. } => {
                self.ledger.open().check_order(from, self.number, sequence);
                self.act(generations, ctx).await?;
            }
            Msg::Ask { reply, .. } => match ctx.random_u64() % 10 {
                0 => drop(reply),
                1 => panic!("asked too much"),
                2 => return Err(Failure::msg("no answer")),
                3 => {
                    ctx.env().sleep(Duration::from_millis(ctx.random_u64() % 300)).await;
                    reply.send(0);
                }
                _ => reply.send(1),
            },
            Msg::Tick(_) => {
                self.ledger.open().figures.ticks += 1;
                self.ticks += 1;
                if self.ticks.is_multiple_of(4) {
                    ctx.timers().cancel("every");
                }
            }
            Msg::Result(_) => self.ledger.open().figures.results += 1,
            Msg::Aside(mut token) => {
                token.put_aside();
                if let Err(mut full) = ctx.stash(Msg::Aside(token)) {
                    full.message.token().given_back();
                }
            }
        }
        Ok(())
    }

    async fn signal(&mut self, signal: Signal, _: &mut Context<Self>) -> Result<(), Failure> {
        let _inside = self.ledger.enter(self.number);
        if let Signal::Terminated(path) = signal {
            self.ledger.open().hears(self.number, path.as_str());
        }
        Ok(())
    }

    async fn post_restart(&mut self, _: &Crash, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.ledger.open().figures.restarts += 1;
        self.started(ctx).await
    }

    async fn stopped(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let _inside = self.ledger.enter(self.number);
        ctx.env().sleep(Duration::from_micros(ctx.random_u64() % 100)).await;
        Ok(())
    }
}

fn below(random: u64, count: usize) -> usize {
    usize::try_from(random % count as u64).unwrap()
}

fn give_back(told: Result<(), Undelivered<Msg>>) {
    if let Err(mut undelivered) = told {
        undelivered.message.token().given_back();
    }
}

/// The next inhabitant, with options that `choice` makes. `None` when the world is full.
fn node(ledger: &Ledger, choice: u64) -> Option<(Number, Spawn<Node>)> {
    let mut books = ledger.open();
    let number = books.actors.len();
    if number >= ACTORS_MOST {
        return None;
    }
    books.actors.push(None);
    books.figures.spawned += 1;
    let ledger = ledger.clone();
    let spawn = Spawn::new(move || Node { ledger: ledger.clone(), number, ticks: 0 }).stash(3);
    let mailbox = match choice % 6 {
        0 => Mailbox::unbounded(),
        1 => Mailbox::bounded(4),
        2 => Mailbox::bounded(3).on_full(Overflow::DropOldest),
        3 => Mailbox::bounded(2).on_full(Overflow::DropNewest),
        4 => Mailbox::priority(|message| u8::from(matches!(message, Msg::Ask { .. }))),
        _ => Mailbox::default(),
    };
    let delays = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(50));
    let supervision = match choice / 6 % 8 {
        _ if number < FAMILIES => Supervision::restart().unlimited(),
        0 | 1 => Supervision::restart(),
        2 => Supervision::resume(),
        3 => Supervision::stop(),
        4 => Supervision::escalate(),
        5 => Supervision::restart().backoff(delays).when_spent(WhenSpent::Stop),
        6 => Supervision::restart().all_for_one().when_spent(WhenSpent::Stop),
        _ => Supervision::restart().rest_for_one().keep_children(),
    };
    Some((number, spawn.mailbox(mailbox).supervision(supervision)))
}

/// Lets a world live for so many pushes from outside, then go down, and looks at what happened.
pub(crate) fn run(sim: &Sim, pushes: u32) -> Outcome {
    let ledger = Ledger::default();
    let (dead_letters, unfinished, asks_open) = sim.block_on(async {
        let env = sim.env();
        let system =
            ActorSystem::builder("world").env(env.clone()).ask_timeout(ASK_LIMIT).start().await.unwrap();
        let mut roots = Vec::new();
        for _ in 0..FAMILIES {
            let (number, spawn) = node(&ledger, env.random_u64()).unwrap();
            let root = system.spawn(&format!("n{number}"), spawn).unwrap();
            ledger.open().actors[number] = Some(root.clone());
            roots.push((number, root));
        }
        // The one who pushes from outside is a sender like the others.
        let outside = Number::MAX;
        for _ in 0..pushes {
            let (number, root) = &roots[below(env.random_u64(), roots.len())];
            let token = ledger.token();
            let sequence = ledger.open().next(outside, *number);
            let message = Msg::Do { token, from: outside, sequence, generations: 8 };
            give_back(if env.random_u64().is_multiple_of(2) {
                root.tell(message)
            } else {
                root.send(message).await
            });
            env.sleep(Duration::from_micros(env.random_u64() % 2_000)).await;
        }
        // Long enough for the last ask, back-off and timer.
        env.sleep(Duration::from_mins(1)).await;
        ledger.open().check_watches();
        for (number, root) in &roots {
            let token = ledger.token();
            let sequence = ledger.open().next(outside, *number);
            give_back(root.tell(Msg::Do { token, from: outside, sequence, generations: 8 }));
        }
        let report = system.shutdown().await;
        let figures = ledger.open().figures;
        let letters = system.dead_letters();
        let dead = letters.total() - letters.count(Reason::LateReply);
        (dead, report.unfinished, figures.asks - figures.asks_ended)
    });
    let mut books = ledger.open();
    let figures = books.figures;
    if figures.made != figures.handled + figures.given_back + figures.vanished {
        books.wrong(format!("messages are still somewhere: {figures:#?}"));
    }
    if figures.vanished != dead_letters + figures.refused {
        let vanished = figures.vanished;
        let refused = figures.refused;
        books.wrong(format!(
            "{vanished} messages vanished: {dead_letters} dead letters, {refused} asks refused"
        ));
    }
    if asks_open > 0 {
        books.wrong(format!("{asks_open} asks never ended"));
    }
    if !unfinished.is_empty() {
        books.wrong(format!("the shutdown did not end in time: {unfinished:?}"));
    }
    Outcome { wrong: books.all_wrong(), figures }
}

//! A router: one reference, several actors. A pool of workers that grows while it runs, a map over it, one worker per
//! customer, and a question to which the first reply wins.

use std::time::Duration;

use omnitron::prelude::*;
use omnitron::{FirstReply, Group, Pressure, Scatter};

#[derive(Default)]
struct Worker {
    orders: u32,
}

enum Job {
    /// Is the number a prime?
    IsPrime(u64, ReplyTo<bool>),
    Order {
        customer: &'static str,
    },
    Orders(ReplyTo<u32>),
}

impl Job {
    fn customer(&self) -> Option<&'static str> {
        if let Self::Order { customer } = self { Some(customer) } else { None }
    }
}

impl Actor for Worker {
    type Msg = Job;

    async fn receive(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<(), Failure> {
        match job {
            Job::IsPrime(0, _) => return Err(Failure::msg("zero is for nobody")),
            Job::IsPrime(n, reply) => {
                reply.send(n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d)));
            }
            Job::Order { customer } => {
                self.orders += 1;
                println!("{} has order {} here, of {customer}", ctx.name(), self.orders);
            }
            Job::Orders(reply) => reply.send(self.orders),
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::start("router").await?;

    // Whoever has least to do; more of them when more than 8 messages wait for each.
    let pool = Router::pool(2, Routing::least_loaded(), Worker::default)
        .resize(Duration::from_millis(100), Pressure::between(2..=8).depth(1..=8));
    let control = pool.control();
    let primes = system.spawn("primes", pool)?;
    let answers = primes.map(0..1000, Job::IsPrime).in_flight(32).await;
    let count = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    println!("{count} primes below 1000, and {failed} item that failed");
    assert_eq!((count, failed), (168, 1));

    // By hand as well: those removed handle what they have.
    control.resize(4).await?;
    println!("{} workers from now on", control.routees().len());

    // All orders of a customer meet the same worker.
    let orders = system.spawn("orders", Router::consistent_hash(3, Job::customer, Worker::default))?;
    for customer in ["ada", "bob", "ada", "eve", "ada"] {
        orders.tell(Job::Order { customer })?;
    }

    // All are asked, and the first reply wins.
    let first = FirstReply::scatter_gather(Duration::from_secs(1), |(), reply| Job::Orders(reply));
    let group = Router::group(first);
    let group = control.routees().iter().fold(group, Group::routee);
    let group = system.spawn("group", group)?;
    let orders = group.ask(|reply| Scatter { question: (), reply }).await?;
    println!("the first to answer has {orders} orders");

    system.shutdown().await;
    Ok(())
}

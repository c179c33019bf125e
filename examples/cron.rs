//! Cron: timers by the calendar, with a time zone, daylight-saving time, and a choice for what was missed.
//!
//! It runs in a simulation that begins on a Friday in March, so that four days pass at once. In a program without one it
//! needs the feature `cron`: `omnitron = { features = ["cron"] }`.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use omnitron::prelude::*;
use omnitron::testkit::Sim;
use omnitron::{Cron, Missed};

const HOUR: Duration = Duration::from_hours(1);

/// Friday, 27 March 2026, 00:00 UTC. Two nights later the clocks of Berlin go forward.
const FRIDAY: Duration = Duration::from_hours(492_936);

#[derive(Default)]
struct Office;

enum OfficeMsg {
    Open,
    Backup,
    Invoice,
    /// Inventory: nothing else is done for so long.
    Count(Duration),
}

impl Actor for Office {
    type Msg = OfficeMsg;

    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        // A timer ends with its incarnation: `started` sets it, also after a restart.
        let open = Cron::parse("0 9 * * MON-FRI")?.in_zone("Europe/Berlin")?;
        let backup = Cron::parse("30 2 * * *")?.in_zone("Europe/Berlin")?.missed(Missed::RunOnce);
        let invoice = Cron::parse("0 12,16 * * *")?.missed(Missed::RunAll(NonZeroU32::MIN.saturating_add(9)));
        let mut timers = ctx.timers();
        timers.cron("open", open, || OfficeMsg::Open);
        timers.cron("backup", backup, || OfficeMsg::Backup);
        timers.cron("invoice", invoice, || OfficeMsg::Invoice);
        Ok(())
    }

    async fn receive(&mut self, msg: OfficeMsg, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let since = ctx.env().wall().duration_since(SystemTime::UNIX_EPOCH + FRIDAY)?;
        let minutes = usize::try_from(since.as_secs() / 60)?;
        let day = ["Friday", "Saturday", "Sunday", "Monday"][minutes / 60 / 24 % 4];
        let time = format!("{day:8} {:02}:{:02} UTC", minutes / 60 % 24, minutes % 60);
        match msg {
            OfficeMsg::Open => println!("{time}  the office opens"),
            OfficeMsg::Backup => println!("{time}  backup"),
            OfficeMsg::Invoice => println!("{time}  invoices"),
            OfficeMsg::Count(time_it_takes) => {
                println!("{time}  stocktaking for {} h", time_it_takes.as_secs() / 3_600);
                ctx.env().sleep(time_it_takes).await;
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    for wrong in ["0 25 * * *", "0 0 31 2 *"] {
        if let Err(error) = wrong.parse::<Cron>() {
            println!("refused: {error}");
        }
    }
    let sim = Sim::new(1);
    sim.set_wall(SystemTime::UNIX_EPOCH + FRIDAY);
    sim.block_on(async {
        let system = ActorSystem::builder("office").env(sim.env()).start().await?;
        let office = system.spawn("office", Office::default)?;
        sim.env().sleep(34 * HOUR).await;
        office.tell(OfficeMsg::Count(24 * HOUR))?; // over a backup and two rounds of invoices
        sim.env().sleep(52 * HOUR).await;
        system.shutdown().await;
        Ok(())
    })
}

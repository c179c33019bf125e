//! Does a recorder learn how far a projection is behind?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use omnitron::prelude::*;
use omnitron::projection::{Batch, CommitError};
use omnitron::{Metrics, Projection, ReadModel, Scope};

use crate::{SECOND, shop};

struct Seller;

#[derive(Event)]
#[event(name = "sold")]
struct Sold(u64);

impl EventSourced for Seller {
    type Command = u64;
    type Event = Sold;
    type State = u64;

    fn handle(&self, _: &u64, cents: u64, _: &Scope<Self>) -> Effect<Self> {
        Effect::persist(Sold(cents))
    }

    fn apply(state: &mut u64, Sold(cents): &Sold) {
        *state += cents;
    }
}

/// A read model that is away for as long as it is told so.
struct Revenue {
    away: Arc<AtomicBool>,
}

impl ReadModel for Revenue {
    type Event = Sold;

    async fn offsets(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(Vec::new())
    }

    async fn commit(&mut self, _: &Batch<'_, Sold>) -> Result<(), CommitError> {
        if self.away.load(Ordering::Relaxed) {
            Err(std::io::Error::other("it is away"))?;
        }
        Ok(())
    }
}

#[test]
fn the_lag_of_a_projection_is_told_also_while_its_store_is_away() {
    shop(Metrics::default(), async |sim, seen, system| {
        let (journal, away) = (Journal::memory(), Arc::new(AtomicBool::new(true)));
        let switch = Arc::clone(&away);
        let open = move |_: &_| Ok(Revenue { away: Arc::clone(&switch) });
        let projection = Projection::new("revenue", open).journal(&journal).start(system).await.unwrap();
        let seller = system.spawn("seller", Persistent::new(Seller).journal(&journal)).unwrap();
        for cents in 1..=7 {
            seller.tell(cents).unwrap();
        }
        sim.env().sleep(SECOND * 6).await;
        let labels = r#"{generation="0",part="0",projection="revenue",system="shop"}"#;
        let lag = format!("omnitron_projection_lag{labels}");
        let events = format!("omnitron_projection_events_total{labels}");
        crate::expect(seen, &[(&lag, 7.0), (&events, 0.0)]);
        seen.panic_at(Some("omnitron_projection_lag"));
        sim.env().sleep(SECOND * 5).await;
        seen.panic_at(None);
        away.store(false, Ordering::Relaxed);
        sim.env().sleep(SECOND * 20).await;
        crate::expect(seen, &[(&lag, 0.0), (&events, 7.0)]);
        projection.stop().await;
    });
}

//! How fast does a token pass a ring of actors, of which only one has work? (Savina: thread ring.)

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::behaviour::{Behaviour, Latch};
use crate::{Contestant, Place};

const LINKS: usize = 1000;

struct Link<C: Contestant> {
    next: Option<C::Addr<Link<C>>>,
    ready: Arc<Latch>,
    done: Arc<Latch>,
    handled: u64,
}

enum Msg<C: Contestant> {
    Next(C::Addr<Link<C>>),
    /// Passes on so often.
    Token(usize),
}

impl<C: Contestant> Behaviour for Link<C> {
    type Msg = Msg<C>;

    fn receive(&mut self, message: Msg<C>) {
        match (message, &self.next) {
            (Msg::Next(next), _) => {
                self.next = Some(next);
                self.ready.count_down();
            }
            (Msg::Token(0), _) => {
                self.handled += 1;
                self.done.count_down();
            }
            (Msg::Token(left), Some(next)) => {
                self.handled += 1;
                C::tell::<Self>(next, Msg::Token(left - 1));
            }
            (Msg::Token(_), None) => panic!("the ring is not closed"),
        }
    }

    fn value(&self) -> u64 {
        self.handled
    }
}

pub(super) async fn ring<C: Contestant>(contestant: &C, hops: usize) -> Duration {
    let (ready, done) = (Latch::new(LINKS), Latch::new(1));
    let mut ring = Vec::with_capacity(LINKS);
    for _ in 0..LINKS {
        let (ready, done) = (ready.clone(), done.clone());
        let link = move || Link { next: None, ready: ready.clone(), done: done.clone(), handled: 0 };
        ring.push(contestant.spawn::<Link<C>>(Place::Together, link).await);
    }
    for index in 0..LINKS {
        C::tell::<Link<C>>(&ring[index], Msg::Next(ring[(index + 1) % LINKS].clone()));
    }
    ready.wait().await;
    let start = Instant::now();
    C::tell::<Link<C>>(&ring[0], Msg::Token(hops));
    done.wait().await;
    let took = start.elapsed();
    let mut handled = 0;
    for link in &ring {
        handled += C::ask::<Link<C>>(link).await;
    }
    assert_eq!(handled, hops as u64 + 1);
    took
}

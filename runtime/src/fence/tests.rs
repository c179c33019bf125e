//! Leases in a simulation, over a store that is slow, fails and loses answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::*;
use crate::env::Env;
use crate::testkit::Sim;

const SECOND: Duration = Duration::from_secs(1);

/// A store whose questions and answers take their time, fail and are lost.
#[derive(Clone)]
struct Flaky {
    env: Env,
    inner: MemoryLeases,
    /// How many of a hundred fail.
    failing: Arc<AtomicU64>,
    hangs: Arc<AtomicBool>,
}

impl Flaky {
    fn new(env: Env) -> Self {
        Self { env, inner: MemoryLeases::default(), failing: Arc::default(), hangs: Arc::default() }
    }

    fn through<T: Send + 'static>(
        &self,
        act: impl FnOnce(MemoryLeases) -> BoxFuture<'static, Result<T, LeaseFault>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, LeaseFault>> {
        let flaky = self.clone();
        async move {
            let failing = flaky.failing.load(Ordering::Relaxed);
            let draw = |flaky: &Self| flaky.env.random_u64() % 100;
            if flaky.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            flaky.env.sleep(Duration::from_millis(draw(&flaky))).await;
            if draw(&flaky) < failing {
                return Err(LeaseFault::Unavailable(Arc::from("cut off")));
            }
            let result = act(flaky.inner.clone()).await;
            flaky.env.sleep(Duration::from_millis(draw(&flaky))).await;
            if draw(&flaky) < failing {
                return Err(LeaseFault::Unknown(Arc::from("the answer is lost")));
            }
            result
        }
        .boxed()
    }
}

impl LeaseStore for Flaky {
    fn read(&self, name: &str) -> BoxFuture<'static, Result<Option<LeaseRecord>, LeaseFault>> {
        let name = name.to_owned();
        self.through(move |store| store.read(&name))
    }

    fn replace(
        &self,
        name: &str,
        expected: Option<LeaseVersion>,
        record: LeaseRecord,
    ) -> BoxFuture<'static, Result<(), LeaseFault>> {
        let (name, flaky) = (name.to_owned(), self.clone());
        // What was sent arrives whether or not anybody waits for the answer, and as late as it likes.
        let (tell, told) = tokio::sync::oneshot::channel();
        self.env.spawn(|| "replacement".to_owned(), async move {
            let late = Duration::from_millis(flaky.env.random_u64() % 500);
            flaky.env.sleep(late).await;
            let result = flaky.through(move |store| store.replace(&name, expected, record)).await;
            let _ = tell.send(result);
        });
        async move { told.await.unwrap() }.boxed()
    }
}

fn request(holder: &str) -> LeaseRequest {
    LeaseRequest::new("leader").holder(holder).term(3 * SECOND)
}

#[test]
fn a_fence_refuses_whoever_came_before_the_newest_and_admits_him_again_and_again() {
    let mut fence = Fence::at(Epoch::new(3));
    assert_eq!(fence.admit(Epoch::new(3)), Ok(()));
    assert_eq!(fence.raise(), Epoch::new(4));
    assert_eq!(fence.admit(Epoch::new(3)), Err(Fenced { given: Epoch::new(3), newest: Epoch::new(4) }));
    assert_eq!(fence.admit(Epoch::new(9)), Ok(()));
    assert_eq!(fence.newest(), Epoch::new(9));
}

#[test]
fn names_and_holders_have_a_longest() {
    let (longest, longer) = ("x".repeat(MAX_LEASE_NAME_BYTES), "x".repeat(MAX_LEASE_NAME_BYTES + 1));
    assert_eq!(LeaseFault::check(&longest, &longest), Ok(()));
    let error = LeaseFault::check("a", &longer).unwrap_err();
    assert!(
        error.to_string().contains("holder of a lease has at most 512 bytes, this one has 513"),
        "{error}"
    );
    assert!(LeaseFault::check(&longer, "a").is_err());
}

#[test]
fn the_store_in_memory_keeps_the_contract() {
    Sim::new(1).block_on(check_lease_store(Arc::new(MemoryLeases::default()), "x"));
}

#[test]
fn a_lease_is_renewed_for_as_long_as_it_is_wanted_and_given_back_by_its_drop() {
    let sim = Sim::new(1);
    let (env, store) = (sim.env(), Arc::new(Flaky::new(sim.env())));
    let lease = sim.block_on(request("a").acquire(&env, store.clone())).unwrap();
    let waits = sim.block_on(request("b").within(SECOND).acquire(&env, store.clone())).unwrap_err();
    let LeaseError::Timeout { holder: Some(holder), .. } = &waits else { panic!("{waits:?}") };
    assert!(holder.starts_with("a/"), "{holder}");
    assert!(waits.to_string().starts_with("the lease `leader` was not to be had within 1s: `a/"), "{waits}");
    sim.advance(Duration::from_hours(1));
    assert!(lease.is_held());
    assert_eq!(lease.lost().now_or_never(), None);
    drop(lease);
    let next = sim.block_on(request("b").within(2 * SECOND).acquire(&env, store)).unwrap();
    assert_eq!(next.epoch(), Epoch::new(2), "sooner than the term");
}

#[test]
fn a_lease_that_is_released_is_there_for_others_when_that_has_ended() {
    let sim = Sim::new(1);
    let (env, store) = (sim.env(), Arc::new(MemoryLeases::default()));
    let lease = sim.block_on(request("a").acquire(&env, store.clone())).unwrap();
    assert_eq!(sim.block_on(lease.release()), Ok(()));
    let next = sim.block_on(request("b").within(Duration::ZERO).acquire(&env, store.clone()));
    assert!(next.is_err(), "no time at all is not enough to ask");
    let next = sim.block_on(request("b").within(Duration::from_millis(1)).acquire(&env, store)).unwrap();
    assert_eq!(next.epoch(), Epoch::new(2));
}

#[test]
fn a_holder_whose_store_hangs_loses_the_lease_before_its_term_is_over_and_another_gets_it_after() {
    let sim = Sim::new(1);
    let (env, mine) = (sim.env(), Flaky::new(sim.env()));
    let theirs = Flaky { hangs: Arc::default(), ..mine.clone() };
    let lease = sim.block_on(request("a").acquire(&env, Arc::new(mine.clone()))).unwrap();
    mine.hangs.store(true, Ordering::Relaxed);
    sim.block_on(lease.lost());
    assert!(!lease.is_held());
    assert!(sim.elapsed() <= 4 * SECOND, "{:?}", sim.elapsed());
    let next = sim.block_on(request("b").acquire(&env, Arc::new(theirs))).unwrap();
    assert_eq!((next.epoch(), lease.epoch()), (Epoch::new(2), Epoch::new(1)));
    assert_eq!(
        sim.block_on(lease.release()).unwrap_err().to_string().split(':').next(),
        Some("the store of leases is not available")
    );
}

#[test]
fn what_can_never_be_had_is_refused_at_once() {
    let sim = Sim::new(1);
    let store = Arc::new(MemoryLeases::default());
    let request = LeaseRequest::new("n".repeat(513)).within(Duration::MAX);
    let error = sim.block_on(request.acquire(&sim.env(), store)).unwrap_err();
    assert!(matches!(error, LeaseError::Refused { .. }), "{error}");
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[test]
fn a_store_that_fails_for_ever_is_named_in_the_error_and_not_asked_without_a_pause() {
    let sim = Sim::new(1);
    let store = Flaky::new(sim.env());
    store.failing.store(100, Ordering::Relaxed);
    let error = sim.block_on(request("a").acquire(&sim.env(), Arc::new(store))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("nobody is known to hold it; the store of leases is not available: cut off"),
        "{error}"
    );
    assert!(sim.elapsed() >= 30 * SECOND);
}

/// How many hold the lease, by what they believe.
#[derive(Default)]
struct Watched {
    holders: Mutex<Vec<Arc<Lease>>>,
    epochs: Mutex<Vec<Epoch>>,
}

impl Watched {
    fn look(&self) {
        let mut holders = self.holders.lock();
        assert!(holders.iter().filter(|lease| lease.is_held()).count() <= 1, "{holders:?}");
        holders.retain(|lease| lease.is_held());
    }
}

#[test]
fn with_a_store_that_fails_and_loses_answers_never_do_two_hold_it_and_epochs_rise() {
    let seeds: u64 = std::env::var("OMNITRON_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    for seed in 0..seeds {
        let sim = Sim::new(seed);
        let (env, watched) = (sim.env(), Arc::new(Watched::default()));
        let store = Flaky::new(env.clone());
        store.failing.store(seed % 40, Ordering::Relaxed);
        for who in ["a", "b", "c"] {
            let (env, watched) = (env.clone(), Arc::clone(&watched));
            let store = Flaky { hangs: Arc::default(), ..store.clone() };
            let work = async move {
                loop {
                    store.hangs.store(env.random_u64().is_multiple_of(4), Ordering::Relaxed);
                    if let Ok(lease) =
                        request(who).within(5 * SECOND).acquire(&env, Arc::new(store.clone())).await
                    {
                        let lease = Arc::new(lease);
                        watched.epochs.lock().push(lease.epoch());
                        watched.holders.lock().push(Arc::clone(&lease));
                        store.hangs.store(env.random_u64().is_multiple_of(4), Ordering::Relaxed);
                        let long = Duration::from_millis(env.random_u64() % 8_000);
                        futures_util::future::select(std::pin::pin!(lease.lost()), env.sleep(long)).await;
                        watched.holders.lock().retain(|held| !Arc::ptr_eq(held, &lease));
                        if env.random_u64().is_multiple_of(2) {
                            let _ = Arc::into_inner(lease).unwrap().release().await;
                        }
                    }
                }
            };
            sim.env().spawn(|| who.to_owned(), work);
        }
        for _ in 0..3_000 {
            sim.advance(Duration::from_millis(40));
            watched.look();
        }
        let epochs = watched.epochs.lock();
        assert!(epochs.is_sorted_by(|a, b| a < b), "seed {seed}: {epochs:?}");
        assert!(epochs.len() > 3, "seed {seed}: {epochs:?}");
    }
}

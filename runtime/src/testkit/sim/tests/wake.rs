//! Whoever wakes a task, from wherever, it is polled again, and once.

use super::*;

#[test]
fn block_on_returns_what_its_future_does_even_if_that_belongs_to_one_thread() {
    let sim = Sim::new(1);
    let local = std::rc::Rc::new(7);
    let shared = std::rc::Rc::clone(&local);
    assert_eq!(sim.block_on(async move { *shared }), 7);
}

#[test]
fn a_wake_up_from_another_thread_is_not_lost() {
    let sim = Sim::new(1);
    let mut woken = false;
    sim.block_on(poll_fn(|context| {
        if std::mem::replace(&mut woken, true) {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        std::thread::scope(|scope| scope.spawn(|| waker.wake()).join().unwrap());
        Poll::Pending
    }));
}

#[test]
fn wake_ups_from_many_threads_at_once_lose_nothing() {
    const MESSAGES: usize = 1000;
    let sim = Sim::new(1);
    let (sender, mut inbox) = tokio::sync::mpsc::unbounded_channel();
    let received = std::thread::scope(|scope| {
        for _ in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || (0..MESSAGES).for_each(|message| sender.send(message).unwrap()));
        }
        drop(sender);
        sim.block_on(async {
            let mut received = 0;
            // Stepping back keeps the simulation from declaring a dead end while the threads still work.
            loop {
                match inbox.try_recv() {
                    Ok(_) => received += 1,
                    Err(tokio::sync::mpsc::error::TryRecvError::Empty) => step_back().await,
                    Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => return received,
                }
            }
        })
    });
    assert_eq!(received, 4 * MESSAGES);
}

#[test]
fn several_wake_ups_before_a_poll_are_one_and_those_after_the_end_are_none() {
    let sim = Sim::logging(1);
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let mut polls = 0;
    let task = poll_fn(move |context| {
        polls += 1;
        if polls == 1 {
            context.waker().wake_by_ref();
            context.waker().wake_by_ref();
        }
        *keep.lock() = Some(context.waker().clone());
        if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
    });
    let wake = || kept.lock().clone().unwrap().wake();

    sim.env().spawn(|| "task".to_owned(), task);
    sim.run_until_idle();
    assert_eq!(sim.take_log(), ["0 spawn #0 task", "0 poll #0 task", "0 poll #0 task"]);
    wake();
    wake();
    sim.run_until_idle();
    assert_eq!(sim.take_log(), ["0 poll #0 task", "0 finish #0 task"]);
    wake();
    sim.run_until_idle();
    assert!(sim.log().is_empty());
}

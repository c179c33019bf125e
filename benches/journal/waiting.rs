//! What stands before a plain writer: a queue, from which one thread takes all that waits?
//!
//! `raw` and the rivals share it, so what they are compared with pays the same way to the writer and back.

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use super::callers::{Caller, EVENT_BYTES};

/// An event that waits to become durable.
pub(crate) struct Waiting {
    pub(crate) id: u32,
    pub(crate) sequence: u64,
    pub(crate) payload: Vec<u8>,
    durable: oneshot::Sender<()>,
}

/// One who appends to an id of its own.
pub(crate) struct Asker {
    id: u32,
    sequence: u64,
    queue: Sender<Waiting>,
}

impl Caller for Asker {
    async fn append(&mut self) {
        self.sequence += 1;
        let (durable, answered) = oneshot::channel();
        let (id, sequence, payload) = (self.id, self.sequence, vec![7; EVENT_BYTES]);
        self.queue.send(Waiting { id, sequence, payload, durable }).expect("the writer lives");
        answered.await.expect("the writer answers");
    }
}

/// Callers, and a thread that gives `write` what waits, as one batch. What it has been given is durable when it returns.
pub(crate) fn before(callers: usize, mut write: impl FnMut(&[Waiting]) + Send + 'static) -> Vec<Asker> {
    let (queue, waiting): (_, Receiver<Waiting>) = crossbeam_channel::bounded(8192);
    std::thread::spawn(move || {
        let mut batch = Vec::new();
        while let Ok(first) = waiting.recv() {
            batch.push(first);
            batch.extend(waiting.try_iter().take(8192));
            write(&batch);
            // Whoever has stopped asking does not want to know.
            for waiting in batch.drain(..) {
                let _ = waiting.durable.send(());
            }
        }
    });
    let ids = 0..u32::try_from(callers).expect("callers are few");
    ids.map(|id| Asker { id, sequence: 0, queue: queue.clone() }).collect()
}

//! The journal in memory.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_persistence::Slices;
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::memory::{Controls, Failure, Memory};
use omnitron_persistence::conformance::{self, Storage};

struct InMemory(Memory, Controls);

impl Storage for InMemory {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn JournalBackend>> {
        let journal: Arc<dyn JournalBackend> = Arc::new(self.0.clone());
        std::future::ready(journal).boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }

    fn crash(&mut self) -> bool {
        self.1.crash();
        true
    }

    fn fail_next_write(&mut self) -> bool {
        self.1.fail_next(Failure::UnknownLost);
        true
    }
}

#[tokio::test]
async fn its_snapshots_keep_theirs() {
    conformance::snapshots::the_newest_intact_one_is_found(&Memory::new(Slices::default()).0.snapshots(), 2)
        .await;
}

#[tokio::test]
async fn the_journal_in_memory_keeps_the_contract() {
    let skipped = conformance::check(|slices| {
        let (journal, controls) = Memory::new(slices);
        InMemory(journal, controls)
    });
    assert_eq!(skipped.await, Vec::<&str>::new());
}

#[tokio::test]
async fn the_snapshots_in_memory_keep_the_contract() {
    let store = omnitron_persistence::snapshot::memory::MemorySnapshots::new();
    omnitron_persistence::conformance::snapshots::the_newest_intact_one_is_found(&store, 8).await;
}

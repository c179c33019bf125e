//! The log, on a folder of the machine and on a simulated disk.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use omnitron_persistence::Slices;
use omnitron_persistence::backend::JournalBackend;
use omnitron_persistence::backend::log::{self, Log, Options};
use omnitron_persistence::conformance::{self, Storage};
use omnitron_persistence::disk::real::Real;
use omnitron_persistence::disk::sim::Sim;

enum Place {
    Folder(PathBuf),
    Simulated(Sim),
}

struct Files {
    place: Place,
    options: Options,
    open: Option<Log>,
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Place::Folder(folder) = &self.place {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Storage for Files {
    fn open(&mut self) -> BoxFuture<'_, Arc<dyn JournalBackend>> {
        let options = self.options.clone();
        let log = match &self.place {
            Place::Folder(folder) => log::open(Real::new(folder).unwrap(), options),
            Place::Simulated(disk) => log::open(disk.boot(), options),
        };
        let log = log.expect("a healthy journal opens");
        self.open = Some(log.clone());
        let journal: Arc<dyn JournalBackend> = Arc::new(log);
        std::future::ready(journal).boxed()
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.open.take().expect("it is open").close()
    }

    fn crash(&mut self) -> bool {
        if let Place::Simulated(disk) = &self.place {
            disk.power_cut();
        }
        matches!(self.place, Place::Simulated(_))
    }

    fn fail_next_write(&mut self) -> bool {
        if let Place::Simulated(disk) = &self.place {
            disk.fail_syncs(1);
        }
        matches!(self.place, Place::Simulated(_))
    }
}

fn options(slices: Slices, segment_bytes: u64) -> Options {
    Options::default().slices(slices).identity(0x1234_5678_9abc_def0).segment_bytes(segment_bytes)
}

fn folder() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("conformance-{}-{number}", std::process::id()))
}

#[tokio::test]
async fn the_log_in_a_folder_keeps_the_contract() {
    let skipped = conformance::check(|slices| Files {
        place: Place::Folder(folder()),
        options: options(slices, 64 << 20),
        open: None,
    });
    assert_eq!(skipped.await.len(), 2, "a folder cannot be crashed from inside; other tests do");
}

#[tokio::test]
async fn the_log_on_a_simulated_disk_keeps_the_contract() {
    let skipped = conformance::check(|slices| Files {
        place: Place::Simulated(Sim::new(1)),
        options: options(slices, 64 << 20),
        open: None,
    });
    assert_eq!(skipped.await, Vec::<&str>::new());
}

#[tokio::test]
async fn the_log_in_many_small_segments_keeps_the_contract_with_hardly_any_memory() {
    let skipped = conformance::check(|slices| {
        let disk = Sim::new(2);
        disk.short_reads(true);
        let options = options(slices, 4096).recent_ids(2).filter_bytes(0);
        Files { place: Place::Simulated(disk), options, open: None }
    });
    assert_eq!(skipped.await, Vec::<&str>::new());
}

//! How long does a journal take to open after a kill, and does the space of deleted events come back?

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use omnitron::Sequence;
use omnitron::backend::{Delete, JournalBackend};

use super::backend;
use super::callers::on_two;
use super::contest;
use super::figures::Figures;
use super::scattered::{EVENTS_PER_ID, Filler, Order, disk_bytes, id};

const WRITTEN: &str = "written";

/// Opens what a process left that was killed while it wrote.
pub(crate) fn open(events: usize, folder: &Path) -> Figures {
    let mut victim = contest::child("victim", "victim", events, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    let mut line = String::new();
    BufReader::new(victim.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    assert_eq!(line.trim(), WRITTEN);
    victim.kill().expect("SIGKILL");
    victim.wait().expect("its end");
    let began = Instant::now();
    let log = backend::open(folder);
    let took = began.elapsed();
    drop(log);
    Figures::new().and("s", took.as_secs_f64())
}

/// Writes so many events, says so, and goes on until it is killed.
pub(crate) fn victim(events: usize, folder: &Path) {
    on_two(async {
        let ids = (events / EVENTS_PER_ID).max(1);
        let mut order = Order::new(ids);
        let mut filler = Filler::new(backend::open(folder), ids).await;
        filler.fill(order.by_ref().take(events)).await;
        println!("{WRITTEN}");
        filler.fill(order).await;
    });
}

/// Deletes nine of ten events, all but the last of each id, and gives the space back.
pub(crate) fn space(events: usize, folder: &Path) -> Figures {
    on_two(async {
        let ids = (events / 10).max(1);
        let log = backend::open(folder);
        let mut filler = Filler::new(log.clone(), ids).await;
        filler.fill((0..ids * 10).map(|n| n % ids)).await;
        let before = disk_bytes(folder);
        let epochs = backend::claim_all(&log).await;
        let began = Instant::now();
        let mut waiting = Vec::new();
        for n in 0..ids {
            let id = id(n);
            let slice = id.slice(log.slices());
            let (epoch, to) = (epochs[slice.get() as usize], Sequence::new(9));
            waiting.push(log.delete_to(Delete { slice, epoch, id, to }));
            if waiting.len() == 4096 || n + 1 == ids {
                for deleted in waiting.drain(..) {
                    deleted.await.expect("nobody else writes here");
                }
            }
        }
        let deletes = ids as f64 / began.elapsed().as_secs_f64();
        let began = Instant::now();
        log.compact().await.expect("what was written can be read");
        let took = began.elapsed();
        log.close().await;
        let after = disk_bytes(folder);
        Figures::new()
            .and("left of the space", after as f64 / before as f64)
            .and("MB before", before as f64 / 1e6)
            .and("MB after", after as f64 / 1e6)
            .and("deletes/s", deletes)
            .and("s to give it back", took.as_secs_f64())
    })
}

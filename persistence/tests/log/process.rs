//! A process of its own that is killed: does the folder come free, and is everything there that it acknowledged?

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use futures_util::TryStreamExt;
use omnitron_persistence::Sequence;
use omnitron_persistence::backend::log::{self, Log, OpenError, Options};
use omnitron_persistence::backend::{Append, JournalBackend};
use omnitron_persistence::disk::real::Real;

use crate::support::{Random, event, id, number};

const FOLDER: &str = "OMNITRON_TEST_JOURNAL";

fn open(folder: &Path) -> Result<Log, OpenError> {
    log::open(Real::new(folder).unwrap(), Options::default().segment_bytes(64 << 10))
}

/// What the child does: it appends, pipelined, until it is killed, and says how far it was acknowledged.
#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log = open(Path::new(&folder)).unwrap();
    let a = id("a");
    let slice = a.slice(log.slices());
    let epoch = log.claim(slice).await.unwrap();
    let mut last = log.highest(&a).await.unwrap().get();
    loop {
        let append = |n: u64| Append {
            slice,
            epoch,
            id: a.clone(),
            expected: Sequence::new(n),
            events: vec![event(n)],
        };
        let waiting: Vec<_> = (last..last + 20).map(|n| log.append(append(n))).collect();
        for appended in waiting {
            last = appended.await.unwrap().sequence.get();
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {last}").unwrap();
            out.flush().unwrap();
        }
    }
}

fn start(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process::child", "--nocapture"]).env(FOLDER, folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// The last number that it said was acknowledged.
fn acknowledged(out: &mut impl BufRead, lines: u64) -> u64 {
    let numbers = out.lines().filter_map(|line| line.unwrap().split_once("acknowledged ")?.1.parse().ok());
    numbers.take(usize::try_from(lines).unwrap()).last().unwrap_or_default()
}

#[tokio::test]
async fn a_process_that_is_killed_loses_nothing_it_acknowledged_and_frees_the_folder() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("killed-{}", std::process::id()));
    let mut random = Random::new(1);
    for round in 0..6 {
        let (mut child, mut out) = start(&folder);
        let first = acknowledged(&mut out, 1 + random.below(300));
        assert!(first > 0, "the child did not get to work");
        let refused = open(&folder).map(drop);
        assert!(matches!(refused, Err(OpenError::Locked(_))), "{refused:?}");
        child.kill().unwrap();
        let said = acknowledged(&mut out, u64::MAX).max(first);
        child.wait().unwrap();
        let log = open(&folder).unwrap_or_else(|error| panic!("round {round}: {}", error.fault()));
        let events: Vec<_> = log.read(&id("a"), Sequence::ZERO, Sequence::MAX).try_collect().await.unwrap();
        let found: Vec<u64> = events.iter().map(number).collect();
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        assert!(
            found.len() as u64 >= said,
            "round {round}: {said} were acknowledged, {} are there",
            found.len()
        );
        log.close().await;
    }
    std::fs::remove_dir_all(folder).unwrap();
}

//! The limit of the file: what waits is appended, with its id and number, to a file that exists already, and synced.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::waiting::{self, Asker, Waiting};

/// The file is written from its beginning again when it is full, so that all of it is there before the time is taken.
const FILE_BYTES: usize = 256 << 20;

pub(crate) fn callers(callers: usize, folder: &Path) -> Vec<Asker> {
    let file = File::create(folder.join("raw")).expect("a file");
    let zeros = vec![0; 1 << 20];
    for at in (0..FILE_BYTES as u64).step_by(zeros.len()) {
        file.write_all_at(&zeros, at).expect("room for the file");
    }
    file.sync_all().expect("a sync");
    let (mut end, mut bytes) = (0, Vec::new());
    waiting::before(callers, move |batch: &[Waiting]| {
        bytes.clear();
        for event in batch {
            bytes.extend_from_slice(&event.id.to_le_bytes());
            bytes.extend_from_slice(&event.sequence.to_le_bytes());
            bytes.extend_from_slice(&event.payload);
        }
        if end + bytes.len() > FILE_BYTES {
            end = 0;
        }
        file.write_all_at(&bytes, end as u64).expect("a write");
        file.sync_data().expect("a sync");
        end += bytes.len();
    })
}

//! Carriers' delays per month, in `SQLite`: commands by id write events, and a projection keeps a table of them. Kill it at any moment and start it again: each flight
//! is counted once.
//!
//! `cargo run --release --example delays [FOLDER]`; without a folder, one among the temporary files.
//!
//! `store.rs` is the read model: two tables in one database, one for delays and one for offsets, and one transaction for both. `carrier.rs` is what
//! writes events, `program.rs` reads the flights and asks.

mod carrier;
mod program;
mod store;

#[tokio::main]
async fn main() -> Result<(), program::Error> {
    let folder = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("omnitron-delays"));
    println!("journal and database are in {}", folder.display());
    for line in program::run(&folder, |_| {}).await? {
        println!("{line}");
    }
    Ok(())
}

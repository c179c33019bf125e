//! A thousand accounts pay each other, each payment an event at either side and a post between them. Kill it at any moment and start it again: no cent is lost, and
//! none is made.
//!
//! `cargo run --release --example transfer [FOLDER] [PAYMENTS]`; without a folder, a new one among the temporary files, and 20,000 payments.
//!
//! `account.rs` is what pays and is paid, `program.rs` makes the payments, `audit.rs` reads the whole journal and looks at the sum behind each event.

mod account;
mod audit;
mod program;

use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), program::Error> {
    let mut arguments = std::env::args_os().skip(1);
    let own = std::env::temp_dir().join(format!("omnitron-transfer-{}", std::process::id()));
    let folder = arguments.next().map_or_else(|| own.clone(), PathBuf::from);
    let payments = match arguments.next() {
        Some(number) => number.to_string_lossy().parse().map_err(|_| "the number of payments is a number")?,
        None => 20_000,
    };
    println!("the journal is in {}", folder.display());
    let audit = program::run(&folder, payments, |_| {}).await?;
    let audit::Audit { paid, credited, held, .. } = audit;
    println!("{paid} payments made, {credited} credited");
    println!(
        "{} accounts hold {held} cents together, as behind each event of the journal",
        program::ACCOUNTS
    );
    if folder == own {
        std::fs::remove_dir_all(own)?;
    }
    Ok(())
}

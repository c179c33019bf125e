//! Does Erlang/OTP take part? If `erl` and `erlc` are on the path: `erlang/peers.erl` is compiled, and does each run in
//! a process of its own, like the others.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contestant::WORKERS;

/// How it is called here.
pub const NAME: &str = "erlang";

/// Where its source is, and where what is compiled goes.
#[derive(Debug)]
pub struct Erlang {
    folder: PathBuf,
}

impl Erlang {
    /// Compiles the program.
    ///
    /// # Errors
    ///
    /// Why Erlang does not take part.
    pub fn compile(package: &Path, target: &Path) -> Result<Self, String> {
        let folder = target.join("erlang");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let source = package.join("erlang").join("peers.erl");
        let compiled = Command::new("erlc").arg("-o").arg(&folder).arg(&source).status();
        match compiled {
            Ok(status) if status.success() => Ok(Self { folder }),
            Ok(status) => Err(format!("erlc: {status}")),
            Err(error) => Err(format!("no erlc on the path ({error})")),
        }
    }

    /// The process of one run, as many schedulers as others have workers. It prints its figure.
    pub fn command(&self, workload: &str, count: usize) -> Command {
        let mut command = Command::new("erl");
        command.args(["-noshell", "-noinput", "+S", &format!("{WORKERS}:{WORKERS}"), "+P", "2000000"]);
        command.arg("-pa").arg(&self.folder);
        command.args(["-run", "peers", "main", workload, &count.to_string()]);
        command
    }
}

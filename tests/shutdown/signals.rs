//! What do SIGTERM and ctrl-c do to a program that asks for them?
//!
//! The program is this test binary, run again: [`the_program`]. It says on its standard output how far it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use omnitron::ExtensionFuture;
use omnitron::prelude::*;

/// Asks the program to let its handler hang for ever. Otherwise the handler waits for a line on standard input.
const HANGS: &str = "OMNITRON_TEST_HANGS";

/// Waits in its first message, and counts.
struct Patient {
    line: Option<tokio::sync::oneshot::Receiver<()>>,
    handled: u32,
}

impl Actor for Patient {
    type Msg = ();

    async fn receive(&mut self, (): (), _: &mut Context<Self>) -> Result<(), Failure> {
        if let Some(line) = self.line.take() {
            line.await?;
        }
        self.handled += 1;
        println!("handled {}", self.handled);
        Ok(())
    }
}

/// Says when the shutdown has begun.
struct Herald;

impl Extension for Herald {
    fn name(&self) -> &'static str {
        "herald"
    }

    fn stop<'a>(&'a self, phase: Phase, _: &'a ActorSystem) -> ExtensionFuture<'a, ()> {
        println!("phase {phase:?}");
        Box::pin(std::future::ready(()))
    }
}

#[test]
#[ignore = "a program for the tests below, which run it in a process of its own"]
fn the_program() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // So long a budget that only a second signal ends it while the handler hangs.
        let hour = Duration::from_hours(1);
        let system =
            ActorSystem::builder("program").shutdown_budget(hour).extension(Herald).start().await.unwrap();
        let (read, line) = tokio::sync::oneshot::channel();
        let hangs = std::env::var_os(HANGS).is_some();
        let wait = move || {
            let bytes = std::io::stdin().read_line(&mut String::new()).unwrap();
            // The test has ended, and nobody will end a handler that hangs.
            if hangs && bytes == 0 {
                std::process::exit(3);
            }
            let _ = read.send(());
        };
        system.env().thread("stdin", wait).unwrap();
        let mut line = Some(line);
        let patient = system.spawn("patient", move || Patient { line: line.take(), handled: 0 }).unwrap();
        for _ in 0..3 {
            patient.tell(()).unwrap();
        }
        // The first is polled first: when the second says so, the signals are listened to.
        let (report, ()) = tokio::join!(system.shutdown_on_signal(), async { println!("ready") });
        println!(
            "report: {:?}",
            report.unwrap().unfinished.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
    });
    runtime.shutdown_background();
}

/// The program in its own process; killed at the latest when the test ends.
struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(hangs: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["signals::the_program", "--exact", "--ignored", "--nocapture"]);
        if hangs {
            command.env(HANGS, "1");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, output };
        program.expect("ready");
        program
    }

    /// Reads up to the line that ends so.
    fn expect(&mut self, end: &str) {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let bytes = self.output.read_line(&mut line).unwrap();
            assert!(bytes > 0, "the program ended without `{end}`, and said:\n{said}");
            if line.trim_end().ends_with(end) {
                return;
            }
            said.push_str(&line);
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -s {name} failed");
    }

    /// What the program still says until it has ended, well.
    fn end(mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}, and said:\n{rest}");
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_first_signal_lets_the_actors_work_off_what_is_queued() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start(false);
        program.signal(signal);
        program.expect("phase Drain");
        program.child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        let rest = program.end();
        assert!(rest.contains("handled 1\nhandled 2\nhandled 3\n"), "{signal}: {rest}");
        assert!(rest.contains("report: []"), "{signal}: {rest}");
    }
}

#[test]
fn the_second_signal_forces_and_the_report_names_who_was_cancelled() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let mut program = Program::start(true);
        program.signal(first);
        program.expect("phase Drain");
        program.signal(second);
        let rest = program.end();
        assert!(rest.contains("report: [\"/user/patient\"]"), "{first}, {second}: {rest}");
        assert!(!rest.contains("handled"), "{first}, {second}: {rest}");
    }
}

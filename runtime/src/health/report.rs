//! What is said about the health of a system, and how does it look on a page or on the wire?
//!
//! Values only: [`health`](crate::health) asks the actors.
//!
//! # Invariants
//!
//! * A report is ready exactly if the system runs and no check is unhealthy.
//! * The JSON is one object on one line, and valid whatever the texts in it contain.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::path::ActorPath;

/// What an actor answers to the question whether it is well.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckResult {
    /// All is well.
    Healthy,
    /// It works, but somebody should look at it, and why. The system stays ready.
    Degraded(String),
    /// It does not work, and why. The system is not ready.
    Unhealthy(String),
}

impl CheckResult {
    /// The word for it: `healthy`, `degraded` or `unhealthy`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Unhealthy(_) => "unhealthy",
        }
    }

    /// Why it is not healthy, if it is not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy => None,
            Self::Degraded(reason) | Self::Unhealthy(reason) => Some(reason),
        }
    }
}

/// How far the life of a system has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SystemState {
    /// Its extensions start.
    Starting,
    /// It takes work.
    Running,
    /// It ends, and takes nothing new from outside.
    ShuttingDown,
    /// It has ended.
    Stopped,
}

impl SystemState {
    const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::ShuttingDown => "shutting down",
            Self::Stopped => "stopped",
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The name of the check.
    pub name: String,
    /// The actor that was asked.
    pub actor: ActorPath,
    /// What it answered, or [`Unhealthy`](CheckResult::Unhealthy) with the reason why it did not.
    pub result: CheckResult,
    /// From the question to the answer.
    pub took: Duration,
}

/// The health of a system at one moment; see [`Health::report`](crate::Health::report).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HealthReport {
    /// The name of the system.
    pub system: String,
    /// How far its life has come.
    pub state: SystemState,
    /// Whether it has not ended and its runtime runs tasks. If not, only a new process helps.
    pub live: bool,
    /// All checks, by name.
    pub checks: Vec<CheckReport>,
}

impl HealthReport {
    /// Whether the system should get work: it runs, and no check is unhealthy. One that is degraded does not count.
    pub fn is_ready(&self) -> bool {
        let well = |check: &CheckReport| !matches!(check.result, CheckResult::Unhealthy(_));
        self.live && self.state == SystemState::Running && self.checks.iter().all(well)
    }

    /// The outcome of the check of this name.
    pub fn check(&self, name: &str) -> Option<&CheckReport> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// The report as one JSON object:
    ///
    /// ```json
    /// {"system":"shop","state":"running","live":true,"ready":false,"checks":[
    ///  {"name":"database","actor":"/user/db","status":"unhealthy","reason":"no answer within 1s","took_ms":1000}]}
    /// ```
    ///
    /// without the line breaks. `reason` is `null` for what is healthy; `took_ms` is rounded down.
    pub fn to_json(&self) -> String {
        let mut checks = String::new();
        for check in &self.checks {
            let comma = if checks.is_empty() { "" } else { "," };
            let reason = check.result.reason().map_or_else(|| "null".to_owned(), |it| Quoted(it).to_string());
            let _ = write!(
                checks,
                "{comma}{{\"name\":{},\"actor\":{},\"status\":\"{}\",\"reason\":{reason},\"took_ms\":{}}}",
                Quoted(&check.name),
                Quoted(check.actor.as_str()),
                check.result.word(),
                check.took.as_millis(),
            ); // writing to a String cannot fail
        }
        format!(
            "{{\"system\":{},\"state\":\"{}\",\"live\":{},\"ready\":{},\"checks\":[{checks}]}}",
            Quoted(&self.system),
            self.state.word(),
            self.live,
            self.is_ready(),
        )
    }
}

/// A line for the system and one for each check.
impl fmt::Display for HealthReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let live = if self.live { "live" } else { "not live" };
        let ready = if self.is_ready() { "ready" } else { "not ready" };
        write!(f, "{}: {}, {live}, {ready}", self.system, self.state.word())?;
        for check in &self.checks {
            write!(f, "\n  {}: {} after {:?}", check.name, check.result.word(), check.took)?;
            if let Some(reason) = check.result.reason() {
                write!(f, ": {}", reason.escape_debug())?;
            }
        }
        Ok(())
    }
}

/// A text as JSON writes it. A crate for this one escape would be the larger thing to trust.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

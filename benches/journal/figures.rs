//! What did one run of one contestant give, and how does it get from its process to the one that compares?
//!
//! A line per figure: the value, then the name.

/// Figures with names, the one that matters most first.
#[derive(Debug, Default)]
pub(crate) struct Figures(pub(crate) Vec<(String, f64)>);

impl Figures {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With one more.
    pub(crate) fn and(mut self, name: &str, value: f64) -> Self {
        self.0.push((name.to_owned(), value));
        self
    }

    /// For the one who started this process.
    pub(crate) fn print(&self) {
        self.0.iter().for_each(|(name, value)| println!("{value} {name}"));
    }
}

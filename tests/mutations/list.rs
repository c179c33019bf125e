//! What is a mutation, and how is the list of them written down?
//!
//! No file is read or written here: the runner beside this file applies mutations, and `tests/tidy` asks the same
//! code whether each still can be.

use std::time::Duration;

/// How long a proof may take when its mutation does not say. A proof is a few tests and takes seconds; a broken
/// mailbox tends to wait for good, and the run waits for it this long.
const LIMIT: Duration = Duration::from_mins(2);

/// One way to break the code, and the test that has to notice.
#[derive(Debug)]
pub(crate) struct Mutation {
    /// One word for each mutation, for `--only` and the table.
    pub(crate) name: String,
    /// The file to break, from the root of the repository.
    pub(crate) file: String,
    /// The text that is replaced. It stands in the file exactly once.
    pub(crate) find: String,
    /// What stands there instead.
    pub(crate) replace: String,
    /// The arguments of `cargo test` that have to fail.
    pub(crate) proof: Vec<String>,
    /// The `RUSTFLAGS` of the proof, if it needs any.
    pub(crate) rustflags: Option<String>,
    /// How long the proof may take, once compiled. One that hangs has noticed.
    pub(crate) limit: Duration,
}

impl Mutation {
    /// `text`, broken.
    ///
    /// # Errors
    ///
    /// A sentence, when what to replace is not there exactly once.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            0 => Err("the text to replace is not there".to_owned()),
            n => Err(format!("the text to replace is there {n} times: take more of what is around it")),
        }
    }
}

/// Reads the list. `list.txt` says how it is written.
///
/// # Errors
///
/// A sentence with the line, when the list makes no sense.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutation>, String> {
    let mut list: Vec<Mutation> = Vec::new();
    let mut block = Block::default();
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            finish(&mut block, &mut list)?;
        } else {
            block.read(line, number).map_err(|error| format!("line {number}: {error}"))?;
        }
    }
    finish(&mut block, &mut list)?;
    Ok(list)
}

fn finish(block: &mut Block, list: &mut Vec<Mutation>) -> Result<(), String> {
    let block = std::mem::take(block);
    if block.fields.is_empty() {
        return Ok(());
    }
    let line = block.line;
    let mutation = block.build().map_err(|error| format!("line {line}: {error}"))?;
    if list.iter().any(|other| other.name == mutation.name) {
        return Err(format!("line {line}: `{}` is the name of another mutation", mutation.name));
    }
    list.push(mutation);
    Ok(())
}

/// The lines of one mutation, as far as they are read.
#[derive(Default)]
struct Block {
    line: usize,
    fields: Vec<(&'static str, Vec<String>)>,
    limit: Option<Duration>,
}

impl Block {
    const FIELDS: [&str; 7] = ["name", "file", "find", "replace", "proof", "rustflags", "limit"];

    fn read(&mut self, line: &str, number: usize) -> Result<(), String> {
        if let Some(more) = line.strip_prefix('|') {
            let (_, lines) = self.fields.last_mut().ok_or("a line with `|` continues nothing")?;
            lines.push(more.to_owned());
            return Ok(());
        }
        let (key, value) = line.split_once(':').ok_or("neither `field: value` nor a line with `|`")?;
        let field = Self::FIELDS.into_iter().find(|field| *field == key);
        let field = field.ok_or_else(|| format!("no field is called `{key}`"))?;
        if self.fields.iter().any(|(known, _)| *known == field) {
            return Err(format!("`{field}` is given twice"));
        }
        if self.fields.is_empty() {
            self.line = number;
        }
        let value = value.trim();
        if field == "limit" {
            let seconds = value.parse().map_err(|_| format!("`{value}` is no whole number of seconds"))?;
            self.limit = Some(Duration::from_secs(seconds));
        }
        self.fields.push((field, if value.is_empty() { vec![] } else { vec![value.to_owned()] }));
        Ok(())
    }

    fn text(&self, field: &str) -> Option<String> {
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, lines)| lines.join("\n"))
    }

    fn needed(&self, field: &str) -> Result<String, String> {
        self.text(field).filter(|text| !text.is_empty()).ok_or_else(|| format!("`{field}` is missing"))
    }

    fn build(self) -> Result<Mutation, String> {
        let mutation = Mutation {
            name: self.needed("name")?,
            file: self.needed("file")?,
            find: self.needed("find")?,
            replace: self.text("replace").ok_or("`replace` is missing; leave it empty to delete the text")?,
            proof: self.needed("proof")?.split_whitespace().map(str::to_owned).collect(),
            rustflags: self.text("rustflags"),
            limit: self.limit.unwrap_or(LIMIT),
        };
        if mutation.find == mutation.replace {
            return Err("it replaces a text by itself".to_owned());
        }
        Ok(mutation)
    }
}

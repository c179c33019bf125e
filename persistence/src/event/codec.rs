//! How does the content of one event become bytes, and how do bytes become a value without trust in them?
//!
//! rkyv lays out values; here are the limits around it. Nothing is read in place: an event is a value of its own after
//! decoding, so its bytes may lie anywhere in a file.
//!
//! # Invariants
//!
//! * What `write` accepts, `read` accepts, and gives the same value.
//! * `read` ends with a value or a [`Fault`], whatever the bytes are. The memory it takes is in proportion to them.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroUsize;

use rkyv::api::low::LowDeserializer;
use rkyv::api::{access_with_context, deserialize_using, serialize_using};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Fallible, Source, Strategy, Trace};
use rkyv::ser::Serializer;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::{AlignedVec, with_arena};
use rkyv::validation::archive::ArchiveValidator;
use rkyv::{Archive, Deserialize, Place, Serialize};

/// The most bytes that the content of one event may have: 16 MiB.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// The most values that may lie in one another in one event: 128. Counted are the event itself, and in it each text of more than
/// eight bytes, list, box and node of a map.
pub const MAX_EVENT_DEPTH: usize = 128;

/// rkyv's own count stops one short of what it is given.
const DEPTH: NonZeroUsize = NonZeroUsize::new(MAX_EVENT_DEPTH + 1).expect("it is not zero");

/// What rkyv says before it says what was missing.
const NOTHING: &str = "`Option` is `None`, expected `Some`";

/// No value of rkyv is aligned to more. Where the begin is, all that is inside is.
const ALIGNMENT: usize = 16;

/// What is kept of the sheet of a thread.
const MAX_SHEET_BYTES: usize = 64 << 10;

thread_local! {
    /// Where events are written before their length is known, so that each takes memory once and no more than it needs.
    static SHEET: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What writes.
pub type Writer<'a> = Strategy<Serializer<Vec<u8>, ArenaHandle<'a>, ()>, Fault>;
/// What checks bytes.
pub type Validator<'a> = Strategy<ArchiveValidator<'a>, Fault>;
/// What reads.
pub type Reader = LowDeserializer<Fault>;

/// Why bytes are not the content of an event, or a value cannot become one.
///
/// The text is rkyv's own, without the addresses of memory: the same bytes give the same text in each run.
#[derive(Debug)]
pub struct Fault {
    text: String,
    /// Whether the text says where.
    is_placed: bool,
}

impl Fault {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_placed: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}

impl Trace for Fault {
    /// The first is about the place itself, and those that follow about what is around it.
    fn trace<R: fmt::Debug + fmt::Display + Send + Sync + 'static>(self, trace: R) -> Self {
        let text = match self.text.as_str() {
            _ if self.is_placed => self.text,
            NOTHING => trace.to_string(),
            text => format!("{text}, {trace}"),
        };
        Self { text, is_placed: true }
    }
}

impl Source for Fault {
    fn new<T: std::error::Error + Send + Sync + 'static>(source: T) -> Self {
        let text = source.to_string();
        let end = if text.contains("0x") { text.find(':') } else { None };
        Self::of(&text[..end.unwrap_or(text.len())])
    }
}

/// A value in the place of which it is: what is written is what the value itself would be.
pub struct Ref<'a, T>(pub &'a T);

impl<T: Archive> Archive for Ref<'_, T> {
    type Archived = T::Archived;
    type Resolver = T::Resolver;

    fn resolve(&self, resolver: Self::Resolver, out: Place<Self::Archived>) {
        self.0.resolve(resolver, out);
    }
}

impl<T: Serialize<S>, S: Fallible + ?Sized> Serialize<S> for Ref<'_, T> {
    fn serialize(&self, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A value that can be written.
pub trait Writes: for<'a> Serialize<Writer<'a>> {}
impl<T: for<'a> Serialize<Writer<'a>>> Writes for T {}

/// The archived form of a `T`, which can be checked and read.
pub trait Reads<T>: rkyv::Portable + Deserialize<T, Reader> + for<'a> CheckBytes<Validator<'a>> {}
impl<T, A: rkyv::Portable + Deserialize<T, Reader> + for<'a> CheckBytes<Validator<'a>>> Reads<T> for A {}

/// The bytes of a value.
///
/// # Errors
///
/// A [`Fault`] when it has more than [`MAX_EVENT_BYTES`].
pub(crate) fn write<T: Writes>(value: &T) -> Result<Vec<u8>, Fault> {
    let mut sheet = SHEET.take();
    sheet.clear();
    let sheet = with_arena(|arena| {
        let mut serializer = Serializer::new(sheet, arena.acquire(), ());
        serialize_using::<_, Fault>(value, &mut serializer)?;
        Ok(serializer.into_writer())
    })?;
    within_length(&sheet)?;
    let bytes = sheet.as_slice().to_vec();
    if sheet.capacity() <= MAX_SHEET_BYTES {
        SHEET.set(sheet);
    }
    Ok(bytes)
}

/// Whether bytes are a `T`, without reading them.
pub(crate) fn check<T: Archive<Archived: Reads<T>>>(bytes: &[u8]) -> Result<(), Fault> {
    aligned(bytes, |bytes| access::<T>(bytes).map(|_| ()))
}

/// The value of which these are the bytes, wherever they lie in memory.
///
/// # Errors
///
/// A [`Fault`] when they are not the bytes of a `T`.
pub(crate) fn read<T: Archive<Archived: Reads<T>>>(bytes: &[u8]) -> Result<T, Fault> {
    // What has no content has no bytes. rkyv would take any.
    if size_of::<T::Archived>() == 0 && !bytes.is_empty() {
        return Err(Fault::of(format!("it has {} bytes, and no field to hold them", bytes.len())));
    }
    aligned(bytes, |bytes| deserialize_using::<T, (), Fault>(access::<T>(bytes)?, &mut ()))
}

fn access<T: Archive<Archived: Reads<T>>>(bytes: &[u8]) -> Result<&T::Archived, Fault> {
    access_with_context(bytes, &mut ArchiveValidator::with_max_depth(bytes, Some(DEPTH)))
}

/// Hands on `bytes`, or a copy of them that is aligned.
fn aligned<T>(bytes: &[u8], then: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<T, Fault> {
    within_length(bytes)?;
    if bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return then(bytes);
    }
    let mut copy = AlignedVec::<ALIGNMENT>::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    then(&copy)
}

fn within_length(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() <= MAX_EVENT_BYTES {
        return Ok(());
    }
    Err(Fault::of(format!("it has {} bytes, and an event has at most {MAX_EVENT_BYTES}", bytes.len())))
}

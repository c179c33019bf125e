//! What do the bytes of a type consist of, in words and as a number?
//!
//! A [`Shape`] is written like a type of Rust, without the names of types: fields with their names and shapes, down to what the
//! standard library has. So it changes with every change that old bytes would not survive, and also when a field is renamed
//! (the name is what tells two numbers apart), and does not change when a type moves or is renamed.
//!
//! # Invariants
//!
//! * The same type has the same shape in every build, on every machine.

use std::any::TypeId;
use std::fmt;
use std::str::FromStr;

use rkyv::Archive;

/// A number for a shape: 64-bit FNV-1a of its text. Two shapes that differ have, but for chance, different ones.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// The fingerprint of the shape with this text.
    pub const fn of(shape: &str) -> Self {
        let bytes = shape.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Self(hash)
    }

    /// The fingerprint that is this number.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// As a bare number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No fingerprint: sixteen hexadecimal digits were expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fingerprint has sixteen hexadecimal digits")]
pub struct NoFingerprint;

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits = text.len() == 16 && text.bytes().all(|it| it.is_ascii_hexdigit());
        let hash = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        hash.map(Self).ok_or(NoFingerprint)
    }
}

/// A type that can be part of an event.
///
/// Of the standard library these are: integers of a fixed size, `NonZero` ones, `f32`, `f64`, `bool`, `char`, `String`, `Box<str>`, `Duration`,
/// the addresses of `std::net` without a port; and of other such types `Option`, `Vec`, `VecDeque`, `Box`, `Box<[T]>`, arrays,
/// tuples of up to twelve, `BTreeMap` and `BTreeSet`.
/// For a type of your own, `#[derive(Schema)]` implements it. A moment is a [`Timestamp`](crate::Timestamp).
///
/// Left out on purpose are `usize` and `isize` (their size differs between machines: `u64` and `i64`), hash maps and sets
/// (their order differs from run to run: `BTreeMap` and `BTreeSet`), shared pointers (what they share is lost: own the value)
/// and `SystemTime` (`Timestamp`). A type of another crate goes into a type of your own that holds what it consists of.
///
/// A fingerprint covers what a shape shows: everything down to these types. It does not see what a value *means*: cents that
/// become dollars in the same `u64` keep theirs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an event",
    label = "not something that a journal can hold",
    note = "for a type of your own, write `#[derive(Schema)]` on it",
    note = "instead of `usize` or `isize` write `u64` or `i64`; of a hash map or set, `BTreeMap` or `BTreeSet`; of \
            `SystemTime`, `Timestamp`; of an `Arc` or `Rc`, the value itself"
)]
pub trait Schema: Archive + 'static {
    /// The type itself, for generated code: a field whose type is no part is one error there, and not one for each use.
    #[doc(hidden)]
    type This;

    /// Writes down what values of this type consist of.
    fn describe(shape: &mut Shape);
}

/// A field or a variant: its name, and what describes the rest.
pub type Named<'a> = (&'a str, fn(&mut Shape));

/// The text that describes a type, while it is written.
#[derive(Debug, Default)]
pub struct Shape {
    text: String,
    /// The types that are being described, outermost first.
    open: Vec<TypeId>,
    recursive: bool,
}

impl Shape {
    /// Of a type, or of the fields of an event.
    pub(crate) fn of(describe: impl FnOnce(&mut Self)) -> Self {
        let mut shape = Self::default();
        describe(&mut shape);
        shape
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Whether a type contains itself, so that values may lie in one another without end.
    pub(crate) fn is_recursive(&self) -> bool {
        self.recursive
    }

    fn word(&mut self, word: &str) {
        self.text.push_str(word);
    }

    /// Adds the shape of `T`. Inside of itself it is `^` and how many types further out it is.
    pub fn part<T: Schema>(&mut self) {
        let id = TypeId::of::<T>();
        if let Some(distance) = self.open.iter().rev().position(|open| *open == id) {
            self.recursive = true;
            self.text.push('^');
            self.text.push_str(&distance.to_string());
            return;
        }
        self.open.push(id);
        T::describe(self);
        self.open.pop();
    }

    /// Adds fields in `{}`, in their order.
    pub fn fields(&mut self, fields: &[Named<'_>]) {
        self.list(fields);
    }

    /// Adds the variants of an enum, in their order, each with its fields.
    pub fn variants(&mut self, variants: &[Named<'_>]) {
        self.word("enum");
        self.list(variants);
    }

    /// Adds shapes in `()`.
    pub fn tuple(&mut self, parts: &[fn(&mut Self)]) {
        self.text.push('(');
        self.joined(parts, |shape, part| part(shape));
        self.text.push(')');
    }

    fn list(&mut self, named: &[Named<'_>]) {
        self.text.push('{');
        self.joined(named, |shape, (name, part)| {
            shape.word(name);
            let colon = shape.text.len();
            part(shape);
            if shape.text.len() > colon {
                shape.text.insert_str(colon, ": ");
            }
        });
        self.text.push('}');
    }

    fn joined<T>(&mut self, parts: &[T], mut add: impl FnMut(&mut Self, &T)) {
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.word(", ");
            }
            add(self, part);
        }
    }

    fn generic(&mut self, name: &str, parts: &[fn(&mut Self)]) {
        self.word(name);
        self.text.push('<');
        self.joined(parts, |shape, part| part(shape));
        self.text.push('>');
    }
}

macro_rules! words {
    ($($ty:ty = $word:literal),* $(,)?) => {
        $(impl Schema for $ty {
            type This = Self;

            fn describe(shape: &mut Shape) {
                shape.word($word);
            }
        })*
    };
}

words! {
    u8 = "u8", u16 = "u16", u32 = "u32", u64 = "u64", u128 = "u128",
    i8 = "i8", i16 = "i16", i32 = "i32", i64 = "i64", i128 = "i128",
    std::num::NonZeroU8 = "NonZero<u8>", std::num::NonZeroU16 = "NonZero<u16>", std::num::NonZeroU32 = "NonZero<u32>",
    std::num::NonZeroU64 = "NonZero<u64>", std::num::NonZeroU128 = "NonZero<u128>",
    std::num::NonZeroI8 = "NonZero<i8>", std::num::NonZeroI16 = "NonZero<i16>", std::num::NonZeroI32 = "NonZero<i32>",
    std::num::NonZeroI64 = "NonZero<i64>", std::num::NonZeroI128 = "NonZero<i128>",
    f32 = "f32", f64 = "f64", bool = "bool", char = "char", String = "String", Box<str> = "Box<str>",
    std::time::Duration = "Duration",
    core::net::Ipv4Addr = "Ipv4Addr", core::net::Ipv6Addr = "Ipv6Addr", core::net::IpAddr = "IpAddr",
}

/// Any number of values without content would take no bytes: four of them could stand for four billion.
const fn has_content<T: Archive>() {
    assert!(
        size_of::<T::Archived>() > 0,
        "the elements of this list have no content: store their number instead"
    );
}

macro_rules! lists {
    ($($ty:ty = $name:literal $(, $bound:ident)?);* $(;)?) => {
        $(impl<T: Schema $(<Archived: $bound> + $bound)?> Schema for $ty {
            type This = Self;

            fn describe(shape: &mut Shape) {
                const { has_content::<T>() };
                shape.generic($name, &[Shape::part::<T>]);
            }
        })*
    };
}

lists! {
    Vec<T> = "Vec";
    std::collections::VecDeque<T> = "VecDeque";
    Box<[T]> = "BoxedSlice";
    std::collections::BTreeSet<T> = "BTreeSet", Ord;
}

impl<T: Schema> Schema for Option<T> {
    type This = Self;

    fn describe(shape: &mut Shape) {
        shape.generic("Option", &[Shape::part::<T>]);
    }
}

impl<T: Schema> Schema for Box<T> {
    type This = Self;

    fn describe(shape: &mut Shape) {
        shape.generic("Box", &[Shape::part::<T>]);
    }
}

impl<K: Schema<Archived: Ord> + Ord, V: Schema> Schema for std::collections::BTreeMap<K, V> {
    type This = Self;

    fn describe(shape: &mut Shape) {
        const { has_content::<K>() };
        shape.generic("BTreeMap", &[Shape::part::<K>, Shape::part::<V>]);
    }
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    type This = Self;

    fn describe(shape: &mut Shape) {
        shape.text.push('[');
        shape.part::<T>();
        shape.word(&format!("; {N}]"));
    }
}

macro_rules! tuples {
    ($($T:ident)*) => {
        impl<$($T: Schema),*> Schema for ($($T,)*) {
            type This = Self;

            fn describe(shape: &mut Shape) {
                shape.tuple(&[$(Shape::part::<$T>),*]);
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Fingerprint, NoFingerprint, Shape};
    use crate::Schema;

    fn text<T: Schema>() -> String {
        Shape::of(Shape::part::<T>).into_text()
    }

    #[derive(Schema)]
    #[schema(crate = crate)]
    struct Tree {
        value: u8,
        children: Option<Box<Tree>>,
    }

    #[derive(Schema)]
    #[schema(crate = crate)]
    enum Payment {
        Cash,
        Card(String),
    }

    #[test]
    fn a_shape_is_written_like_a_type_down_to_the_standard_library() {
        assert_eq!(text::<Vec<(u8, Option<String>)>>(), "Vec<(u8, Option<String>)>");
        assert_eq!(text::<BTreeMap<u64, [i128; 3]>>(), "BTreeMap<u64, [i128; 3]>");
        assert_eq!(text::<BTreeSet<std::num::NonZeroU8>>(), "BTreeSet<NonZero<u8>>");
        assert_eq!(text::<Box<[Payment]>>(), "BoxedSlice<enum{Cash, Card: (String)}>");
    }

    #[test]
    fn a_type_inside_of_itself_is_a_step_back_and_described_once() {
        assert_eq!(text::<Tree>(), "{value: u8, children: Option<Box<^2>>}");
        assert!(Shape::of(Shape::part::<Tree>).is_recursive());
        assert!(!Shape::of(Shape::part::<Vec<Vec<u8>>>).is_recursive());
        assert!(
            !Shape::of(|shape| shape.tuple(&[Shape::part::<Payment>, Shape::part::<Payment>])).is_recursive()
        );
    }

    #[test]
    fn a_fingerprint_is_the_published_hash_of_the_text_and_is_read_back() {
        assert_eq!(Fingerprint::of(""), Fingerprint(0xcbf2_9ce4_8422_2325));
        assert_eq!(Fingerprint::of("a"), Fingerprint(0xaf63_dc4c_8601_ec8c));
        assert_eq!(Fingerprint::of("foobar"), Fingerprint(0x8594_4171_f739_67e8));
        let small = Fingerprint(0xff);
        assert_eq!(small.to_string(), "00000000000000ff");
        assert_eq!(small.to_string().parse(), Ok(small));
        for bad in ["", "ff", "+0000000000000ff", "00000000000000fg", "00000000000000ff0"] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(NoFingerprint), "{bad}");
        }
    }
}

//! Types that are none of one form.

extern crate omnitron_persistence as omnitron;

use omnitron::{Event, Schema};

#[derive(Event)]
enum Never {}

#[derive(Schema)]
enum NeverEither {}

#[derive(Event)]
union Bits {
    a: u32,
    b: f32,
}

#[derive(Schema)]
union PartOfBits {
    a: u32,
    b: f32,
}

#[derive(Event)]
enum Generic<T> {
    Set(T),
}

#[derive(Event)]
struct Borrowing<'a> {
    name: &'a str,
}

#[derive(Schema)]
struct Fixed<const N: usize> {
    bytes: [u8; N],
}

fn main() {}

//! Arguments that would not outlive the call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use omnitron::prelude::*;

struct Counter;

#[actor]
impl Counter {
    #[tell]
    fn text(&mut self, _name: &str) {}

    #[tell]
    fn slice(&mut self, _all: &[u64]) {}

    #[tell]
    fn place(&mut self, _file: &Path) {}

    #[tell]
    fn object(&mut self, _error: &dyn std::error::Error) {}

    #[tell]
    fn other(&mut self, _options: &mut BTreeMap<String, u64>) {}

    #[tell]
    fn inside(&mut self, _names: Vec<(u64, Option<&str>)>) {}

    #[tell]
    fn lifetime(&mut self, _name: Cow<'_, str>) {}

    #[tell]
    fn bound(&mut self, _f: Box<dyn FnMut(&str) + Send + '_>) {}

    #[tell]
    fn hidden(&mut self, _f: impl FnOnce() + Send) {}
}

struct View<'a>(&'a str);

#[actor]
impl<'a> View<'a> {
    #[tell]
    fn look(&mut self) {}
}

fn main() {}

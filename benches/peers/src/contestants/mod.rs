//! Who takes part? One file each.

pub mod actix;
pub mod kameo;
pub mod murmer;
pub mod ractor;
pub mod raw;
pub mod us;
pub mod xtra;

/// The names of all, in the order in which they are shown. The figures of the others are divided by those of `raw`.
pub const NAMES: [&str; 8] =
    ["raw", "omnitron", "actix", "kameo", "ractor", "xtra", "murmer", crate::erlang::NAME];

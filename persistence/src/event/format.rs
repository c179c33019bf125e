//! In which form do the bytes of events lie in a journal?
//!
//! Three switches of rkyv decide: the order of bytes, whether values are aligned, and the width of relative pointers. They
//! are cargo features, so any crate of a build can turn them for all of it, and a program built otherwise would read
//! nonsense. So they are checked here when the program is compiled, and [`FORMAT`] carries them in the headers of files.
//!
//! # Invariants
//!
//! * A program that compiles encodes in the form that [`FORMAT`] names.

use rkyv::primitive::{ArchivedI32, ArchivedU64, ArchivedUsize};

/// The form of encoded events, for the header of every file that holds some.
///
/// The bytes are: the version of the encoding (`1`), the order of bytes (`L`, little endian), the alignment of values (`A`, a
/// value of n bytes begins at a multiple of n, counted from the begin of its event), the width of a relative pointer in bytes (`4`).
pub const FORMAT: [u8; 4] = [1, b'L', b'A', 4];

/// Checks that this program can read events of the form `found`.
///
/// # Errors
///
/// [`WrongFormat`] when it cannot. Nothing of the file is to be read then.
pub fn check_format(found: [u8; 4]) -> Result<(), WrongFormat> {
    if found == FORMAT { Ok(()) } else { Err(WrongFormat { found }) }
}

/// Events are encoded in another form than this program reads. Nothing was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the events are encoded in the form `{}`, and this program reads `{}`: open them with the version of the program \
     that wrote them",
    .found.escape_ascii(),
    FORMAT.escape_ascii()
)]
pub struct WrongFormat {
    /// The form that the header of the file names.
    pub found: [u8; 4],
}

const _: () = {
    assert!(
        size_of::<ArchivedUsize>() == 4,
        "rkyv is built with `pointer_width_16` or `pointer_width_64`, and journals hold pointers of 32 bits: \
         `cargo tree -e features -i rkyv` shows who turns it on"
    );
    assert!(
        align_of::<ArchivedU64>() == 8,
        "rkyv is built with `unaligned`, and journals hold aligned values: `cargo tree -e features -i rkyv` shows who \
         turns it on"
    );
};

#[diagnostic::on_unimplemented(
    message = "rkyv is built with `big_endian`, and journals hold little-endian values: `cargo tree -e features -i \
               rkyv` shows who turns it on"
)]
trait LittleEndian {}

impl LittleEndian for rkyv::rend::i32_le {}
impl LittleEndian for rkyv::rend::unaligned::i32_ule {}

const _: () = {
    const fn little_endian<T: LittleEndian>() {}
    little_endian::<ArchivedI32>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_is_not_read_is_refused_and_both_are_named() {
        assert_eq!(check_format(FORMAT), Ok(()));
        for at in 0..FORMAT.len() {
            let mut found = FORMAT;
            found[at] ^= 1;
            let error = check_format(found).unwrap_err();
            assert_eq!(error, WrongFormat { found });
        }
        let text = check_format([1, b'B', b'A', 4]).unwrap_err().to_string();
        assert!(text.contains("`\\x01BA\\x04`") && text.contains("`\\x01LA\\x04`"), "{text}");
    }
}

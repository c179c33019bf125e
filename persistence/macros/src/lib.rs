//! The derives `Event` and `Schema`: what a journal holds of a Rust type. Part of `omnitron`.

mod attributes;
mod errors;
mod event;
mod fields;
mod names;
mod schema;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path};

use crate::errors::Errors;

/// Makes an enum, or a struct, a type of events: what journals hold.
///
/// ```
/// use omnitron::{Event, Schema, Timestamp};
///
/// #[derive(Debug, Event, PartialEq)]
/// enum AccountEvent {
///     Withdrawn { money: Money, at: Timestamp },
///     Closed,
/// }
///
/// #[derive(Debug, PartialEq, Schema)]
/// struct Money {
///     cents: u64,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let event = AccountEvent::Withdrawn { money: Money { cents: 500 }, at: Timestamp::from_nanos(0) };
/// let encoded = event.encode()?;
/// assert_eq!((encoded.name, encoded.version), ("account.withdrawn", 1));
/// assert_eq!(AccountEvent::decode(encoded.as_stored())?, event);
/// # Ok(())
/// # }
/// ```
///
/// Each variant is a type of events of its own, with a name and a version that journals keep. Its fields are of types that have
/// `Schema`: those of the standard library, and your own with `#[derive(Schema)]`. Names of Rust types never get into a journal.
///
/// # Names
///
/// The name of a variant is that of the enum, without `Event` at its end, and its own, in small letters: `AccountEvent::LimitChanged`
/// is `account.limit_changed`. That of a struct is its own: `Withdrawn` is `withdrawn`. A name is for ever, so write it down before you
/// rename a type:
///
/// - `#[event(name = "account")]` on an enum: with what the names of its variants begin.
/// - `#[event(name = "account.withdrawn")]` on a variant or a struct: the whole name.
///
/// # Versions
///
/// Whoever changes the fields of a variant, or of a type inside, gives it a new version, and keeps the old fields as a type:
///
/// - `#[event(version = 2)]` on a variant or a struct. Default: 1.
/// - `#[event(from = WithdrawnV1)]` on a variant, a struct or an enum, any number of times: a type of events that is read as well, and
///   converted by `From`. It may be made `from` another one in turn. The module `evolve` has a whole example.
///
/// A new version is not needed for a new variant, nor when a type, or a variant with a `name`, is renamed or moves. `SchemaFile` makes
/// a test of it.
///
/// Two versions of one name may be variants side by side: a release that reads the next version while others still write the old one.
///
/// Which events are read from where is checked when the program is compiled: a name and version belongs to one type, and a type is
/// made from lower versions only.
///
/// # Other options
///
/// - `#[event(crate = path)]` on an enum or a struct: where the generated code finds `Event`. Default: `::omnitron`.
///
/// # What it does not do
///
/// - **Parameters.** What lies in a journal has one form: no generics, no lifetimes.
/// - **Attributes on fields.** A field has no default: an old version is a type, with a conversion to the new one.
/// - **Look behind names.** The fingerprint of a variant covers everything that `Schema` describes: the names, the order and the types of
///   fields, down to the standard library. That a number of cents now counts dollars, it cannot see.
///
/// # What is generated
///
#[doc = include_str!("../expansion.md")]
#[proc_macro_derive(Event, attributes(event))]
pub fn event(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    generated(item.into(), event::derive).into()
}

/// Makes a type of your own a part of events.
///
/// ```
/// use omnitron::Schema;
///
/// #[derive(Schema)]
/// struct Address {
///     street: String,
///     country: Country,
/// }
///
/// #[derive(Schema)]
/// enum Country {
///     Unknown,
///     Known { code: [u8; 2] },
/// }
///
/// #[derive(Eq, Ord, PartialEq, PartialOrd, Schema)]
/// struct CustomerId(u64);
/// # fn main() {}
/// ```
///
/// The parts of it have `Schema` as well. A type may contain itself, behind a `Box` or in a list, except for a struct without names of
/// fields. A key of a `BTreeMap`, or an element of a `BTreeSet`, is a struct without names of fields, such as `CustomerId`, or an enum
/// without fields, and has `Ord`.
///
/// `#[schema(crate = path)]` says where the generated code finds `Schema`. Default: `::omnitron`.
///
/// # What is generated
///
/// `impl Schema`, which describes the type, and rkyv's `Archive`, `Serialize` and `Deserialize`. A struct without names is archived as
/// the tuple of its fields. For other types a private type of the same form is generated, with rkyv's own derives, and the archived
/// form of that is used.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn schema(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    generated(item.into(), schema::derive).into()
}

/// The code for an item, as far as it makes sense, and what is wrong with it.
type Derive = fn(&DeriveInput, &mut Errors) -> Option<TokenStream>;

/// A whole derive, also outside of rustc.
fn generated(item: TokenStream, derive: Derive) -> TokenStream {
    let mut errors = Errors::default();
    let input = errors.keep(syn::parse2::<DeriveInput>(item));
    let code = input.and_then(|input| derive(&input, &mut errors));
    let errors = errors.into_compile_errors();
    quote!(#code #errors)
}

/// Reports parameters of a type: what lies in a journal has one form.
fn without_parameters(input: &DeriveInput, errors: &mut Errors) -> Option<()> {
    let generics = &input.generics;
    if generics.params.is_empty() {
        return Some(());
    }
    errors.at(
        generics,
        "what lies in a journal has one form, so its type has no parameters: write a type for each form, and let it own what \
         it holds",
    );
    None
}

/// Generated code in a block of its own, in which no name gets in the way of the user's. `root` is the crate of `Event`.
fn apart(root: Option<Path>, code: &TokenStream) -> TokenStream {
    let root = root.unwrap_or_else(|| syn::parse_quote!(::omnitron));
    quote! {
        #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
        const _: () = {
            use #root::__event;

            #code
        };
    }
}

//! The derives `Event` and `Schema`: what a journal holds of a Rust type. Part of `omnitron`.

mod attributes;
mod errors;
mod event;
mod fields;
mod names;
mod schema;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::errors::Errors;

/// Makes an enum a type of events.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    generated(item.into(), event::derive).into()
}

/// Makes a type a part of events.
#[proc_macro_derive(Schema, attributes(schema))]
pub fn schema(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    generated(item.into(), schema::derive).into()
}

/// A whole derive, also outside of rustc.
fn generated(item: TokenStream, derive: fn(&DeriveInput, &mut Errors) -> Option<TokenStream>) -> TokenStream {
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

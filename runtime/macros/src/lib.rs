//! The attribute `#[actor]`: an actor's messages, written as methods. Part of `omnitron`, whose prelude has it.

mod arguments;
mod errors;
mod expand;
mod generics;
mod message;
mod names;
mod parse;
mod types;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::arguments::Arguments;
use crate::errors::Errors;

/// Makes an actor of a type: its methods become messages.
#[proc_macro_attribute]
pub fn actor(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    generated(arguments.into(), item.into()).into()
}

/// The whole macro, also outside of rustc.
fn generated(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = errors.keep(syn::parse2::<Arguments>(arguments)).unwrap_or_default();
    let parsed = parse::parse(arguments, item.clone(), &mut errors);
    match (errors.into_compile_errors(), parsed) {
        (None, Some((actor, block))) => {
            let generated = expand::expand(&actor);
            quote!(#block #generated)
        }
        // The methods stay, so that what is right about them is not reported as missing.
        (errors, Some((_, block))) => quote!(#block #errors),
        (errors, None) => errors.into_token_stream(),
    }
}

//! Can a type travel in a message, and what does a return type say?
//!
//! A macro sees how a type is written, and not what it is: `Result` is recognised by its name. What can only be
//! known by looking behind a name (whether it is `Send`, say) is left to rustc.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{GenericArgument, Lifetime, PathArguments, ReturnType, Type, TypeParamBound, TypeReference};

/// The type without the parentheses around it.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        ty => ty,
    }
}

/// Whether it is a reference to something called `Context`.
pub(crate) fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = bare(ty) else { return false };
    let Type::Path(target) = bare(&reference.elem) else { return false };
    target.path.segments.last().is_some_and(|last| last.ident == "Context")
}

pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// What a method returns, if it is not `()`.
pub(crate) fn returned(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Type(_, ty) if !is_unit(ty) => Some(ty),
        _ => None,
    }
}

/// The arguments of a type called `Result`, as far as they are written: both, only the first, none.
pub(crate) fn result(ty: &Type) -> Option<(Option<&Type>, Option<&Type>)> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some((None, None)) };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some((types.next(), types.next()))
}

/// Checks that a type written like this can outlive the call: messages and replies are `'static`.
pub(crate) fn owned(ty: &Type) -> syn::Result<()> {
    match ty {
        Type::Reference(reference) => match &reference.lifetime {
            Some(lifetime) if lifetime.ident == "static" => owned(&reference.elem),
            _ => Err(syn::Error::new_spanned(ty, borrowed(reference))),
        },
        Type::Path(path) => {
            if let Some(own) = &path.qself {
                owned(&own.ty)?;
            }
            owned_path(&path.path)
        }
        Type::TraitObject(object) => object.bounds.iter().try_for_each(owned_bound),
        Type::Tuple(tuple) => tuple.elems.iter().try_for_each(owned),
        Type::Array(array) => owned(&array.elem),
        Type::Slice(slice) => owned(&slice.elem),
        Type::Paren(inner) => owned(&inner.elem),
        Type::Group(inner) => owned(&inner.elem),
        Type::Ptr(pointer) => owned(&pointer.elem),
        Type::ImplTrait(_) => Err(syn::Error::new_spanned(
            ty,
            "messages and replies have one type for each part: name it, or make it a `Box<dyn … + Send>`",
        )),
        // What a function pointer borrows, it borrows for its own calls.
        _ => Ok(()),
    }
}

fn owned_path(path: &syn::Path) -> syn::Result<()> {
    for segment in &path.segments {
        // What stands in parentheses belongs to the calls of a closure.
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else { continue };
        for argument in &arguments.args {
            match argument {
                GenericArgument::Lifetime(lifetime) => owned_lifetime(lifetime)?,
                GenericArgument::Type(ty) => owned(ty)?,
                GenericArgument::AssocType(assoc) => owned(&assoc.ty)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn owned_bound(bound: &TypeParamBound) -> syn::Result<()> {
    match bound {
        // The lifetimes of a `for<…>` belong to the calls as well.
        TypeParamBound::Trait(bound) if bound.lifetimes.is_none() => owned_path(&bound.path),
        TypeParamBound::Lifetime(lifetime) => owned_lifetime(lifetime),
        _ => Ok(()),
    }
}

fn owned_lifetime(lifetime: &Lifetime) -> syn::Result<()> {
    if lifetime.ident == "static" {
        return Ok(());
    }
    let text = format!(
        "messages and replies outlive the call, so `{lifetime}` has to be `'static`: take an owned type"
    );
    Err(syn::Error::new_spanned(lifetime, text))
}

/// What to write instead of a reference.
fn borrowed(reference: &TypeReference) -> String {
    let written = spoken(reference);
    let instead = match bare(&reference.elem) {
        Type::Slice(slice) => format!("`Vec<{}>`", spoken(&slice.elem)),
        Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
        Type::Path(path) if path.path.is_ident("Path") => "`PathBuf`".to_owned(),
        Type::TraitObject(_) => format!("`Box<{}>`", spoken(&reference.elem)),
        ty => format!("`{0}`, or `Arc<{0}>` to share it", spoken(ty)),
    };
    format!(
        "a message outlives the call that sends it, so it cannot borrow: take {instead} instead of `{written}`"
    )
}

/// A type as a person would write it.
fn spoken(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    let text = text.replace(" :: ", "::").replace(" , ", ", ").replace("& ", "&");
    text.replace(" < ", "<").replace(" >", ">").replace("< ", "<").replace(" <", "<")
}

/// The tokens with the actor's own type where they say `Self`, for code outside of its `impl`.
pub(crate) fn without_self(tokens: TokenStream, actor: &Type) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut out = TokenStream::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "Self" => {
                let leads_a_path =
                    matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                out.extend(if leads_a_path { quote!(<#actor>) } else { quote!(#actor) });
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_self(group.stream(), actor));
                inner.set_span(group.span());
                out.extend([TokenTree::Group(inner)]);
            }
            token => out.extend([token]),
        }
    }
    out
}

/// Whether one of these words stands anywhere in the tokens.
pub(crate) fn mentions(tokens: TokenStream, found: &impl Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => found(&word.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), found),
        _ => false,
    })
}

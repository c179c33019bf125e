//! What are the generated items called, and which names can a message method not have?

use proc_macro2::Ident;
use quote::format_ident;
use syn::ext::IdentExt;

/// Methods of `ActorRef` itself: called on a reference, they win over those of a trait.
const OF_REFERENCES: &[&str] =
    &["ask", "depth", "drain", "is_stopped", "path", "send", "stop", "stopped", "tell", "try_ask"];

/// Methods of traits that `ActorRef` implements and every module sees: beside them, a call is ambiguous.
const OF_TRAITS: &[&str] = &["clone", "eq", "into", "ne", "to_owned", "to_string", "try_into"];

/// The variant for a method: `add_many` is `AddMany`.
pub(crate) fn variant(method: &Ident) -> syn::Result<Ident> {
    let mut name = String::new();
    for word in method.unraw().to_string().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.extend(letters);
    }
    let mut variant = syn::parse_str::<Ident>(&name).map_err(|_| {
        let text = format!("no variant can be named after `{method}`: start the name with a letter");
        syn::Error::new(method.span(), text)
    })?;
    variant.set_span(method.span());
    Ok(variant)
}

/// Checks that a call on a reference would mean this method.
pub(crate) fn free_on_references(method: &Ident) -> syn::Result<()> {
    let name = method.unraw().to_string();
    let text = if OF_REFERENCES.contains(&name.as_str()) {
        format!(
            "`ActorRef` has a method `{name}` of its own, and a call would mean that one: rename this method"
        )
    } else if OF_TRAITS.contains(&name.as_str()) {
        format!(
            "a call of `{name}` on a reference would be ambiguous, for every type has such a method: rename this one"
        )
    } else {
        return Ok(());
    };
    Err(syn::Error::new(method.span(), text))
}

/// The field for an argument: `_n` is `n`. None if nothing is left.
pub(crate) fn field(argument: &Ident) -> Option<Ident> {
    let name = argument.to_string();
    let bare = name.trim_start_matches('_');
    if bare.len() == name.len() {
        return Some(argument.clone());
    }
    let mut field = syn::parse_str::<Ident>(bare).ok()?;
    field.set_span(argument.span());
    Some(field)
}

/// The message type, or the trait, of an actor.
pub(crate) fn of_actor(actor: &Ident, suffix: &str) -> Ident {
    format_ident!("{}{suffix}", actor.unraw(), span = actor.span())
}

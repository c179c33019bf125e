//! Which parameters of the actor does its message type need?
//!
//! Those that some message mentions, and of their bounds those that mention no other one. So each parameter of the
//! message type is used by a field, and no variant has to stand in for it.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{GenericParam, Generics, Token, TypeParamBound};

use crate::message::{Message, Reply};
use crate::types::mentions;

/// The parameters and bounds that the messages need.
pub(crate) fn needed(generics: &Generics, messages: &[Message]) -> Generics {
    let (used, unused): (Vec<_>, Vec<_>) =
        generics.params.iter().cloned().partition(|parameter| carried(messages, &name(parameter)));
    let (used_names, unused_names) = (names(&used), names(&unused));
    let is_strange = |tokens: &dyn ToTokens| {
        mentions(tokens.to_token_stream(), &|word| word == "Self" || unused_names.iter().any(|it| it == word))
    };

    let mut needed = Generics { params: used.into_iter().collect(), ..Generics::default() };
    for parameter in needed.type_params_mut() {
        let bounds = std::mem::take(&mut parameter.bounds);
        parameter.bounds = bounds.into_iter().filter(|bound| !is_strange(bound)).collect::<Bounds>();
    }
    if let Some(clause) = &generics.where_clause {
        let predicates = clause.predicates.iter().filter(|predicate| {
            let is_about_us =
                mentions(predicate.to_token_stream(), &|word| used_names.iter().any(|it| it == word));
            is_about_us && !is_strange(predicate)
        });
        needed.make_where_clause().predicates.extend(predicates.cloned());
    }
    needed
}

type Bounds = Punctuated<TypeParamBound, Token![+]>;

fn name(parameter: &GenericParam) -> String {
    match parameter {
        GenericParam::Type(parameter) => parameter.ident.to_string(),
        GenericParam::Const(parameter) => parameter.ident.to_string(),
        // One that is refused elsewhere.
        GenericParam::Lifetime(parameter) => parameter.lifetime.to_string(),
    }
}

fn names(parameters: &[GenericParam]) -> Vec<String> {
    parameters.iter().map(name).collect()
}

/// Whether a part of a message or of a reply mentions this name.
fn carried(messages: &[Message], name: &str) -> bool {
    let is_in = |tokens: &proc_macro2::TokenStream| mentions(tokens.clone(), &|word| word == name);
    messages.iter().any(|message| {
        message.fields().any(|field| is_in(&field.ty))
            || match &message.reply {
                Some(Reply::Plain(ty)) => ty.as_ref().is_some_and(is_in),
                Some(Reply::Result { ok, err }) => is_in(ok) || is_in(err),
                None => false,
            }
    })
}

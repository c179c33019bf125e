//! What are the generated items called, and which names can a message method not have?

use proc_macro2::Ident;
use quote::format_ident;
use syn::ext::IdentExt;

/// Methods of `ActorRef` itself: called on a reference, they win over those of a trait.
const OF_REFERENCES: &[&str] = &[
    "ask",
    "contramap",
    "depth",
    "drain",
    "feed",
    "is_stopped",
    "map",
    "path",
    "send",
    "stop",
    "stopped",
    "tell",
    "try_ask",
];

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn named(name: &str) -> Ident {
        syn::parse_str(name).expect("an identifier")
    }

    #[test]
    fn a_variant_is_called_like_its_method() {
        for (method, expected) in [
            ("add", "Add"),
            ("add_many", "AddMany"),
            ("r#match", "Match"),
            ("_get_2d_", "Get2d"),
            ("isOn", "IsOn"),
        ] {
            assert_eq!(variant(&named(method)).expect(method), expected);
        }
        for method in ["_1", "__", "self_"] {
            assert!(variant(&named(method)).is_err(), "{method}");
        }
    }

    #[test]
    fn a_field_is_called_like_its_argument_without_underscores_in_front() {
        for (argument, expected) in [("n", "n"), ("_n", "n"), ("__a_b_", "a_b_"), ("r#type", "r#type")] {
            assert_eq!(field(&named(argument)).expect(argument), expected);
        }
        for argument in ["__", "_1", "_type"] {
            assert!(field(&named(argument)).is_none(), "{argument}");
        }
    }

    /// Names of all public methods which a file gives to `ActorRef`.
    fn methods(file: &Path, found: &mut BTreeSet<String>) {
        let text = fs::read_to_string(file).expect("the sources of the runtime lie beside this crate");
        for item in syn::parse_file(&text).expect("it is Rust").items {
            let syn::Item::Impl(block) = item else { continue };
            let syn::Type::Path(ty) = &*block.self_ty else { continue };
            if block.trait_.is_some() || ty.path.segments.last().is_none_or(|last| last.ident != "ActorRef") {
                continue;
            }
            found.extend(block.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(method)
                    if matches!(method.vis, syn::Visibility::Public(_))
                        && method.sig.receiver().is_some() =>
                {
                    Some(method.sig.ident.to_string())
                }
                _ => None,
            }));
        }
    }

    fn search(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the sources of the runtime lie beside this crate") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                search(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                methods(&path, found);
            }
        }
    }

    #[test]
    fn every_method_that_a_reference_has_itself_is_listed() {
        let mut found = BTreeSet::new();
        search(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../src"), &mut found);
        assert_eq!(found, OF_REFERENCES.iter().map(ToString::to_string).collect());
    }
}

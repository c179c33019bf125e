//! What is an event called for good?

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{LitInt, LitStr};

/// The most bytes of a name.
const LONGEST: usize = 120;

/// `FlightPlanEvent` as the first part of names: `flight_plan`.
pub(crate) fn of_enum(ident: &Ident) -> String {
    let name = ident.unraw().to_string();
    let bare = name.strip_suffix("Events").or_else(|| name.strip_suffix("Event")).unwrap_or(&name);
    snake(if bare.is_empty() { &name } else { bare })
}

/// `GateChanged` as a part of a name: `gate_changed`.
pub(crate) fn of_type(ident: &Ident) -> String {
    snake(&ident.unraw().to_string())
}

/// A word begins with a capital letter; several in a row are one word, but for the last before a small one.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before != '_' && (!before.is_uppercase() || after.is_some_and(|after| after.is_lowercase()))
            });
        if begins {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// The name that somebody wrote.
pub(crate) fn written(name: &LitStr) -> syn::Result<String> {
    let text = name.value();
    valid(&text).map_err(|what| syn::Error::new(name.span(), what))?;
    Ok(text)
}

/// The name that follows from those of types, if it can be one.
pub(crate) fn derived(text: String, ident: &Ident) -> syn::Result<String> {
    match valid(&text) {
        Ok(()) => Ok(text),
        Err(what) => {
            let text = format!(
                "it would be called `{text}`; {what}: write another one with `#[event(name = \"…\")]`"
            );
            Err(syn::Error::new(ident.span(), text))
        }
    }
}

fn valid(name: &str) -> Result<(), String> {
    if name.len() > LONGEST {
        return Err(format!("a name has at most {LONGEST} bytes"));
    }
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-".contains(&it))
    };
    if name.split('.').all(is_part) {
        return Ok(());
    }
    Err("a name is made of small letters, digits, `_` and `-`, in parts with a `.` between them, such as `account.withdrawn`"
        .to_owned())
}

/// The version that somebody wrote, or the first.
pub(crate) fn version(version: Option<&LitInt>) -> syn::Result<u32> {
    let Some(version) = version else { return Ok(1) };
    match version.base10_parse::<u32>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(syn::Error::new(version.span(), "versions are counted from 1, and fit into 32 bits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Ident {
        syn::parse_str(name).expect("an identifier")
    }

    #[test]
    fn a_name_follows_from_those_of_the_types() {
        for (ident, expected) in [
            ("AccountEvent", "account"),
            ("FlightPlanEvents", "flight_plan"),
            ("Event", "event"),
            ("Account", "account"),
            ("HTTPEvent", "http"),
        ] {
            assert_eq!(of_enum(&named(ident)), expected, "{ident}");
        }
        for (ident, expected) in [
            ("Withdrawn", "withdrawn"),
            ("GateChanged", "gate_changed"),
            ("XMLRead", "xml_read"),
            ("Opened2Times", "opened2_times"),
            ("Was_Odd", "was_odd"),
            ("r#Match", "match"),
        ] {
            assert_eq!(of_type(&named(ident)), expected, "{ident}");
        }
    }

    #[test]
    fn a_name_that_would_not_fit_everywhere_is_refused() {
        for good in ["a", "account.withdrawn", "a-1.b_2.c", &"a".repeat(LONGEST)] {
            assert!(valid(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "A", "a b", "ä", "a\n", &"a".repeat(LONGEST + 1)] {
            assert!(valid(bad).is_err(), "{bad}");
        }
    }
}

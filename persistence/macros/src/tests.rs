//! Is what the documentation says about the derive true?

use std::str::FromStr as _;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::quote;

use crate::{event, generated, schema};

/// The two programs of `expansion.md`, without the lines that are not shown.
fn documented() -> (String, String) {
    let mut blocks = include_str!("../expansion.md").split("```").skip(1).step_by(2).map(|block| {
        let lines = block.lines().filter(|line| !line.starts_with("# "));
        lines.flat_map(|line| [line, "\n"]).collect::<String>()
    });
    (blocks.next().expect("what is written"), blocks.next().expect("what is generated"))
}

/// The tokens in a form that two ways of writing the same share: without trailing commas, one token in a line.
fn normal(tokens: TokenStream) -> Vec<String> {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                out.push(format!("open {:?}", group.delimiter()));
                out.extend(normal(group.stream()));
                out.pop_if(|last| last == ",");
                out.push("close".to_owned());
            }
            TokenTree::Punct(mut punct) => {
                // A list in angle brackets is no group.
                if punct.as_char() == '>' {
                    out.pop_if(|last| last == ",");
                }
                punct = proc_macro2::Punct::new(punct.as_char(), Spacing::Alone);
                out.push(punct.to_string());
            }
            token => out.push(token.to_string()),
        }
        // After a block in a match the comma may be missing.
        if out.ends_with(&["close".to_owned(), ",".to_owned()]) {
            out.pop();
        }
    }
    out
}

#[test]
fn the_documentation_shows_what_is_generated() {
    let (written, shown) = documented();
    let item = written.trim().strip_prefix("#[derive(Event)]").expect("the derive stands first");
    let generated = normal(generated(TokenStream::from_str(item).expect("it is Rust"), event::derive));
    let shown = normal(TokenStream::from_str(&shown).expect("it is Rust"));
    let same = generated.iter().zip(&shown).take_while(|(a, b)| a == b).count();
    let rest = |tokens: &[String]| tokens[same..tokens.len().min(same + 20)].join(" ");
    assert_eq!(generated.get(same), None, "generated: {}\nshown: {}", rest(&generated), rest(&shown));
    assert_eq!(shown.get(same), None, "it shows more than is generated: {}", rest(&shown));
}

/// What is said about an item, as text.
fn errors(item: TokenStream, derive: crate::Derive) -> Vec<String> {
    let text = generated(item, derive).to_string();
    text.split("compile_error").skip(1).map(str::to_owned).collect()
}

#[test]
fn all_mistakes_are_reported_at_once_and_nothing_is_generated() {
    let item = quote! {
        #[event(version = 1)]
        enum AccountEvent {
            #[event(name = "A")]
            Opened,
            #[event(version = 0)]
            Closed(&'static str),
        }
    };
    assert_eq!(errors(item.clone(), event::derive).len(), 4);
    assert!(!generated(item, event::derive).to_string().contains("impl"));
}

#[test]
fn an_enum_of_as_many_variants_as_a_byte_can_tell_apart_is_a_part_and_one_more_is_not() {
    let item = |count: usize| {
        let variants = (0..count).map(|n| quote::format_ident!("V{n}"));
        quote!(enum Many { #(#variants),* })
    };
    assert_eq!(errors(item(256), schema::derive), Vec::<String>::new());
    assert_eq!(errors(item(257), schema::derive).len(), 1);
}

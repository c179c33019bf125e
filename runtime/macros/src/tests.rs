//! Is what the documentation says about the macro true?

use std::str::FromStr as _;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::quote;

use crate::generated;

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
    let item = written.trim().strip_prefix("#[actor]").expect("the attribute stands first");
    let generated = normal(generated(TokenStream::new(), TokenStream::from_str(item).expect("it is Rust")));
    let shown = normal(TokenStream::from_str(&shown).expect("it is Rust"));
    let same = generated.iter().zip(&shown).take_while(|(a, b)| a == b).count();
    let rest = |tokens: &[String]| tokens[same..tokens.len().min(same + 20)].join(" ");
    assert_eq!(
        generated.len(),
        shown.len().max(same),
        "generated: {}\nshown: {}",
        rest(&generated),
        rest(&shown)
    );
    assert_eq!(same, shown.len(), "generated: {}\nshown: {}", rest(&generated), rest(&shown));
}

#[test]
fn documentation_that_says_self_means_the_actor() {
    let item = quote! {
        impl Counter {
            /// Like [`Self::get`], twice.
            #[tell]
            fn add(&mut self) {}
        }
    };
    let generated = generated(TokenStream::new(), item).to_string();
    assert_eq!(generated.matches("Like [`Counter::get`], twice.").count(), 2, "the variant and the trait");
    assert_eq!(generated.matches("Like [`Self::get`], twice.").count(), 1, "the method itself");
}

#[test]
fn a_public_actor_is_documented_throughout_even_if_its_methods_are_not() {
    let item = quote! {
        impl Counter {
            #[tell]
            pub fn add(&mut self, n: u64) {}
            #[ask]
            pub fn get(&self) -> u64 { 0 }
        }
    };
    let file: syn::File = syn::parse2(generated(TokenStream::new(), item)).expect("it is Rust");
    let documented = |attributes: &[syn::Attribute]| attributes.iter().any(|it| it.path().is_ident("doc"));
    let mut seen = 0;
    for item in file.items {
        match item {
            syn::Item::Enum(item) => {
                assert!(documented(&item.attrs));
                for variant in item.variants {
                    assert!(documented(&variant.attrs), "{}", variant.ident);
                    assert!(variant.fields.iter().all(|field| documented(&field.attrs)), "{}", variant.ident);
                    seen += 1;
                }
            }
            syn::Item::Trait(item) => {
                assert!(documented(&item.attrs));
                for method in item.items {
                    let syn::TraitItem::Fn(method) = method else { panic!("methods only") };
                    assert!(documented(&method.attrs), "{}", method.sig.ident);
                    seen += 1;
                }
            }
            _ => {}
        }
    }
    assert_eq!(seen, 4, "two variants and two methods");
}

//! What stands in the brackets of `#[actor(…)]`?

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Path, Token, Visibility};

const KNOWN: &str = "the options are `crate = path`, `vis = pub`, `msg = Name` and `ext = Name`";

/// The options of the attribute. `None` stands for the default.
#[derive(Default)]
pub(crate) struct Arguments {
    /// The crate in which the generated code finds `Actor`, `ActorRef` and so on.
    pub(crate) root: Option<Path>,
    /// The visibility of the message type and of the trait.
    pub(crate) vis: Option<Visibility>,
    /// The name of the message type.
    pub(crate) msg: Option<Ident>,
    /// The name of the trait.
    pub(crate) ext: Option<Ident>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), KNOWN))?;
            if !["crate", "vis", "msg", "ext"].iter().any(|known| name == known) {
                return Err(syn::Error::new(name.span(), format!("unknown option `{name}`: {KNOWN}")));
            }
            input.parse::<Token![=]>()?;
            let twice = if name == "crate" {
                arguments.root.replace(input.call(Path::parse_mod_style)?).is_some()
            } else if name == "vis" {
                arguments.vis.replace(visibility(input)?).is_some()
            } else if name == "msg" {
                arguments.msg.replace(input.parse()?).is_some()
            } else {
                arguments.ext.replace(input.parse()?).is_some()
            };
            if twice {
                return Err(syn::Error::new(name.span(), format!("`{name}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

fn visibility(input: ParseStream<'_>) -> syn::Result<Visibility> {
    match input.parse()? {
        Visibility::Inherited => {
            Err(input.error("a visibility is `pub`, `pub(crate)`, `pub(super)`, or `pub(self)` for private"))
        }
        vis => Ok(vis),
    }
}

//! What stands in the brackets of `#[event(…)]` and `#[schema(…)]`?

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, LitInt, LitStr, Meta, Path, Token, Type};

use crate::errors::Errors;

/// The options of an attribute. `None` stands for the default.
#[derive(Default)]
pub(crate) struct Options {
    /// The crate in which the generated code finds `Event` and its like.
    pub(crate) root: Option<Path>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    /// The types that are converted when they are read.
    pub(crate) from: Vec<Type>,
}

/// Where an attribute stands, and so which options it has.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    attribute: &'static str,
    options: &'static [&'static str],
    said: &'static str,
}

pub(crate) const EVENT_ENUM: Place = Place {
    attribute: "event",
    options: &["crate", "name", "from"],
    said: "of an enum, the options are `name = \"account\"`, with which the names of its variants begin, `from = OldType` and \
           `crate = path`",
};

pub(crate) const EVENT_STRUCT: Place = Place {
    attribute: "event",
    options: &["crate", "name", "version", "from"],
    said: "of a struct, the options are `name = \"account.withdrawn\"`, `version = 2`, `from = OldType` and `crate = path`",
};

pub(crate) const EVENT_VARIANT: Place = Place {
    attribute: "event",
    options: &["name", "version", "from"],
    said: "of a variant, the options are `name = \"account.withdrawn\"`, `version = 2` and `from = OldType`",
};

pub(crate) const SCHEMA: Place =
    Place { attribute: "schema", options: &["crate"], said: "the option is `crate = path`" };

impl Options {
    /// Reads all attributes of this name.
    pub(crate) fn of(attributes: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|it| it.path().is_ident(place.attribute)) {
            let Meta::List(list) = &attribute.meta else {
                errors.at(attribute, format!("write the options in brackets: {}", place.said));
                continue;
            };
            errors.keep(list.parse_args_with(|input: ParseStream<'_>| options.read(input, place)));
        }
        options
    }

    fn read(&mut self, input: ParseStream<'_>, place: Place) -> syn::Result<()> {
        while !input.is_empty() {
            let option =
                input.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), place.said))?;
            if !place.options.iter().any(|known| option == known) {
                return Err(syn::Error::new(
                    option.span(),
                    format!("unknown option `{option}`: {}", place.said),
                ));
            }
            input.parse::<Token![=]>()?;
            let twice = if option == "crate" {
                self.root.replace(input.call(Path::parse_mod_style)?).is_some()
            } else if option == "name" {
                self.name
                    .replace(literal(input, "a name is a text: `name = \"account.withdrawn\"`")?)
                    .is_some()
            } else if option == "version" {
                self.version.replace(literal(input, "a version is a number: `version = 2`")?).is_some()
            } else {
                self.from.push(input.parse()?);
                false
            };
            if twice {
                return Err(syn::Error::new(option.span(), format!("`{option}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }
}

fn literal<T: syn::parse::Parse>(input: ParseStream<'_>, text: &str) -> syn::Result<T> {
    input.parse().map_err(|error| syn::Error::new(error.span(), text))
}

/// Reports attributes where there is nothing to choose.
pub(crate) fn none(attributes: &[Attribute], name: &str, text: &str, errors: &mut Errors) {
    for attribute in attributes.iter().filter(|it| it.path().is_ident(name)) {
        errors.at(attribute, text);
    }
}

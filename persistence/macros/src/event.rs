//! What does `#[derive(Event)]` write?

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Path, Type};

use crate::attributes::{EVENT_ENUM, EVENT_STRUCT, EVENT_VARIANT, Options};
use crate::errors::Errors;
use crate::fields::Fields;
use crate::names;

/// Everything that is generated from.
struct Event {
    root: Option<Path>,
    ident: Ident,
    variants: Vec<Variant>,
    /// The types that are converted when they are read.
    old: Vec<Type>,
}

/// A type of events.
struct Variant {
    /// `Self` or `Self::Withdrawn`.
    path: TokenStream,
    fields: Fields,
    name: String,
    version: Literal,
}

/// The code, as far as the input makes sense.
pub(crate) fn derive(input: &DeriveInput, errors: &mut Errors) -> Option<TokenStream> {
    crate::without_parameters(input, errors)?;
    let before = errors.count();
    let event = parse(input, errors)?;
    (errors.count() == before).then(|| crate::apart(event.root.clone(), &expand(&event)))
}

fn parse(input: &DeriveInput, errors: &mut Errors) -> Option<Event> {
    let (place, is_enum) = match &input.data {
        Data::Struct(_) => (EVENT_STRUCT, false),
        Data::Enum(_) => (EVENT_ENUM, true),
        Data::Union(_) => {
            errors.at(
                &input.ident,
                "an event is an enum, each variant a type of events, or a struct, which is one",
            );
            return None;
        }
    };
    let options = Options::of(&input.attrs, place, errors);
    let mut event =
        Event { root: options.root, ident: input.ident.clone(), variants: Vec::new(), old: options.from };
    let given = options.name.as_ref().map(names::written);
    if let Data::Struct(data) = &input.data {
        let name = given.unwrap_or_else(|| names::derived(names::of_type(&input.ident), &input.ident));
        let (name, version) = (errors.keep(name), errors.keep(names::version(options.version.as_ref())));
        let fields = Fields::of(&data.fields, "event", errors);
        event.variants.push(Variant {
            path: quote!(Self),
            fields,
            name: name?,
            version: Literal::u32_unsuffixed(version?),
        });
    } else if let Data::Enum(data) = &input.data {
        let prefix = errors.keep(given.unwrap_or_else(|| Ok(names::of_enum(&input.ident))))?;
        for variant in &data.variants {
            event.old.extend(add(variant, &prefix, &mut event.variants, errors));
        }
    }
    if is_enum && event.variants.is_empty() && errors.count() == 0 {
        errors.at(&input.ident, "an event without a variant never happens: write one, such as `Opened`");
    }
    Some(event)
}

/// Adds a variant of an enum, and returns what it is converted from.
fn add(variant: &syn::Variant, prefix: &str, all: &mut Vec<Variant>, errors: &mut Errors) -> Vec<Type> {
    let ident = &variant.ident;
    let options = Options::of(&variant.attrs, EVENT_VARIANT, errors);
    let name = match &options.name {
        Some(name) => names::written(name),
        None => names::derived(format!("{prefix}.{}", names::of_type(ident)), ident),
    };
    let (name, version) = (errors.keep(name), errors.keep(names::version(options.version.as_ref())));
    let fields = Fields::of(&variant.fields, "event", errors);
    let (Some(name), Some(version)) = (name, version) else { return options.from };
    let version = Literal::u32_unsuffixed(version);
    // Two versions of one name may both be variants: a release reads the next version before anybody writes it.
    if all.iter().any(|other| other.name == name && other.version.to_string() == version.to_string()) {
        let text = format!(
            "another variant is `{name}`, version {version}, as well, and a journal could not tell them apart"
        );
        match &options.name {
            Some(written) => errors.at(written, text),
            None => errors.at(ident, text),
        }
    }
    all.push(Variant { path: quote!(Self::#ident), fields, name, version });
    options.from
}

fn expand(event: &Event) -> TokenStream {
    let Event { ident, variants, old, .. } = event;
    let count = Literal::usize_unsuffixed(variants.len());
    let written = variants
        .iter()
        .map(|Variant { name, version, .. }| quote!(__event::Name { name: #name, version: #version }));
    let described = variants.iter().map(|Variant { name, version, fields, .. }| {
        // Without fields it is the same as with none.
        let description = if fields.is_unit() {
            quote!(|shape| __event::Shape::fields(shape, &[]))
        } else {
            fields.description()
        };
        quote!(__event::EventType::of(#name, #version, #description))
    });
    let typed = variants.iter().enumerate().map(|(at, Variant { path, .. })| {
        let at = Literal::usize_unsuffixed(at);
        quote!(#path { .. } => &types[#at])
    });
    let encoded = variants.iter().enumerate().map(|(at, Variant { path, fields, .. })| {
        let at = Literal::usize_unsuffixed(at);
        let (braces, ty, refs) = (fields.braces(), fields.tuple_type(), fields.tuple_of_refs());
        quote!(#path #braces => __event::encode::<#ty>(&types[#at], &#refs))
    });
    let decoded = variants.iter().enumerate().map(|(at, Variant { path, fields, name, version })| {
        let at = Literal::usize_unsuffixed(at);
        let (braces, ty, pattern) = (fields.braces(), fields.tuple_type(), fields.tuple_pattern());
        quote! {
            (#name, #version) => {
                let #pattern = __event::decode::<Self, #ty>(&types[#at], stored)?;
                __event::Result::Ok(#path #braces)
            }
        }
    });
    let families = old.iter().map(|ty| {
        let place = ty.span().resolved_at(Span::call_site());
        quote_spanned!(place=> <#ty as __event::Event>::FAMILY)
    });
    let checks = old.iter().enumerate().map(|(at, ty)| {
        let at = Literal::usize_unsuffixed(at);
        let place = ty.span().resolved_at(Span::call_site());
        quote_spanned!(place=> const _: () = __event::checked(<#ident as __event::Event>::FAMILY, #at);)
    });
    let readable = old.iter().map(|ty| quote!(readable.extend(<#ty as __event::Event>::readable());));
    let mutable = (!old.is_empty()).then(|| quote!(mut));
    let converted = old.iter().map(|ty| {
        let place = ty.span().resolved_at(Span::call_site());
        let from = quote_spanned!(place=> <Self as ::core::convert::From<#ty>>::from);
        quote! {
            if <#ty as __event::Event>::FAMILY.reads(stored) {
                return <#ty as __event::Event>::decode(stored).map(#from);
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl __event::Event for #ident {
            const FAMILY: &'static __event::Family =
                &__event::Family { written: &[#(#written),*], old: &[#(#families),*] };

            fn types() -> &'static [__event::EventType] {
                static TYPES: __event::LazyLock<[__event::EventType; #count]> =
                    __event::LazyLock::new(|| [#(#described),*]);
                &*TYPES
            }

            fn readable() -> __event::Vec<&'static __event::EventType> {
                let #mutable readable = __event::Vec::from_iter(Self::types());
                #(#readable)*
                readable
            }

            fn event_type(&self) -> &'static __event::EventType {
                let types = Self::types();
                match self {
                    #(#typed,)*
                }
            }

            fn encode(&self) -> __event::Result<__event::Encoded, __event::EncodeError> {
                let types = Self::types();
                match self {
                    #(#encoded,)*
                }
            }

            fn decode(stored: __event::Stored<'_>) -> __event::Result<Self, __event::DecodeError> {
                let types = Self::types();
                match (stored.name, stored.version) {
                    #(#decoded)*
                    _ => {
                        #(#converted)*
                        __event::Result::Err(__event::unknown::<Self>(stored))
                    }
                }
            }
        }

        #(#checks)*
    }
}

//! What does `#[derive(Schema)]` write?
//!
//! A struct without names is archived as the tuple of its fields. Any other type gets a mirror: a type of the same form,
//! for which rkyv's own derives write what lies in the journal. The user's type borrows that from its mirror.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput};

use crate::attributes::{self, Options, SCHEMA};
use crate::errors::Errors;
use crate::fields::{Fields, beside};

/// rkyv tells variants apart by a byte.
const MOST_VARIANTS: usize = 256;

/// The code, as far as the input makes sense.
pub(crate) fn derive(input: &DeriveInput, errors: &mut Errors) -> Option<TokenStream> {
    crate::without_parameters(input, errors)?;
    let before = errors.count();
    let options = Options::of(&input.attrs, SCHEMA, errors);
    let code = match &input.data {
        Data::Struct(data) => {
            let fields = Fields::of(&data.fields, "schema", errors);
            let description = fields.description();
            let description = quote!((#description)(shape));
            if fields.is_named() {
                let omitted = quote!(#[rkyv(omit_bounds)]);
                let (braces, declared) = (fields.braces(), fields.declared(&omitted));
                let mirror = beside("Mirror", &input.ident);
                let declared = quote!(struct #mirror #declared);
                mirrored(input, &declared, &[(quote!(), braces)], false, &description)
            } else {
                as_tuple(&input.ident, &fields, &description)
            }
        }
        Data::Enum(data) => {
            let list: Vec<_> = data
                .variants
                .iter()
                .map(|variant| {
                    let none =
                        "a variant of a part has no options: only those of an event have names of their own";
                    attributes::none(&variant.attrs, "schema", none, errors);
                    (&variant.ident, Fields::of(&variant.fields, "schema", errors))
                })
                .collect();
            if list.is_empty() || list.len() > MOST_VARIANTS {
                let text =
                    format!("an enum in an event has at least one variant, and at most {MOST_VARIANTS}");
                errors.at(&input.ident, text);
            }
            of_enum(input, &list)
        }
        Data::Union(_) => {
            errors.at(&input.ident, "a journal could not tell what is in a union: write an enum");
            return None;
        }
    };
    (errors.count() == before).then(|| crate::apart(options.root, &code))
}

fn of_enum(input: &DeriveInput, list: &[(&Ident, Fields)]) -> TokenStream {
    let omitted = quote!(#[rkyv(omit_bounds)]);
    let mirror = beside("Mirror", &input.ident);
    let declared = list.iter().map(|(ident, fields)| {
        let fields = fields.declared(&omitted);
        quote!(#ident #fields)
    });
    let declared = quote!(enum #mirror { #(#declared),* });
    let arms: Vec<_> = list.iter().map(|(ident, fields)| (quote!(::#ident), fields.braces())).collect();
    let described = list.iter().map(|(ident, fields)| {
        use syn::ext::IdentExt as _;
        let name = ident.unraw().to_string();
        let description = if fields.is_unit() { quote!(|_| {}) } else { fields.description() };
        quote!((#name, #description))
    });
    let description = quote!(__event::Shape::variants(shape, &[#(#described),*]));
    let is_plain = list.iter().all(|(_, fields)| fields.is_unit());
    mirrored(input, &declared, &arms, is_plain, &description)
}

/// The form of a tuple, which can be ordered, and so be a key of a map, if its parts can.
fn as_tuple(ident: &Ident, fields: &Fields, description: &TokenStream) -> TokenStream {
    let (braces, ty, pattern) = (fields.braces(), fields.tuple_type(), fields.tuple_pattern());
    let (refs, archived) = (fields.tuple_of_refs(), fields.archived_tuple());
    quote! {
        #[automatically_derived]
        impl __event::rkyv::Archive for #ident {
            type Archived = #archived;
            type Resolver = <#ty as __event::rkyv::Archive>::Resolver;

            fn resolve(&self, resolver: Self::Resolver, out: __event::rkyv::Place<Self::Archived>) {
                let Self #braces = self;
                __event::rkyv::Archive::resolve(&#refs, resolver, out);
            }
        }

        #[automatically_derived]
        impl<S> __event::rkyv::Serialize<S> for #ident
        where
            S: __event::rkyv::rancor::Fallible<Error: __event::rkyv::rancor::Source> + __event::rkyv::ser::Writer + __event::rkyv::ser::Allocator + ?Sized,
        {
            fn serialize(&self, serializer: &mut S) -> ::core::result::Result<Self::Resolver, S::Error> {
                let Self #braces = self;
                __event::rkyv::Serialize::serialize(&#refs, serializer)
            }
        }

        #[automatically_derived]
        impl<D> __event::rkyv::Deserialize<#ident, D> for #archived
        where
            D: __event::rkyv::rancor::Fallible<Error: __event::rkyv::rancor::Source> + ?Sized,
        {
            fn deserialize(&self, deserializer: &mut D) -> ::core::result::Result<#ident, D::Error> {
                let #pattern = __event::rkyv::Deserialize::<#ty, D>::deserialize(self, deserializer)?;
                ::core::result::Result::Ok(#ident #braces)
            }
        }

        #[automatically_derived]
        impl __event::Schema for #ident {
            type This = Self;

            fn describe(shape: &mut __event::Shape) {
                #description
            }
        }
    }
}

/// The form of a type with names. `arms` are the paths behind the type, with what is behind them.
fn mirrored(
    input: &DeriveInput,
    declared: &TokenStream,
    arms: &[(TokenStream, TokenStream)],
    is_plain: bool,
    description: &TokenStream,
) -> TokenStream {
    let ident = &input.ident;
    let (mirror, archived) = (beside("Mirror", ident), beside("Archived", ident));
    let resolver = beside("Resolver", ident);
    let back = arms.iter().map(|(path, fields)| quote!(#mirror #path #fields => #ident #path #fields));
    // What has no fields can be a key of a map.
    let ordered = is_plain.then(|| quote!(derive(PartialEq, Eq, PartialOrd, Ord),));
    quote! {
        #[derive(__event::rkyv::Archive, __event::rkyv::Serialize, __event::rkyv::Deserialize)]
        #[rkyv(
            crate = __event::rkyv,
            remote = #ident,
            archived = #archived,
            resolver = #resolver,
            #ordered
            serialize_bounds(
                __S: __event::rkyv::ser::Writer + __event::rkyv::ser::Allocator,
                <__S as __event::rkyv::rancor::Fallible>::Error: __event::rkyv::rancor::Source,
            ),
            deserialize_bounds(<__D as __event::rkyv::rancor::Fallible>::Error: __event::rkyv::rancor::Source),
            bytecheck(bounds(
                __C: __event::rkyv::validation::ArchiveContext,
                <__C as __event::rkyv::rancor::Fallible>::Error: __event::rkyv::rancor::Source,
            )),
        )]
        pub #declared

        impl ::core::convert::From<#mirror> for #ident {
            fn from(mirror: #mirror) -> Self {
                match mirror {
                    #(#back,)*
                }
            }
        }

        #[automatically_derived]
        impl __event::rkyv::Archive for #ident {
            type Archived = <#mirror as __event::rkyv::with::ArchiveWith<#ident>>::Archived;
            type Resolver = <#mirror as __event::rkyv::with::ArchiveWith<#ident>>::Resolver;

            fn resolve(&self, resolver: Self::Resolver, out: __event::rkyv::Place<Self::Archived>) {
                <#mirror as __event::rkyv::with::ArchiveWith<#ident>>::resolve_with(self, resolver, out);
            }
        }

        #[automatically_derived]
        impl<S> __event::rkyv::Serialize<S> for #ident
        where
            S: __event::rkyv::rancor::Fallible<Error: __event::rkyv::rancor::Source>
                + __event::rkyv::ser::Writer
                + __event::rkyv::ser::Allocator
                + ?Sized,
        {
            fn serialize(&self, serializer: &mut S) -> ::core::result::Result<Self::Resolver, S::Error> {
                <#mirror as __event::rkyv::with::SerializeWith<#ident, S>>::serialize_with(self, serializer)
            }
        }

        #[automatically_derived]
        impl<D> __event::rkyv::Deserialize<#ident, D> for #archived
        where
            D: __event::rkyv::rancor::Fallible<Error: __event::rkyv::rancor::Source> + ?Sized,
        {
            fn deserialize(&self, deserializer: &mut D) -> ::core::result::Result<#ident, D::Error> {
                <#mirror as __event::rkyv::with::DeserializeWith<#archived, #ident, D>>::deserialize_with(
                    self,
                    deserializer,
                )
            }
        }

        #[automatically_derived]
        impl __event::Schema for #ident {
            type This = Self;

            fn describe(shape: &mut __event::Shape) {
                #description
            }
        }
    }
}
